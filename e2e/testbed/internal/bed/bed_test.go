package bed

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDirectoriesAreNamedWithoutLinks(t *testing.T) {
	dir, err := Real(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.Mkdir(target, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FLYWHEEL_STATE", filepath.Join(link, "not", "there", "yet"))
	t.Setenv("FLYWHEEL_CACHE", link+"/")
	b, err := New(ControlPlane, "")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(target, "not", "there", "yet", "control-plane"); b.State != want {
		t.Errorf("state is %s, want %s", b.State, want)
	}
	if b.Cache != target {
		t.Errorf("cache is %s, want %s", b.Cache, target)
	}
}
