package image

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

// repository is where the images' names begin. No registry has that name, so
// nothing is ever pulled for them.
const repository = "localhost/flywheel/"

// latest is a tag that the newest build of each image has besides its own.
const latest = "dev"

// keepArchives of each image stay in the cache: two checkouts may share it.
const keepArchives = 2

//go:embed *.go
var sources embed.FS

// Image is an archive in the cache.
type Image struct {
	// Name is one of the constants, such as Runtime.
	Name string `json:"name"`
	// Ref is the name with a tag that follows from the contents: another image,
	// another Ref, so that a Deployment naming it rolls.
	Ref string `json:"ref"`
	// Digest is the manifest's.
	Digest string `json:"digest"`
	// Labels are what the image says about itself.
	Labels map[string]string `json:"labels,omitempty"`
	// Archive is the file, importable by containerd, Docker and Podman.
	Archive string `json:"-"`
}

// Latest is the name that the newest build always has. It suits tests and the
// sandbox image, which containerd's configuration names once.
func (i Image) Latest() string { return Latest(i.Name) }

// Latest is Image.Latest for an image that need not exist yet.
func Latest(name string) string { return repository + name + ":" + latest }

// EnsureAll makes all images, as far as the cache doesn't hold them. Programs
// are the paths of "flywheel" and "gitleaks".
func EnsureAll(ctx context.Context, b *bed.Bed, programs map[string]string) ([]Image, error) {
	return Ensure(ctx, b, programs, Pause, Controller, Runtime)
}

// Ensure makes the named images. Pause needs no programs.
func Ensure(ctx context.Context, b *bed.Bed, programs map[string]string, names ...string) ([]Image, error) {
	var images []Image
	for _, name := range names {
		made, err := ensure(ctx, b, name, programs)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", name, err)
		}
		images = append(images, made)
	}
	return images, nil
}

func ensure(ctx context.Context, b *bed.Bed, name string, programs map[string]string) (Image, error) {
	r, err := recipeFor(ctx, b, name, programs)
	if err != nil {
		return Image{}, err
	}
	recipes, err := sourcesKey()
	if err != nil {
		return Image{}, err
	}
	key := keyOf(append([]string{name, recipes}, r.inputs...)...)[:12]
	dir := filepath.Join(b.Cache, "images")
	archive := filepath.Join(dir, name+"-"+key+".tar")
	if known, ok := cached(archive); ok {
		return known, nil
	}
	begin := time.Now()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Image{}, err
	}
	scratch, err := os.MkdirTemp(dir, ".scratch-*")
	if err != nil {
		return Image{}, err
	}
	defer os.RemoveAll(scratch)
	cfg, layers, err := r.cook(ctx, scratch)
	if err != nil {
		return Image{}, err
	}
	cfg.Name, cfg.Tags = repository+name, []string{key, latest}
	digest, err := Write(archive, cfg, layers...)
	if err != nil {
		return Image{}, err
	}
	made := Image{Name: name, Ref: cfg.Name + ":" + key, Digest: digest, Labels: cfg.Labels, Archive: archive}
	if err := note(made); err != nil {
		return Image{}, err
	}
	step.Progress("assembled %s in %.1f s", made.Ref, time.Since(begin).Seconds())
	return made, prune(dir, name)
}

// note writes beside the archive what it is. The note comes last and makes the
// archive count.
func note(made Image) error {
	data, err := json.Marshal(made)
	if err != nil {
		return err
	}
	return os.WriteFile(made.Archive+".json", data, 0o644)
}

// cached returns the image of an archive that was finished before.
func cached(archive string) (Image, bool) {
	var known Image
	data, err := os.ReadFile(archive + ".json")
	if err != nil || json.Unmarshal(data, &known) != nil {
		return Image{}, false
	}
	if _, err := os.Stat(archive); err != nil {
		return Image{}, false
	}
	now := time.Now()
	_ = os.Chtimes(archive, now, now) // for prune; a read-only cache still serves
	known.Archive = archive
	return known, true
}

// prune removes all but the last used archives of the named image.
func prune(dir, name string) error {
	files, err := filepath.Glob(filepath.Join(dir, name+"-????????????.tar"))
	if err != nil {
		return err
	}
	used := map[string]time.Time{}
	for _, file := range files {
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		used[file] = info.ModTime()
	}
	sort.Slice(files, func(i, j int) bool { return used[files[i]].After(used[files[j]]) })
	for _, file := range files[min(keepArchives, len(files)):] {
		for _, old := range []string{file + ".json", file} {
			if err := os.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// keyOf is one name for all the inputs.
func keyOf(inputs ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(inputs, "\n")))
	return hex.EncodeToString(sum[:])
}

// sourcesKey stands for this package: a changed recipe makes other images of
// the same inputs.
func sourcesKey() (string, error) {
	var all []string
	err := fs.WalkDir(sources, ".", func(name string, item fs.DirEntry, err error) error {
		if err != nil || item.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		data, err := sources.ReadFile(name)
		all = append(all, name, string(data))
		return err
	})
	return keyOf(all...), err
}
