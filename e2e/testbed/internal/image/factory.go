package image

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/bun"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

// templateDir is the factory repository's template, in the checkout.
const templateDir = "src/scaffold/factory"

// rootFiles of the template decide what is installed and how tools behave.
var rootFiles = []string{"package.json", "bun.lock", "bunfig.toml", "tsconfig.json", "biome.json"}

// factory is the template as far as the runtime image needs it.
type factory struct {
	dir      string   // the template
	files    []string // rootFiles and the kit's sources, relative to dir
	key      string   // digest of those files
	lockfile string   // SHA-256 of bun.lock
}

func readFactory(repo string) (factory, error) {
	f := factory{dir: filepath.Join(repo, templateDir), files: append([]string{}, rootFiles...)}
	err := filepath.WalkDir(filepath.Join(f.dir, "kit"), func(name string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if item.IsDir() && (item.Name() == "node_modules" || item.Name() == "test") {
			return fs.SkipDir
		}
		if item.IsDir() {
			return nil
		}
		relative, err := filepath.Rel(f.dir, name)
		f.files = append(f.files, filepath.ToSlash(relative))
		return err
	})
	if err != nil {
		return factory{}, fmt.Errorf("factory template: %w", err)
	}
	var sums []string
	for _, name := range f.files {
		sum, err := fileSum(filepath.Join(f.dir, name))
		if err != nil {
			return factory{}, fmt.Errorf("factory template: %w", err)
		}
		sums = append(sums, name+" "+sum)
		if name == "bun.lock" {
			f.lockfile = sum
		}
	}
	f.key = keyOf(sums...)
	return f, nil
}

// dependencies installs what the lockfile says, exactly, into a copy of the
// template in scratch, and returns its node_modules.
func (f factory) dependencies(ctx context.Context, b *bed.Bed, scratch string, env ...string) (string, error) {
	bunDir, err := bun.Ensure(ctx, b)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(scratch, "factory")
	for _, name := range f.files {
		data, err := os.ReadFile(filepath.Join(f.dir, name))
		if err != nil {
			return "", err
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			return "", err
		}
	}
	step.Progress("installing the factory repository's dependencies")
	cmd := exec.CommandContext(ctx, filepath.Join(bunDir, "bun"), "install",
		"--frozen-lockfile", "--ignore-scripts", "--no-progress")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("bun install of what the lockfile says: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return filepath.Join(dir, "node_modules"), nil
}

// Offline is a cache of Bun's that holds every package of the lockfile, so that
// `bun install` needs no registry. It is made once for each lockfile.
func Offline(ctx context.Context, b *bed.Bed) (string, error) {
	f, err := readFactory(b.Repo)
	if err != nil {
		return "", err
	}
	const prefix = "bun-cache-"
	share := filepath.Join(b.Cache, "share")
	path := filepath.Join(share, prefix+keyOf("bun "+bun.Version, f.lockfile)[:12])
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(share, 0o755); err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp("", "flywheel-offline-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	// A cache that was cut short must not pass for a whole one: it gets its name
	// only at the end.
	partial, err := os.MkdirTemp(share, prefix+"partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(partial)
	if _, err := f.dependencies(ctx, b, scratch, "BUN_INSTALL_CACHE_DIR="+partial); err != nil {
		return "", err
	}
	// Others read it than who made it.
	if err := os.Chmod(partial, 0o755); err != nil {
		return "", err
	}
	old, err := filepath.Glob(filepath.Join(share, prefix+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range old {
		if dir == partial {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return "", fmt.Errorf("remove the packages of another lockfile: %w", err)
		}
	}
	return path, os.Rename(partial, path)
}

// dependencyLayer takes the packages, with the compiler and linter that gates
// run. Source maps are for debuggers, and a third of the bytes.
func dependencyLayer(modules string) (Layer, error) {
	var layer Layer
	layer.Tree("/opt/factory/node_modules", modules, func(file string) bool {
		return path.Ext(file) != ".map"
	})
	// Their launchers want Node; the programs themselves don't.
	for tool, program := range map[string]string{
		"tsc":   "@typescript/typescript-linux-x64/lib/tsc",
		"biome": "@biomejs/cli-linux-x64/biome",
	} {
		if _, err := os.Stat(filepath.Join(modules, program)); err != nil {
			return Layer{}, fmt.Errorf("the lockfile's %s has no program for this platform: %w", tool, err)
		}
		layer.Symlink("/usr/local/bin/"+tool, "/opt/factory/node_modules/"+program)
	}
	return layer, nil
}

// kitLayer holds the kit and the root's configuration, and the empty directory
// a package is unpacked into. What lies there finds the dependencies by
// walking up, and a node_modules/@flywheel/kit of its own before this one.
func (f factory) kitLayer() Layer {
	var layer Layer
	for _, name := range f.files {
		layer.File("/opt/factory/"+name, filepath.Join(f.dir, name), 0o644)
	}
	layer.Dir("/opt/factory/work", 0o755)
	return layer
}
