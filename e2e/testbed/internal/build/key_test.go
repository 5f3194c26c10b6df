package build

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func keyOf(t *testing.T, repo string, bin Binary, version string) string {
	t.Helper()
	key, err := bin.key(repo, version)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKeyFollowsWhatGoesIntoTheBinary(t *testing.T) {
	repo := t.TempDir()
	put(t, filepath.Join(repo, "m/main.go"), "package main")
	put(t, filepath.Join(repo, "m/go.sum"), "one")
	bin := Binary{Name: "m", Dir: "m"}
	base := keyOf(t, repo, bin, "go1.25")

	put(t, filepath.Join(repo, "m/main_test.go"), "package main")
	put(t, filepath.Join(repo, "m/.hidden"), "x")
	if got := keyOf(t, repo, bin, "go1.25"); got != base {
		t.Error("a test or hidden file changed the key")
	}
	flags := bin
	flags.Ldflags = "-s"
	changed := map[string]string{
		"flags":   keyOf(t, repo, flags, "go1.25"),
		"version": keyOf(t, repo, bin, "go1.26"),
	}
	put(t, filepath.Join(repo, "m/go.sum"), "two")
	changed["go.sum"] = keyOf(t, repo, bin, "go1.25")
	for what, key := range changed {
		if key == base {
			t.Errorf("a change of %s kept the key", what)
		}
	}
}

func TestPruneKeepsTheLastUsedOfOneName(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for name, age := range map[string]time.Duration{
		"runsc-000000000001": 3, "runsc-000000000002": 2, "runsc-000000000003": 1,
		"runsc-shim-000000000001": 9,
	} {
		put(t, filepath.Join(dir, name, "x"), "")
		when := now.Add(-age * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(dir, "runsc"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"runsc-000000000001": false, "runsc-000000000002": true, "runsc-000000000003": true,
		"runsc-shim-000000000001": true,
	} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s exists: %t, want %t", name, err == nil, want)
		}
	}
}

func TestTrimRemovesTheOldestFirst(t *testing.T) {
	dir := t.TempDir()
	old, recent := filepath.Join(dir, "aa/old"), filepath.Join(dir, "bb/recent")
	put(t, old, "12345")
	put(t, recent, "12345")
	when := time.Now().Add(-time.Hour)
	if err := os.Chtimes(old, when, when); err != nil {
		t.Fatal(err)
	}
	files, total, err := sizes(dir)
	if err != nil || total != 10 {
		t.Fatalf("total = %d, %v; want 10", total, err)
	}
	if err := trim(files, total, 0, when); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err != nil {
		t.Fatal("a file went that a build may be about to read")
	}
	if err := trim(files, total, 7, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the oldest file stayed")
	}
	if _, err := os.Stat(recent); err != nil {
		t.Error("the newest file went")
	}
}

func TestTheWholeCacheIsKeptWithinItsLimit(t *testing.T) {
	cache := t.TempDir()
	now := time.Now()
	for name, age := range map[string]time.Duration{
		"bin/helm-000000000001/helm":                30,
		"go-build/aa/old":                           9,
		"target/debug/incremental/old-1/s-1/part":   8,
		"target/debug/incremental/old-1/s-1/second": 7,
		"target/debug/incremental/new-2/s-1/part":   0,
		"target/debug/deps/old.rlib":                6,
		"target/debug/deps/older.rlib":              7,
	} {
		path := filepath.Join(cache, name)
		put(t, path, "0123456789")
		when := now.Add(-age * time.Hour)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := limit(cache, 30, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"bin/helm-000000000001/helm": true, "go-build/aa/old": false,
		"target/debug/incremental/old-1": false, "target/debug/incremental/new-2/s-1/part": true,
		"target/debug/deps/older.rlib": false, "target/debug/deps/old.rlib": true,
	} {
		if _, err := os.Stat(filepath.Join(cache, name)); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", name, err == nil, want)
		}
	}
}

func TestPackagesAreToldFromMessages(t *testing.T) {
	for line, want := range map[string]bool{
		"k8s.io/api/core/v1": true, "runtime": true,
		"go: downloading x v1.0.0": false, "# example.com/m": false, "./main.go:3:1: syntax error": false, "": false,
	} {
		if got := isPackage(line); got != want {
			t.Errorf("isPackage(%q) = %t, want %t", line, got, want)
		}
	}
}
