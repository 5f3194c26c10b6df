package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// key names everything that goes into the binary: what is asked for, the Go
// version, and each file of the module. The module's dependencies are in it by
// go.sum.
func (bin Binary) key(repo, goVersion string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, goVersion, runtime.GOOS, runtime.GOARCH, bin.Package, bin.Install, bin.CGO)
	fmt.Fprintf(h, "%q %q\n", bin.Tags, bin.Ldflags)
	if bin.Install == "" {
		if err := hashModule(h, filepath.Join(repo, bin.Dir)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// hashModule takes in every file that a build may read. Tests don't count, nor
// do hidden files and what the go command itself ignores.
func hashModule(h hash.Hash, dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if path != dir && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %d\n", relative, len(data))
		h.Write(data)
		return nil
	})
}
