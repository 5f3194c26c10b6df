package cluster

import (
	"encoding/json"
	"strings"
	"testing"
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
