package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
)

var program = Program{Name: "bun", Package: "bun", Version: "1", File: "package/bin/bun"}

func packed(t *testing.T, name, contents string) []byte {
	t.Helper()
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)
	header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(contents))}
	if err := archive.WriteHeader(&header); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write([]byte(contents)); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressed.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestExtractTakesTheProgramAlone(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "bun")
	if err := program.extract(packed(t, "package/bin/bun", "program"), dst); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dst)
	if err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Errorf("not executable: %v, %v", info, err)
	}
}

func TestExtractSaysWhenThereIsNoProgram(t *testing.T) {
	if err := program.extract(packed(t, "../bun", "x"), filepath.Join(t.TempDir(), "bun")); err == nil {
		t.Error("a package without bin/bun was accepted")
	}
}
