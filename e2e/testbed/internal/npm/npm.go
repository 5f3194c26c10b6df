// Package npm fetches single programs from npm's packages for one platform: without
// install scripts, and exactly the bytes that were pinned.
package npm

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

// platform is the one that the pinned packages are for.
const platform = "linux/amd64"

// Program is one file of a package.
type Program struct {
	// Name is the program's file name, and the first half of its directory's.
	Name string
	// Package is npm's name of it, without the version.
	Package string
	Version string
	// Integrity is the archive's SHA-512 in base64.
	Integrity string
	// File is its path in the archive.
	File string
	// Links are further names of it.
	Links []string
	// Size says what to expect: "50 MB".
	Size string
}

func (p Program) pkg() string { return p.Package + "@" + p.Version }

// Ensure returns the directory that holds the program, fetching it the first time.
func (p Program) Ensure(ctx context.Context, b *bed.Bed) (dir string, err error) {
	if here := runtime.GOOS + "/" + runtime.GOARCH; here != platform {
		return "", fmt.Errorf("%s is fetched for %s alone, this is %s: put %s %s on the PATH yourself", p.Name, platform, here, p.Name, p.Version)
	}
	dir = filepath.Join(b.Cache, "tools", p.Name+"-"+p.Version)
	if _, err := os.Stat(filepath.Join(dir, p.Name)); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "."+p.Name+"-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	step.Progress("fetching %s %s from npm (%s)", p.Name, p.Version, p.Size)
	if err := p.fetch(ctx, unfinished); err != nil {
		return "", fmt.Errorf("fetch %s %s: %w", p.Name, p.Version, err)
	}
	for _, link := range p.Links {
		if err := os.Symlink(p.Name, filepath.Join(unfinished, link)); err != nil {
			return "", err
		}
	}
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, p.Name)); there == nil {
			return dir, nil // another command was faster
		}
		return "", err
	}
	return dir, nil
}

// fetch packs the npm package, checks it and leaves the program in dir.
func (p Program) fetch(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "npm", "pack", p.pkg(), "--silent", "--pack-destination", dir)
	cmd.Dir = dir // no project's package.json or .npmrc may take part
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("npm is missing: install Node.js with npm")
	}
	if err != nil {
		return fmt.Errorf("npm pack %s: %w\n%s", p.pkg(), err, strings.TrimSpace(said.String()))
	}
	lines := strings.Fields(string(out))
	if len(lines) == 0 {
		return fmt.Errorf("npm pack %s named no file", p.pkg())
	}
	archive := filepath.Join(dir, filepath.Base(lines[len(lines)-1]))
	data, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	sum := sha512.Sum512(data)
	if got := base64.StdEncoding.EncodeToString(sum[:]); got != p.Integrity {
		return fmt.Errorf("npm delivered another %s than expected: sha512-%s, want sha512-%s", p.pkg(), got, p.Integrity)
	}
	if err := p.extract(data, filepath.Join(dir, p.Name)); err != nil {
		return err
	}
	return os.Remove(archive)
}

// extract writes the program in the package to dst.
func (p Program) extract(archive []byte, dst string) error {
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	for files := tar.NewReader(plain); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s holds no %s", p.pkg(), strings.TrimPrefix(p.File, "package/"))
		}
		if err != nil {
			return err
		}
		if header.Name != p.File {
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
