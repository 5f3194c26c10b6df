package proc

import (
	"os"
	"testing"
)

func TestParseStatCountsFromTheLastParenthesis(t *testing.T) {
	got, err := parseStat("42 (a (b) c) S 1 42 40 0 -1 4194560 0 0 0 0 1 2 3 4 20 0 1 0 123456 1000 10")
	if err != nil {
		t.Fatal(err)
	}
	if want := (stat{state: 'S', session: 40, start: 123456}); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestParseStatRefusesWhatIsShort(t *testing.T) {
	for _, text := range []string{"", "42 name S 1", "42 (name) S 1 2 3"} {
		if got, err := parseStat(text); err == nil {
			t.Errorf("parseStat(%q) = %+v, want an error", text, got)
		}
	}
}

func TestAReusedPidIsNotTheRecordedProcess(t *testing.T) {
	self, err := newRecord(os.Getpid(), "digest")
	if err != nil {
		t.Fatal(err)
	}
	if !self.alive() {
		t.Fatal("this very process counts as gone")
	}
	later, reboot := *self, *self
	later.Start++
	reboot.Boot = "another boot"
	if later.alive() || reboot.alive() {
		t.Fatal("a process of another time counts as the recorded one")
	}
}

func TestMarksMatchWholeVariables(t *testing.T) {
	environ := []byte("FLYWHEEL_BED=/state/full\x00FLYWHEEL_PART=etcd\x00")
	for mark, want := range map[string]bool{"FLYWHEEL_BED=/state/full": true, "FLYWHEEL_BED=/state/f": false, "FLYWHEEL_PART=etc": false} {
		if got := hasAll(environ, []string{mark}); got != want {
			t.Errorf("hasAll(%q) = %t, want %t", mark, got, want)
		}
	}
}
