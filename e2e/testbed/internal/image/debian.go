package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

const (
	architecture = "amd64"
	triplet      = "x86_64-linux-gnu"
)

// basePackages are what a glibc program needs, and the certificate authorities.
var basePackages = []string{"ca-certificates", "libc6", "libgcc-s1", "libstdc++6"}

// gccBase is the package with the licence of libgcc and libstdc++; its name has
// the compiler's version.
var gccBase = regexp.MustCompile(`gcc-[0-9]+-base`)

// deb is one package as apt offers it on this machine. Taking those versions
// means that a program linked here finds in the image what it was linked with.
type deb struct {
	file string // libc6_2.36-9+deb12u14_amd64.deb
	sum  string // SHA-256 of the file
}

// pinned names exactly those versions for apt: libc6=2.36-9+deb12u14.
func pinned(debs []deb) []string {
	var all []string
	for _, d := range debs {
		name, rest, _ := strings.Cut(d.file, "_")
		version, _, _ := strings.Cut(rest, "_")
		// A file's name spells the colon of an epoch like a URL.
		all = append(all, name+"="+strings.ReplaceAll(version, "%3a", ":"))
	}
	return all
}

// versions lists the packages for the image's label: libc6=2.36-9+deb12u14 …
func versions(debs []deb) string { return strings.Join(pinned(debs), " ") }

// inputs names the packages exactly, for an image's key.
func inputs(debs []deb) []string {
	var all []string
	for _, d := range debs {
		all = append(all, d.file+" "+d.sum)
	}
	return all
}

// downloads is where packages are kept.
func downloads(b *bed.Bed) string { return filepath.Join(b.Cache, "debs") }

// fetch downloads into dir what is not there yet, and removes what is not asked
// for: an image is assembled again with every build of its program, its packages
// change with Debian's archive.
func fetch(ctx context.Context, debs []deb, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var missing []deb
	wanted := map[string]bool{}
	for _, d := range debs {
		wanted[d.file] = true
		if sum, err := fileSum(filepath.Join(dir, d.file)); err != nil || sum != d.sum {
			missing = append(missing, d)
		}
	}
	if len(missing) > 0 {
		step.Progress("fetching %s", versions(missing))
		// The sandbox user of apt may not write to dir.
		args := append([]string{"download", "-q", "-o", "APT::Sandbox::User=root"}, pinned(missing)...)
		if _, err := run(ctx, dir, "apt-get", args...); err != nil {
			return fmt.Errorf("%w\nif a version is gone from the archive, run apt-get update", err)
		}
	}
	for _, d := range missing {
		sum, err := fileSum(filepath.Join(dir, d.file))
		if err != nil {
			return err
		}
		if sum != d.sum {
			return fmt.Errorf("apt delivered another %s than it offered: run it again", d.file)
		}
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range old {
		if !wanted[entry.Name()] {
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// baseLayer unpacks the packages into scratch and takes what a program needs
// at run time: no shell, no package manager, nothing that can be run. Packages
// are kept in downloads.
func baseLayer(ctx context.Context, debs []deb, downloads, scratch string) (Layer, error) {
	root := filepath.Join(scratch, "debian")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return Layer{}, err
	}
	if err := fetch(ctx, debs, downloads); err != nil {
		return Layer{}, err
	}
	for _, d := range debs {
		if _, err := run(ctx, scratch, "dpkg-deb", "-x", filepath.Join(downloads, d.file), root); err != nil {
			return Layer{}, err
		}
	}
	authorities, err := bundle(filepath.Join(root, "usr/share/ca-certificates"))
	if err != nil {
		return Layer{}, err
	}
	layer := merged(root)
	layer.Data("/etc/ssl/certs/ca-certificates.crt", authorities, 0o644)
	layer.Data("/etc/passwd", []byte("root:x:0:0:root:/:/sbin/nologin\nflywheel:x:65532:65532:flywheel:/tmp:/sbin/nologin\n"), 0o644)
	layer.Data("/etc/group", []byte("root:x:0:\nflywheel:x:65532:\n"), 0o644)
	layer.Data("/etc/nsswitch.conf", []byte("passwd: files\ngroup: files\nhosts: files dns\n"), 0o644)
	layer.Dir("/tmp", 0o1777)
	return layer, nil
}

// merged takes libraries and licences. Everything goes below /usr, with links
// from the places of old, as whole systems have it: packages of older releases
// hold both forms.
func merged(root string) Layer {
	var layer Layer
	libraries := func(file string) bool {
		return path.Dir(file) == triplet && strings.Contains(path.Base(file), ".so")
	}
	for _, dir := range []string{"lib", "usr/lib"} {
		if isDir(filepath.Join(root, dir)) {
			layer.Tree("/usr/lib", filepath.Join(root, dir), libraries)
		}
	}
	for _, dir := range []string{"lib64", "usr/lib64"} {
		if isDir(filepath.Join(root, dir)) {
			layer.Tree("/usr/lib64", filepath.Join(root, dir), nil)
		}
	}
	layer.Symlink("/lib", "usr/lib")
	layer.Symlink("/lib64", "usr/lib64")
	layer.Tree("/usr/share/doc", filepath.Join(root, "usr/share/doc"), func(file string) bool {
		// libstdc++6 and the like are links to the directory with their licence.
		return path.Base(file) == "copyright" || path.Dir(file) == "."
	})
	return layer
}

// bundle makes the one file of all authorities, which Debian makes when the
// package is installed.
func bundle(dir string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "mozilla", "*.crt"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("the package ca-certificates holds no certificates")
	}
	sort.Strings(files)
	var all bytes.Buffer
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all.Write(bytes.TrimSpace(data))
		all.WriteByte('\n')
	}
	return all.Bytes(), nil
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// fileSum is the SHA-256 of a file's contents.
func fileSum(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := file.WriteTo(hash); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// run runs a program in dir and returns what it printed. An error holds what
// it said.
func run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%s is missing: install the package that has it (%s)", name, packageOf[name])
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return out, nil
}

var packageOf = map[string]string{
	"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg", "strip": "binutils", "ctr": "containerd",
}
