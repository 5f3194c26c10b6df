package proc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

func testBed(t *testing.T) *bed.Bed {
	b := &bed.Bed{Mode: bed.ControlPlane, State: t.TempDir()}
	t.Cleanup(func() {
		pids, err := Marked(b)
		if err == nil {
			err = End(pids)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return b
}

func mustEnsure(t *testing.T, b *bed.Bed, s Spec, wantStarted bool) int {
	t.Helper()
	started, err := Ensure(context.Background(), b, s)
	if err != nil {
		t.Fatal(err)
	}
	if started != wantStarted {
		t.Fatalf("started = %t, want %t", started, wantStarted)
	}
	all, err := All(b)
	if err != nil || len(all) != 1 || !all[0].Alive {
		t.Fatalf("All = %+v, %v; want one live process", all, err)
	}
	return all[0].Pid
}

func TestEnsureStartsOnceAndRestartsWhatChanged(t *testing.T) {
	b := testBed(t)
	config := filepath.Join(t.TempDir(), "config")
	write(t, config, "one")
	s := Spec{Name: "sleeper", Argv: []string{"sleep", "1000"}, Config: []string{config}}
	first := mustEnsure(t, b, s, true)
	if again := mustEnsure(t, b, s, false); again != first {
		t.Fatalf("pid %d became %d", first, again)
	}
	write(t, config, "two")
	if other := mustEnsure(t, b, s, true); other == first {
		t.Fatal("a changed configuration left the process as it was")
	}
}

func TestEnsureReplacesARunThatWasNeverRecorded(t *testing.T) {
	b := testBed(t)
	s := Spec{Name: "sleeper", Argv: []string{"sleep", "1000"}}
	lost := mustEnsure(t, b, s, true)
	if err := os.Remove(recordPath(b, s.Name)); err != nil {
		t.Fatal(err)
	}
	kept := mustEnsure(t, b, s, true)
	pids, err := Marked(b)
	if err != nil || len(pids) != 1 || pids[0] != kept || kept == lost {
		t.Fatalf("running: %v, %v; want only %d", pids, err, kept)
	}
}

func TestEnsureShowsTheLogOfAProcessThatEnds(t *testing.T) {
	b := testBed(t)
	never := func(context.Context) error { return errors.New("not yet") }
	s := Spec{Name: "broken", Argv: []string{"sh", "-c", "echo no such widget >&2; exit 3"}, Ready: never, ReadyWithin: time.Minute}
	_, err := Ensure(context.Background(), b, s)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such widget") {
		t.Fatalf("error = %v; want the exit status and the log's end", err)
	}
}

func TestStopEndsAndForgets(t *testing.T) {
	b := testBed(t)
	mustEnsure(t, b, Spec{Name: "sleeper", Argv: []string{"sleep", "1000"}}, true)
	if err := Stop(b, "sleeper"); err != nil {
		t.Fatal(err)
	}
	all, err := All(b)
	if err != nil || len(all) != 0 {
		t.Fatalf("All = %+v, %v; want nothing", all, err)
	}
	pids, err := Marked(b)
	if err != nil || len(pids) != 0 {
		t.Fatalf("still running: %v, %v", pids, err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
