package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

// Crate is a Rust package of programs with a lockfile of its own, whose sources all
// lie in src.
type Crate struct {
	// Name is the first half of its directory in the cache.
	Name string
	// Programs are the names of what it makes.
	Programs []string
	// Dir is the package's directory, relative to the repository.
	Dir string
	// About says what to expect of a first build: "about 4 min".
	About string
}

// EnsureCrate is Ensure for Rust programs, and returns the directory that holds them.
// What cargo compiled on the way is not kept: they change seldom, and their
// dependencies take a gigabyte.
func EnsureCrate(ctx context.Context, b *bed.Bed, crate Crate) (dir string, err error) {
	key, err := crate.key(ctx, b.Repo)
	if err != nil {
		return "", fmt.Errorf("build key of %s: %w", crate.Name, err)
	}
	dir = filepath.Join(b.Cache, "bin", crate.Name+"-"+key)
	if used(dir, dir) {
		return dir, nil
	}
	unlock, err := lock(ctx, filepath.Join(b.Cache, "build.lock"), crate.Name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if used(dir, dir) {
		return dir, nil // another command built it while this one waited
	}
	if err := crate.build(ctx, b, dir); err != nil {
		return "", fmt.Errorf("build %s: %w", crate.Name, err)
	}
	if err := prune(filepath.Join(b.Cache, "bin"), crate.Name); err != nil {
		return "", fmt.Errorf("prune old builds of %s: %w", crate.Name, err)
	}
	return dir, nil
}

// key names everything that goes into the programs: the compiler, the platform and
// each file. The dependencies are in it by Cargo.lock.
func (c Crate) key(ctx context.Context, repo string) (string, error) {
	dir := filepath.Join(repo, c.Dir)
	cmd := exec.CommandContext(ctx, "rustc", "--version")
	cmd.Dir = dir // rust-toolchain.toml above it chooses
	version, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("rustc is missing: install Rust with rustup (https://rustup.rs), which then takes the version that rust-toolchain.toml names")
	}
	if err != nil {
		return "", fmt.Errorf("rustc --version: %w", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s\n", version, runtime.GOOS, runtime.GOARCH)
	for _, name := range []string{"Cargo.toml", "Cargo.lock"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", name, len(data))
		h.Write(data)
	}
	if err := hashModule(h, filepath.Join(dir, "src")); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// build compiles in a directory of its own beside dir, and moves the programs alone
// to where they are looked for.
func (c Crate) build(ctx context.Context, b *bed.Bed, dir string) error {
	// Whatever the key: an attempt goes on where another was interrupted.
	target := filepath.Join(b.Cache, "bin", c.Name+".unfinished")
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	step.Progress("building %s (%s the first time)", c.Name, c.About)
	cmd := exec.CommandContext(ctx, "cargo", "build", "--locked", "--quiet")
	cmd.Dir = filepath.Join(b.Repo, c.Dir)
	// What the user's environment sets for the checkout's own builds is not for this one.
	cmd.Env = append(os.Environ(), "CARGO_TARGET_DIR="+target, "RUSTC_WORKSPACE_WRAPPER=", "RUSTFLAGS=")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cargo build: %w\n%s", err, strings.TrimSpace(said.String()))
	}
	done := filepath.Join(target, "done")
	if err := os.MkdirAll(done, 0o755); err != nil {
		return err
	}
	for _, program := range c.Programs {
		if err := os.Rename(filepath.Join(target, "debug", program), filepath.Join(done, program)); err != nil {
			return err
		}
	}
	if err := os.Rename(done, dir); err != nil {
		return err
	}
	return os.RemoveAll(target)
}
