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
func (f factory) dependencies(ctx context.Context, b *bed.Bed, scratch string) (string, error) {
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
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("bun install for the runtime image: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return filepath.Join(dir, "node_modules"), nil
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
