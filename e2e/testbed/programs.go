package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/build"
	"flywheel.prim.sh/e2e/testbed/internal/bun"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/doubles"
	"flywheel.prim.sh/e2e/testbed/internal/forge"
	"flywheel.prim.sh/e2e/testbed/internal/image"
	"flywheel.prim.sh/e2e/testbed/internal/install"
	"flywheel.prim.sh/e2e/testbed/internal/payments"
	"flywheel.prim.sh/e2e/testbed/internal/runner"
	"flywheel.prim.sh/e2e/testbed/internal/step"
	"flywheel.prim.sh/e2e/testbed/internal/tools"
)

// helmBinary is pinned: a module proxy may not list the newest versions, but
// serves what is asked for exactly.
var helmBinary = build.Binary{
	Name: "helm", Install: "helm.sh/helm/v3/cmd/helm@v3.19.0", Ldflags: "-s -w", About: "about 2 min",
}

// programs are the paths of everything that was built.
type programs struct {
	cluster  cluster.Binaries
	helm     string
	gitleaks string
	forge    string
	payments payments.Programs
	doubles  string // directory of the scripted model and vendor
	bun      string // directory with bun and bunx
	runner   runner.Programs
	images   []image.Image
}

// ensurePrograms builds what the bed's mode needs, as far as it is not cached.
// In the full bed these include Flywheel itself and the images.
func ensurePrograms(ctx context.Context, b *bed.Bed) (programs, error) {
	var p programs
	err := step.Run("programs", func() (string, error) {
		begin := time.Now()
		if err := build.Limit(b); err != nil {
			return "", fmt.Errorf("keep %s within its limit: %w", b.Cache, err)
		}
		if err := p.ensure(ctx, b); err != nil {
			return "", err
		}
		if time.Since(begin) > 5*time.Second {
			return "built", nil
		}
		return "cached", nil
	})
	if err != nil || b.Mode != bed.Full {
		return p, err
	}
	own := map[string]string{"gitleaks": p.gitleaks}
	if err := step.Run("flywheel", func() (string, error) {
		if _, err := exec.LookPath("cargo"); err != nil {
			return "", errors.New("cargo is missing: install Rust with rustup (https://rustup.rs), which then takes the version that rust-toolchain.toml names")
		}
		own["flywheel"], err = install.Build(ctx, b)
		p.runner.Flywheel = own["flywheel"]
		return "compiled", err
	}); err != nil {
		return p, err
	}
	return p, step.Run("images", func() (string, error) {
		p.images, err = image.EnsureAll(ctx, b, own)
		return fmt.Sprintf("%d in the cache", len(p.images)), err
	})
}

func (p *programs) ensure(ctx context.Context, b *bed.Bed) (err error) {
	if p.cluster, err = cluster.Build(ctx, b); err != nil || !b.Mode.Servers() {
		return err
	}
	if p.gitleaks, err = build.Ensure(ctx, b, image.Gitleaks); err != nil {
		return err
	}
	if p.forge, err = forge.Build(ctx, b); err != nil {
		return err
	}
	if p.payments, err = payments.Build(ctx, b); err != nil {
		return err
	}
	if p.doubles, err = doubles.Build(ctx, b); err != nil || b.Mode != bed.Full {
		return err
	}
	if p.helm, err = build.Ensure(ctx, b, helmBinary); err != nil {
		return err
	}
	if p.bun, err = bun.Ensure(ctx, b); err != nil {
		return err
	}
	p.runner, err = runnerPrograms(ctx, b, p.bun)
	return err
}

// runnerPrograms are the forge's runner and what its jobs need, but Flywheel.
func runnerPrograms(ctx context.Context, b *bed.Bed, bunDir string) (p runner.Programs, err error) {
	p.Bun = filepath.Join(bunDir, "bun")
	if p.Runner, err = runner.Build(ctx, b); err != nil {
		return p, err
	}
	p.Cache, err = image.Offline(ctx, b)
	return p, err
}

// programDir prints the directory that holds the named program, so that a script
// which needs that one alone can put it on its PATH.
func programDir(ctx context.Context, b *bed.Bed, args []string) error {
	step.ToStderr()
	if len(args) != 1 {
		return errors.New("program takes one name: helm, bun or gitleaks")
	}
	var dir string
	var err error
	switch args[0] {
	case "bun":
		dir, err = bun.Ensure(ctx, b)
	case "helm", "gitleaks":
		binary := map[string]build.Binary{"helm": helmBinary, "gitleaks": image.Gitleaks}[args[0]]
		dir, err = build.Ensure(ctx, b, binary)
		dir = filepath.Dir(dir)
	default:
		return fmt.Errorf("there is no program %q: helm, bun or gitleaks", args[0])
	}
	if err != nil {
		return err
	}
	_, err = fmt.Println(dir)
	return err
}

// binDir holds links to the tools for people, to be put on the PATH.
func binDir(b *bed.Bed) string { return b.Path("bin") }

// link makes the links in binDir.
func link(b *bed.Bed, p programs) error {
	links := map[string]string{"kubectl": p.cluster.Cluster}
	if b.Mode.Servers() {
		links["gitleaks"] = p.gitleaks
	}
	if b.Mode == bed.Full {
		links["helm"] = p.helm
		links["bun"] = filepath.Join(p.bun, "bun")
		links["bunx"] = filepath.Join(p.bun, "bunx")
	}
	if err := os.MkdirAll(binDir(b), 0o755); err != nil {
		return err
	}
	for name, target := range links {
		path := filepath.Join(binDir(b), name)
		if now, err := os.Readlink(path); err == nil && now == target {
			continue
		}
		temporary := path + ".new"
		_ = os.Remove(temporary) // left by a run that was killed, or not there
		if err := os.Symlink(target, temporary); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
		if err := os.Rename(temporary, path); err != nil {
			return err
		}
	}
	return nil
}

func buildAll(ctx context.Context, b *bed.Bed, _ []string) error {
	if b.Mode == bed.Kubeconfig {
		fmt.Println("nothing is built in this mode")
		return nil
	}
	if b.Mode.Servers() {
		// The images are made with some of them.
		if err := step.Run("tools", func() (string, error) { return tools.Ensure(ctx) }); err != nil {
			return err
		}
	}
	_, err := ensurePrograms(ctx, b)
	return err
}
