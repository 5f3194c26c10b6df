package build

import (
	"os"
	"path/filepath"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

const (
	// looksEvery is how often the whole cache is measured, which takes a second.
	looksEvery = time.Hour
	// inUse protects what a build that runs now may be about to read. Go notes a
	// use once an hour at most, and a build takes less than another.
	inUse = 2 * time.Hour
)

// Limit keeps the whole cache within its limit, at the cost of what can be made
// again soonest: Go's build cache, cargo's incremental state, and at last what
// cargo compiled. Cargo compiles again whatever is missing.
func Limit(b *bed.Bed) error {
	looked := filepath.Join(b.Cache, ".looked")
	if info, err := os.Stat(looked); err == nil && time.Since(info.ModTime()) < looksEvery {
		return nil
	}
	if os.WriteFile(looked, nil, 0o644) != nil || os.Chtimes(looked, time.Time{}, time.Now()) != nil {
		return nil // not there yet, or another user's, who looks after it
	}
	return limit(b.Cache, cacheLimit, time.Now().Add(-inUse))
}

func limit(cache string, most int64, before time.Time) error {
	_, whole, err := sizes(cache)
	if err != nil || whole <= most {
		return err
	}
	if err := trimGo(cache, most, before); err != nil {
		return err
	}
	for _, kind := range []string{"incremental", "deps"} {
		if _, whole, err = sizes(cache); err != nil || whole <= most {
			return err
		}
		parts, err := cargoParts(filepath.Join(cache, "target"), kind)
		if err != nil {
			return err
		}
		oldestFirst(parts)
		for _, p := range parts {
			if whole <= most || !p.when.Before(before) {
				break
			}
			if err := os.RemoveAll(p.path); err != nil {
				return err
			}
			whole -= p.size
		}
	}
	if whole > most {
		step.Progress("%s holds %d GB and nothing more in it can go: remove it when it is in the way", cache, whole>>30)
	}
	return nil
}

// cargoParts lists what lies in target/PROFILE/kind: a directory for each crate's
// incremental state, of which half is of no use, or single files.
func cargoParts(target, kind string) ([]cached, error) {
	paths, err := filepath.Glob(filepath.Join(target, "*", kind, "*"))
	if err != nil {
		return nil, err
	}
	var parts []cached
	for _, path := range paths {
		files, total, err := sizes(path)
		if err != nil {
			return nil, err
		}
		p := cached{path: path, size: total}
		for _, f := range files {
			if f.when.After(p.when) {
				p.when = f.when
			}
		}
		parts = append(parts, p)
	}
	return parts, nil
}
