package cluster

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

func TestAWaitingPodIsToldWithItsReasonAndItsWarnings(t *testing.T) {
	var pods podList
	read(t, &pods, `{"items": [{"metadata": {"name": "coredns-1"}, "status": {
		"phase": "Pending",
		"conditions": [{"type": "PodScheduled", "status": "True"},
			{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "containers with unready status: [coredns]"}],
		"containerStatuses": [{"name": "coredns", "restartCount": 3,
			"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}}]}}]}`)
	got := strings.Join(pods.lines("k8s-app=kube-dns"), "\n")
	for _, part := range []string{"coredns-1 is Pending", "Ready is False: ContainersNotReady", "restarted 3 times", "CrashLoopBackOff back-off 40s"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in %q", part, got)
		}
	}
	if strings.Contains(got, "PodScheduled") {
		t.Errorf("what holds is told as well: %q", got)
	}

	var none podList
	if got := none.lines("k8s-app=kube-dns"); len(got) != 1 || got[0] != "no pod has k8s-app=kube-dns" {
		t.Errorf("no pods: %q", got)
	}

	var events eventList
	read(t, &events, `{"items": [
		{"involvedObject": {"kind": "Pod", "name": "coredns-1"}, "type": "Normal", "reason": "Scheduled", "message": "assigned"},
		{"involvedObject": {"kind": "Pod", "name": "coredns-1"}, "type": "Warning", "reason": "FailedCreatePodSandBox", "message": "no address is left"}]}`)
	if got := events.lines(); len(got) != 1 || got[0] != "FailedCreatePodSandBox of Pod coredns-1: no address is left" {
		t.Errorf("events: %q", got)
	}
}

func read(t *testing.T, into any, text string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

func TestTheLastErrorsOfALogAreTold(t *testing.T) {
	b := &bed.Bed{State: t.TempDir()}
	if err := os.Mkdir(b.Path("logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	log := "I1124 07:40:31.8 all is well\n" + strings.Repeat("E1124 07:40:31.9 old\n", linesTold) + "E1124 07:40:32.0 no lock\n  of two lines\n"
	if err := os.WriteFile(proc.LogPath(b, Netpol), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	got := complaints(b, Netpol)
	if len(got) != linesTold || got[linesTold-1] != Netpol+": E1124 07:40:32.0 no lock" {
		t.Errorf("told: %q", got)
	}
}
