package image

import (
	"context"
	"debug/elf"
	"fmt"
	"path/filepath"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/build"
	"flywheel.prim.sh/e2e/testbed/internal/bun"
)

// Names of the images: the repository is localhost/flywheel/NAME.
const (
	Controller = "controller" // the controller, the gateway and their command line
	Runtime    = "runtime"    // what services and gates run in
	Pause      = "pause"      // the sandbox of every pod
)

// Gitleaks is the program that scans for secrets, in the images and before a
// push. Ensure takes its path as "gitleaks".
var Gitleaks = build.Binary{
	Name:    "gitleaks",
	Install: "github.com/zricethezav/gitleaks/v8@v8.30.1",
	Ldflags: "-s -w -X github.com/zricethezav/gitleaks/v8/version.Version=8.30.1",
	About:   "about 1 min",
}

// user runs everything but the sandbox. It owns no file in any image.
const user = "65532:65532"

// recipe is how one image is made.
type recipe struct {
	name string
	// inputs name everything that goes in; equal inputs, equal image.
	inputs []string
	// cook gathers the image's contents; files it makes go below scratch.
	cook func(ctx context.Context, scratch string) (Config, []Layer, error)
}

// recipeFor makes the named image's recipe. Programs are the paths of
// "flywheel" and "gitleaks", which other parts build.
func recipeFor(ctx context.Context, b *bed.Bed, name string, programs map[string]string) (recipe, error) {
	switch name {
	case Pause:
		return goProgram(ctx, b, name)
	case Controller:
		return controller(ctx, b, programs)
	case Runtime:
		return runtimeImage(ctx, b, programs)
	}
	return recipe{}, fmt.Errorf("there is no image %q", name)
}

// goProgram is an image of one static program from e2e/images.
func goProgram(ctx context.Context, b *bed.Bed, name string) (recipe, error) {
	program, err := build.Ensure(ctx, b, build.Binary{
		Name: name, Dir: "e2e/images", Package: "./" + name, Ldflags: "-s -w",
	})
	if err != nil {
		return recipe{}, err
	}
	sum, err := fileSum(program)
	if err != nil {
		return recipe{}, err
	}
	cook := func(context.Context, string) (Config, []Layer, error) {
		var layer Layer
		layer.File("/"+name, program, 0o755)
		layer.Dir("/tmp", 0o1777)
		return Config{User: user, Entrypoint: []string{"/" + name}}, []Layer{layer}, nil
	}
	return recipe{name, []string{sum}, cook}, nil
}

func controller(ctx context.Context, b *bed.Bed, programs map[string]string) (recipe, error) {
	debs, sums, err := common(ctx, b, programs)
	if err != nil {
		return recipe{}, err
	}
	cook := func(ctx context.Context, scratch string) (Config, []Layer, error) {
		base, err := baseLayer(ctx, debs, downloads(b), scratch)
		if err != nil {
			return Config{}, nil, err
		}
		own, err := flywheelLayer(ctx, programs["flywheel"], scratch)
		if err != nil {
			return Config{}, nil, err
		}
		return controllerConfig(versions(debs)), []Layer{base, gitleaksLayer(programs), own}, nil
	}
	return recipe{Controller, append(inputs(debs), sums...), cook}, nil
}

func controllerConfig(packages string) Config {
	return Config{
		User:       user,
		Entrypoint: []string{"/usr/local/bin/flywheel"},
		Env:        []string{"PATH=/usr/local/bin", "HOME=/tmp", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		WorkingDir: "/tmp",
		Labels:     map[string]string{"flywheel.prim.sh/base-packages": packages},
	}
}

func runtimeImage(ctx context.Context, b *bed.Bed, programs map[string]string) (recipe, error) {
	debs, sums, err := common(ctx, b, programs)
	if err != nil {
		return recipe{}, err
	}
	template, err := readFactory(b.Repo)
	if err != nil {
		return recipe{}, err
	}
	cook := func(ctx context.Context, scratch string) (Config, []Layer, error) {
		base, err := baseLayer(ctx, debs, downloads(b), scratch)
		if err != nil {
			return Config{}, nil, err
		}
		bunDir, err := bun.Ensure(ctx, b)
		if err != nil {
			return Config{}, nil, err
		}
		modules, err := template.dependencies(ctx, b, scratch)
		if err != nil {
			return Config{}, nil, err
		}
		dependencies, err := dependencyLayer(modules)
		if err != nil {
			return Config{}, nil, err
		}
		own, err := flywheelLayer(ctx, programs["flywheel"], scratch)
		if err != nil {
			return Config{}, nil, err
		}
		tools := gitleaksLayer(programs)
		tools.File("/usr/local/bin/bun", filepath.Join(bunDir, "bun"), 0o755)
		cfg := runtimeConfig(template.lockfile, versions(debs))
		// What changes most often comes last: containerd keeps the layers before it.
		return cfg, []Layer{base, tools, dependencies, template.kitLayer(), own}, nil
	}
	all := append(inputs(debs), sums...)
	return recipe{Runtime, append(all, "bun "+bun.Version, "template "+template.key), cook}, nil
}

func runtimeConfig(lockfile, packages string) Config {
	digest := "sha256:" + lockfile
	return Config{
		User:       user,
		Entrypoint: []string{"/usr/local/bin/bun"},
		Env: []string{
			"PATH=/usr/local/bin", "HOME=/tmp", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
			"NODE_ENV=production", "DO_NOT_TRACK=1",
			// The root file system is read-only where this image runs.
			"BUN_RUNTIME_TRANSPILER_CACHE_PATH=0",
			// A process can't read its image's labels.
			"FLYWHEEL_LOCKFILE_DIGEST=" + digest,
		},
		WorkingDir: "/opt/factory/work",
		Labels: map[string]string{
			"flywheel.prim.sh/lockfile-digest": digest,
			"flywheel.prim.sh/bun-version":     bun.Version,
			"flywheel.prim.sh/base-packages":   packages,
		},
	}
}

// common are the inputs that controller and runtime share.
func common(ctx context.Context, b *bed.Bed, programs map[string]string) (debs []deb, sums []string, err error) {
	for _, name := range []string{"flywheel", "gitleaks"} {
		if programs[name] == "" {
			return nil, nil, fmt.Errorf("the program %s is missing: build it first", name)
		}
		sum, err := programSum(b, name, programs[name])
		if err != nil {
			return nil, nil, err
		}
		sums = append(sums, name+" "+sum)
	}
	debs, err = offered(ctx, b)
	return debs, sums, err
}

func gitleaksLayer(programs map[string]string) Layer {
	var layer Layer
	layer.File("/usr/local/bin/gitleaks", programs["gitleaks"], 0o755)
	return layer
}

// flywheelLayer holds the controller's binary, without what only a debugger
// reads: that is most of a build that isn't for release.
func flywheelLayer(ctx context.Context, program, scratch string) (Layer, error) {
	var layer Layer
	debug, err := hasDebugInfo(program)
	if err != nil {
		return Layer{}, err
	}
	if debug {
		stripped := filepath.Join(scratch, "flywheel")
		if _, err := run(ctx, scratch, "strip", "--strip-debug", "-o", stripped, program); err != nil {
			return Layer{}, err
		}
		program = stripped
	}
	layer.File("/usr/local/bin/flywheel", program, 0o755)
	return layer, nil
}

func hasDebugInfo(program string) (bool, error) {
	file, err := elf.Open(program)
	if err != nil {
		return false, fmt.Errorf("%s is no program for Linux: %w", program, err)
	}
	defer file.Close()
	return file.Section(".debug_info") != nil, nil
}
