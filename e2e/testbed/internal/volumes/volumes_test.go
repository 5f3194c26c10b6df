package volumes

import (
	"encoding/json"
	"testing"
)

func parse[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

const waiting = `{"metadata": {"namespace": "n", "name": "data", "uid": "u1", "annotations": {"volume.kubernetes.io/selected-node": "node"}},
	"spec": {"storageClassName": "local", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}, "status": {"phase": "Pending"}}`

func TestOnlyAScheduledPendingClaimOfTheClassWaits(t *testing.T) {
	if c := parse[claim](t, waiting); !c.waits() {
		t.Error("the claim of a scheduled pod does not wait")
	}
	for what, change := range map[string]func(*claim){
		"unscheduled":   func(c *claim) { c.Metadata.Annotations = nil },
		"another class": func(c *claim) { c.Spec.StorageClassName = "fast" },
		"bound":         func(c *claim) { c.Spec.VolumeName = "pvc-u1" },
		"a block":       func(c *claim) { c.Spec.VolumeMode = "Block" },
	} {
		c := parse[claim](t, waiting)
		change(&c)
		if c.waits() {
			t.Errorf("a claim that is %s waits", what)
		}
	}
}

func TestAVolumeIsItsClaimsAlone(t *testing.T) {
	v := newVolume(parse[claim](t, waiting), "/volumes")
	if v.Metadata.Name != "pvc-u1" || v.Spec.Local.Path != "/volumes/pvc-u1" || v.Spec.ClaimRef.UID != "u1" || v.Spec.Capacity["storage"] != "1Gi" {
		t.Errorf("volume is %+v", v)
	}
}

func TestOnlyOurReleasedVolumesAreRemoved(t *testing.T) {
	ours := `{"metadata": {"annotations": {"pv.kubernetes.io/provisioned-by": "flywheel.prim.sh/local"}}, "spec": {"persistentVolumeReclaimPolicy": "Delete"}, "status": {"phase": "Released"}}`
	if v := parse[volume](t, ours); !v.released() {
		t.Error("a released volume is kept")
	}
	bound := parse[volume](t, ours)
	bound.Status.Phase = "Bound"
	foreign := parse[volume](t, ours)
	foreign.Metadata.Annotations = nil
	retained := parse[volume](t, ours)
	retained.Spec.ReclaimPolicy = "Retain"
	for what, v := range map[string]volume{"bound": bound, "foreign": foreign, "retained": retained} {
		if v.released() {
			t.Errorf("a %s volume would be removed", what)
		}
	}
}
