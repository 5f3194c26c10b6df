package secretfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestEnsureKeepsTheFirstValueAndHidesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "part", "token")
	first, err := Ensure(path, Random)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Ensure(path, Random)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != 64 || first != second {
		t.Fatalf("got %d characters, and the same value again: %v", len(first), first == second)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode is %o, want 600", mode)
	}
}

func TestReadOfNothingIsEmpty(t *testing.T) {
	value, err := Read(filepath.Join(t.TempDir(), "none"))
	if value != "" || err != nil {
		t.Fatalf("got %q, %v", value, err)
	}
}
