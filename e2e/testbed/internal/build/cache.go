package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"syscall"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/step"
)

const (
	// keepBuilds of each program stay, so that two checkouts that share the cache
	// don't undo each other's.
	keepBuilds = 2
	// goCacheLimit is somewhat more than one build of everything leaves.
	goCacheLimit = 7 << 30
	// cacheLimit is for the whole directory: 20 GB, less what the next build adds
	// before it is looked at again.
	cacheLimit = 18 << 30
	lockPoll   = 200 * time.Millisecond
)

// lock takes the machine-wide right to build.
func lock(ctx context.Context, path, name string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for said := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if !said {
			said = true
			step.Progress("%s waits for another build on this machine", name)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

type cached struct {
	path string
	size int64
	when time.Time
}

func oldestFirst(all []cached) {
	sort.Slice(all, func(i, j int) bool { return all[i].when.Before(all[j].when) })
}

// prune removes all but the last used builds of the named program.
func prune(dir, name string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	// Names may begin alike (runsc, runsc-shim); a key is twelve digits.
	mine := regexp.MustCompile(`^` + regexp.QuoteMeta(name) + `-[0-9a-f]{12}$`)
	var builds []cached
	for _, e := range entries {
		if !mine.MatchString(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		builds = append(builds, cached{path: filepath.Join(dir, e.Name()), when: info.ModTime()})
	}
	oldestFirst(builds)
	for len(builds) > keepBuilds {
		if err := os.RemoveAll(builds[0].path); err != nil {
			return err
		}
		builds = builds[1:]
	}
	return nil
}

// trimGo keeps Go's build cache within its limit and the whole cache within
// its own: what Go keeps can be made again soonest. Only what was last used
// before the given time goes.
func trimGo(cache string, most int64, before time.Time) error {
	goCache := filepath.Join(cache, "go-build")
	files, own, err := sizes(goCache)
	if err != nil {
		return err
	}
	_, whole, err := sizes(cache)
	if err != nil {
		return err
	}
	return trim(files, own, min(goCacheLimit, max(0, most-(whole-own))), before)
}

// sizes lists the files below dir and their sum.
func sizes(dir string) (files []cached, total int64, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another program's cache changes while it is read
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		files = append(files, cached{path, info.Size(), info.ModTime()})
		total += info.Size()
		return nil
	})
	return files, total, err
}

// trim removes the files that were not used for longest until the rest of
// total is within limit, and none that was used since before. Go itself keeps
// everything for five days, which can be more than a disk holds; a file it
// misses it makes again, unless a command that runs counts on it already.
func trim(files []cached, total, limit int64, before time.Time) error {
	oldestFirst(files)
	for _, f := range files {
		if total <= limit || !f.when.Before(before) {
			break
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= f.size
	}
	return nil
}
