// Package bun provides Bun, the runtime of the services, from its package on
// npm: for the images, and for whoever works on a factory repository.
package bun

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

// Version is the one that the factory repository's template asks for.
const Version = "1.4.5"

// The platform's own package: the one called "bun" needs an install script.
const (
	platform  = "linux/amd64"
	pkg       = "@oven/bun-linux-x64@" + Version
	integrity = "IWX9BELoGHAUtMonkeSaNaZwXzRk+oDw6Mk+HBFXd3KHYIBNBsIGRupMZPcgNoDbJpLu6gAJjIoIVPZtt1aJ1g=="
)

// Ensure returns the directory that holds bun and bunx, fetching them the
// first time.
func Ensure(ctx context.Context, b *bed.Bed) (dir string, err error) {
	if here := runtime.GOOS + "/" + runtime.GOARCH; here != platform {
		return "", fmt.Errorf("bun is fetched for %s alone, this is %s: put bun %s on the PATH yourself", platform, here, Version)
	}
	dir = filepath.Join(b.Cache, "tools", "bun-"+Version)
	if _, err := os.Stat(filepath.Join(dir, "bun")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), ".bun-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	step.Progress("fetching bun %s from npm (50 MB)", Version)
	if err := fetch(ctx, unfinished); err != nil {
		return "", fmt.Errorf("fetch bun %s: %w", Version, err)
	}
	if err := os.Symlink("bun", filepath.Join(unfinished, "bunx")); err != nil {
		return "", err
	}
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, "bun")); there == nil {
			return dir, nil // another command was faster
		}
		return "", err
	}
	return dir, nil
}

// fetch packs the npm package, checks it and leaves the program as dir/bun.
func fetch(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "npm", "pack", pkg, "--silent", "--pack-destination", dir)
	cmd.Dir = dir // no project's package.json or .npmrc may take part
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("npm is missing: install Node.js with npm")
	}
	if err != nil {
		return fmt.Errorf("npm pack %s: %w\n%s", pkg, err, strings.TrimSpace(said.String()))
	}
	lines := strings.Fields(string(out))
	if len(lines) == 0 {
		return fmt.Errorf("npm pack %s named no file", pkg)
	}
	archive := filepath.Join(dir, filepath.Base(lines[len(lines)-1]))
	data, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	sum := sha512.Sum512(data)
	if got := base64.StdEncoding.EncodeToString(sum[:]); got != integrity {
		return fmt.Errorf("npm delivered another %s than expected: sha512-%s, want sha512-%s", pkg, got, integrity)
	}
	if err := extract(data, filepath.Join(dir, "bun")); err != nil {
		return err
	}
	return os.Remove(archive)
}

// extract writes the program in the package to dst.
func extract(archive []byte, dst string) error {
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	for files := tar.NewReader(plain); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s holds no bin/bun", pkg)
		}
		if err != nil {
			return err
		}
		if header.Name != "package/bin/bun" {
			continue
		}
		file, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
		if err != nil {
			return err
		}
		if _, err := io.Copy(file, files); err != nil {
			file.Close()
			return err
		}
		return file.Close()
	}
}
