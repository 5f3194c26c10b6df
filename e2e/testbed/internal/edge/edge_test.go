package edge

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

func newBed(t *testing.T) (*bed.Bed, []byte) {
	t.Helper()
	b := &bed.Bed{Mode: bed.Full, State: t.TempDir()}
	der, err := ensureClientCert(b)
	if err != nil {
		t.Fatal(err)
	}
	return b, der
}

func TestConfigIsWhatCaddyTakes(t *testing.T) {
	caddy, err := exec.LookPath("caddy")
	if err != nil {
		t.Skip("caddy is not installed")
	}
	b, der := newBed(t)
	base, _, err := prepareConfig(b, der)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(caddy, "validate", "--config", base)
	command.Env = append(os.Environ(), "XDG_DATA_HOME="+b.State, "XDG_CONFIG_HOME="+b.State, "HOME="+b.State)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestClientCertificateIsKeptWhilePairIsWhole(t *testing.T) {
	b, first := newBed(t)
	second, err := ensureClientCert(b)
	if err != nil || string(second) != string(first) {
		t.Fatalf("%v: made anew without need", err)
	}
	if info, err := os.Stat(b.Path(FileClientKey)); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v: the key's mode is %v", err, info.Mode())
	}
	if err := os.Remove(b.Path(FileClientKey)); err != nil {
		t.Fatal(err)
	}
	third, err := ensureClientCert(b)
	if err != nil || string(third) == string(first) {
		t.Fatalf("%v: a certificate without a key was kept", err)
	}
}

func TestSavedRoutesOutliveAChangeOfTheBase(t *testing.T) {
	b, der := newBed(t)
	saved := b.Path("edge", "config", "caddy", "autosave.json")
	if err := os.MkdirAll(filepath.Dir(saved), 0o755); err != nil {
		t.Fatal(err)
	}
	config, err := render([]byte("an older certificate"), []any{object{"@id": "route-a"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(saved, config, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, note, err := prepareConfig(b, der); err != nil || note != "" {
		t.Fatalf("%v, %q", err, note)
	}
	after, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	want, err := render(der, []any{object{"@id": "route-a"}})
	if err != nil || string(after) != string(want) {
		t.Errorf("%v: Caddy would resume from\n%s", err, after)
	}
}

func TestBrokenSavedFileCostsTheRoutesOnly(t *testing.T) {
	for _, broken := range []string{"", `{"apps":`, `{"apps":{}}`} {
		b, der := newBed(t)
		saved := b.Path("edge", "config", "caddy", "autosave.json")
		if err := os.MkdirAll(filepath.Dir(saved), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(saved, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		_, note, err := prepareConfig(b, der)
		if err != nil || !strings.Contains(note, "routes lost") {
			t.Errorf("%q: %v, %q", broken, err, note)
		}
		after, err := os.ReadFile(saved)
		if err != nil || !json.Valid(after) {
			t.Errorf("%q: %v, left as %q", broken, err, after)
		}
	}
}
