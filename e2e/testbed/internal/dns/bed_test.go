//go:build bed

package dns

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/bedtest"
)

// These tests have a host of their own, where nothing but the name server runs.
func TestMain(m *testing.M) {
	bedtest.PartMain(m, func(context.Context, *bed.Bed) error { return nil })
}

func setup(t *testing.T) (*bed.Bed, func(*testing.T) string) {
	t.Helper()
	return bedtest.Part(t, Ensure)
}

func dig(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("dig", append([]string{"@" + bed.DNSIP, "+time=2", "+tries=1"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("dig: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// update sends one change, signed when b is not nil.
func update(b *bed.Bed, change string) (string, error) {
	var args []string
	if b != nil {
		args = []string{"-k", b.Path(FileKey)}
	}
	command := exec.Command("nsupdate", args...)
	command.Stdin = strings.NewReader(fmt.Sprintf("server %s\nzone %s\nupdate %s\nsend\n", bed.DNSIP, bed.Zone, change))
	out, err := command.CombinedOutput()
	return string(out), err
}

func TestOnlyTheKeyChangesTheZone(t *testing.T) {
	b, _ := setup(t)
	name := fmt.Sprintf("try-%d.%s.", time.Now().UnixNano(), bed.Zone)
	t.Cleanup(func() { _, _ = update(b, "delete "+name) })

	if out, err := update(nil, "add "+name+" 60 A 192.0.2.1"); err == nil || !strings.Contains(out, "REFUSED") {
		t.Errorf("an unsigned update: %v: %s", err, out)
	}
	for _, record := range []string{"A 192.0.2.1", "AAAA 2001:db8::1", `TXT "owner"`} {
		if out, err := update(b, "add "+name+" 60 "+record); err != nil {
			t.Errorf("%s: %v: %s", record, err, out)
		}
	}
	if got := dig(t, "+short", name, "A"); got != "192.0.2.1" {
		t.Errorf("the name has %q over UDP", got)
	}
	if got := dig(t, "+short", "+tcp", name, "TXT"); got != `"owner"` {
		t.Errorf("the name has %q over TCP", got)
	}
	for _, change := range []string{
		"add " + name + ` 60 MX 1 mail`,
		"add ns1." + bed.Zone + ". 60 A 192.0.2.1",
		"delete edge." + bed.Zone + ". A",
		"add " + bed.Zone + ". 60 NS ns2",
	} {
		if out, err := update(b, change); err == nil || !strings.Contains(out, "REFUSED") {
			t.Errorf("%s: %v: %s", change, err, out)
		}
	}
	if out := dig(t, bed.Zone, "AXFR"); !strings.Contains(out, "Transfer failed") {
		t.Errorf("an unsigned transfer: %s", out)
	}
	if out := dig(t, "-k", b.Path(FileKey), bed.Zone, "AXFR"); !strings.Contains(out, name) {
		t.Errorf("a signed transfer lacks %s: %s", name, out)
	}
	if out := dig(t, "+recurse", "example.com", "A"); !strings.Contains(out, "status: REFUSED") {
		t.Errorf("a name of another zone: %s", out)
	}
}

func TestUpdatesSurviveAKill(t *testing.T) {
	b, ensure := setup(t)
	name := fmt.Sprintf("kill-%d.%s.", time.Now().UnixNano(), bed.Zone)
	t.Cleanup(func() { _, _ = update(b, "delete "+name) })
	if out, err := update(b, "add "+name+" 60 A 192.0.2.2"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	bedtest.Kill(t, b, "dns")
	if note := ensure(t); note != "started" {
		t.Errorf("the note is %q", note)
	}
	if got := dig(t, "+short", name, "A"); got != "192.0.2.2" {
		t.Errorf("after the kill the name has %q", got)
	}
	if note := ensure(t); note != "" {
		t.Errorf("a further Ensure did something: %s", note)
	}
}
