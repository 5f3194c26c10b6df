// Package build makes the Go programs that the test bed runs and keeps them in
// the cache, each under a key of everything that went into it.
package build

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

// progressEvery is how often a long build says that it is alive.
const progressEvery = 20 * time.Second

// Binary describes one Go program: either a package of a module in the
// repository (Dir, Package) or a published one (Install).
type Binary struct {
	// Name is the file's name, and the first half of its directory in the cache.
	Name string
	// Dir is the module's directory, relative to the repository.
	Dir string
	// Package is the main package in Dir; "." when empty.
	Package string
	// Install is a published main package with its exact version, for example
	// "helm.sh/helm/v3/cmd/helm@v3.19.0". Dir and Package are empty then.
	Install string
	// Tags and Ldflags are passed to the go command.
	Tags    string
	Ldflags string
	// Go is the exact toolchain to build with ("go1.24.11"), for programs that
	// reach into the runtime of one; empty means the installed one.
	Go string
	// CGO links against the machine's C library; without it the program is static.
	CGO bool
	// About says what to expect of a first build: "about 4 min".
	About string
}

// Ensure returns the path of the built program, building it when no build of
// exactly these sources, flags and Go version is cached. One build runs at a
// time on the machine.
func Ensure(ctx context.Context, b *bed.Bed, bin Binary) (path string, err error) {
	goVersion, err := goVersion(ctx)
	if err != nil {
		return "", err
	}
	if bin.Go != "" {
		goVersion = bin.Go
	}
	key, err := bin.key(b.Repo, goVersion)
	if err != nil {
		return "", fmt.Errorf("build key of %s: %w", bin.Name, err)
	}
	dir := filepath.Join(b.Cache, "bin", bin.Name+"-"+key)
	path = filepath.Join(dir, bin.Name)
	if used(dir, path) {
		return path, nil
	}
	unlock, err := lock(ctx, filepath.Join(b.Cache, "build.lock"), bin.Name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if used(dir, path) {
		return path, nil // another command built it while this one waited
	}
	if err := bin.build(ctx, b, dir); err != nil {
		return "", fmt.Errorf("build %s: %w", bin.Name, err)
	}
	if err := prune(filepath.Join(b.Cache, "bin"), bin.Name); err != nil {
		return "", fmt.Errorf("prune old builds of %s: %w", bin.Name, err)
	}
	if err := trimGo(b.Cache, cacheLimit, time.Now().Add(-inUse)); err != nil {
		return "", fmt.Errorf("trim Go's build cache: %w", err)
	}
	return path, nil
}

// used says whether the build exists and, for prune, notes that it is in use.
func used(dir, path string) bool {
	if _, err := os.Stat(path); err != nil {
		return false
	}
	now := time.Now()
	// Only the order of pruning depends on it; a read-only cache still serves.
	_ = os.Chtimes(dir, now, now)
	return true
}

func goVersion(ctx context.Context) (string, error) {
	// GOTOOLCHAIN=local: the version that builds is the one that is installed.
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local")
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("the go command is missing: install Go 1.26.2 or newer (https://go.dev/dl) and put it on the PATH")
	}
	if err != nil {
		return "", fmt.Errorf("go env GOVERSION: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (bin Binary) args(dir string) []string {
	args := []string{"build", "-o", filepath.Join(dir, bin.Name)}
	if bin.Install != "" {
		args = []string{"install"}
	}
	// The state of the checkout is no part of what is built.
	args = append(args, "-v", "-trimpath", "-buildvcs=false")
	if bin.Tags != "" {
		args = append(args, "-tags", bin.Tags)
	}
	if bin.Ldflags != "" {
		args = append(args, "-ldflags", bin.Ldflags)
	}
	switch {
	case bin.Install != "":
		return append(args, bin.Install)
	case bin.Package != "":
		return append(args, bin.Package)
	}
	return append(args, ".")
}

func (bin Binary) env(b *bed.Bed, dir string) []string {
	cgo := "0"
	if bin.CGO {
		cgo = "1"
	}
	// GOFLAGS and GOWORK of the user's would change what is built behind the key.
	return append(os.Environ(), "CGO_ENABLED="+cgo, "GOCACHE="+filepath.Join(b.Cache, "go-build"),
		"GOTOOLCHAIN="+bin.toolchain(), "GOFLAGS=", "GOWORK=off", "GOBIN="+dir)
}

func (bin Binary) toolchain() string {
	if bin.Go != "" {
		return bin.Go
	}
	return "local"
}

// build runs the go command into a directory beside dir and moves it there
// whole, so that an interrupted build leaves nothing that looks finished.
func (bin Binary) build(ctx context.Context, b *bed.Bed, dir string) error {
	unfinished := dir + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.MkdirAll(unfinished, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", bin.args(unfinished)...)
	cmd.Env = bin.env(b, unfinished)
	if bin.Install == "" {
		cmd.Dir = filepath.Join(b.Repo, bin.Dir)
	} else {
		cmd.Dir = unfinished // no go.mod above may take part
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	about := ""
	if bin.About != "" {
		about = " (" + bin.About + " the first time)"
	}
	step.Progress("building %s%s", bin.Name, about)
	if err := cmd.Start(); err != nil {
		return err
	}
	said := watch(bin.Name, stderr)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(cmd.Args[1:], " "), err, said)
	}
	if _, err := os.Stat(filepath.Join(unfinished, bin.Name)); err != nil {
		return fmt.Errorf("go %s made no file %s", strings.Join(cmd.Args[1:], " "), bin.Name)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(unfinished, dir)
}

// watch reads the go command's output to its end, says now and then how many
// packages it compiled, and returns what it said besides their names.
func watch(name string, output io.Reader) string {
	begin, shown, packages := time.Now(), time.Now(), 0
	var said bytes.Buffer
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if isPackage(line) {
			packages++
		} else {
			fmt.Fprintln(&said, line)
		}
		if time.Since(shown) > progressEvery {
			shown = time.Now()
			step.Progress("building %s: %d packages, %s", name, packages, time.Since(begin).Round(time.Second))
		}
	}
	return said.String()
}

// isPackage tells the names that `go build -v` prints from its messages.
func isPackage(line string) bool {
	return line != "" && !strings.ContainsAny(line, " \t:#")
}
