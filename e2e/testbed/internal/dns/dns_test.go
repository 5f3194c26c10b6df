package dns

import (
	"encoding/binary"
	"os"
	"os/exec"
	"strings"
	"testing"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

func TestFilesAreWhatBINDTakes(t *testing.T) {
	check, err := exec.LookPath("named-checkconf")
	if err != nil {
		t.Skip("named-checkconf is not installed")
	}
	b := &bed.Bed{Mode: bed.Full, State: t.TempDir()}
	if err := writeFiles(b); err != nil {
		t.Fatal(err)
	}
	// -z loads the zone too.
	out, err := exec.Command(check, "-z", b.Path("dns", "named.conf")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "zone prim.sh/IN: loaded serial 1") {
		t.Fatalf("%v: %s", err, out)
	}
	for _, file := range []string{FileKey, FileSecret} {
		info, err := os.Stat(b.Path(file))
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", file, mode)
		}
	}
}

func TestAZoneThatIsThereStays(t *testing.T) {
	b := &bed.Bed{Mode: bed.Full, State: t.TempDir()}
	if err := writeFiles(b); err != nil {
		t.Fatal(err)
	}
	zone := b.Path("dns", bed.Zone+".zone")
	if err := os.WriteFile(zone, []byte("; BIND's\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeFiles(b); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(zone); err != nil || string(data) != "; BIND's\n" {
		t.Fatalf("%v: %q", err, data)
	}
}

func TestAnswers(t *testing.T) {
	query := soaQuery("prim.sh")
	if got := string(query[headerSize:]); got != "\x04prim\x02sh\x00\x00\x06\x00\x01" {
		t.Fatalf("the question is %q", got)
	}
	good := append([]byte{}, query...)
	binary.BigEndian.PutUint16(good[2:], maskQR|maskAA)
	binary.BigEndian.PutUint16(good[6:], 1)
	if err := checkAnswer(query, good); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func([]byte) []byte{
		"not an answer to the question":  func(m []byte) []byte { m[0]++; return m },
		"refuses with code 5":            func(m []byte) []byte { m[3] |= 5; return m },
		"not the zone's authority":       func(m []byte) []byte { m[2] &^= 4; return m },
		"is empty":                       func(m []byte) []byte { m[7] = 0; return m },
		"not an answer to the question ": func(m []byte) []byte { return m[:4] },
	} {
		err := checkAnswer(query, spoil(append([]byte{}, good...)))
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
