package cluster

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestOnlyWhatNobodyUsesIsRemoved(t *testing.T) {
	root := t.TempDir()
	mine, theirs := filepath.Join(root, "mine"), filepath.Join(root, "theirs")
	for _, dir := range []string{filepath.Join(mine, "s"), filepath.Join(theirs, "s")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		dead, err := net.Listen("unix", filepath.Join(dir, "dead"))
		if err != nil {
			t.Fatal(err)
		}
		dead.(*net.UnixListener).SetUnlinkOnClose(false)
		dead.Close()
	}
	live, err := net.Listen("unix", filepath.Join(theirs, "s", "live"))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	config := filepath.Join(theirs, "config.yaml")
	if err := os.WriteFile(config, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{mine, theirs, filepath.Join(root, "never-there")} {
		if err := removeUnused(dir); err != nil {
			t.Error(err)
		}
	}
	for path, want := range map[string]bool{
		mine: false, filepath.Join(theirs, "s", "dead"): false, filepath.Join(theirs, "s", "live"): true, config: true,
	} {
		if _, err := os.Lstat(path); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", path, err == nil, want)
		}
	}
}
