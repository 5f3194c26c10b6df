package volumes

import "path/filepath"

// The parts of the Kubernetes objects that matter here, by their JSON names.

type list[T any] struct {
	Items []T `json:"items"`
}

type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty"`
	UID         string            `json:"uid,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type claim struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		AccessModes      []string  `json:"accessModes"`
		StorageClassName string    `json:"storageClassName"`
		VolumeMode       string    `json:"volumeMode"`
		VolumeName       string    `json:"volumeName"`
		Resources        resources `json:"resources"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

type resources struct {
	Requests map[string]string `json:"requests"`
}

type volume struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   metadata   `json:"metadata"`
	Spec       volumeSpec `json:"spec"`
	Status     *phase     `json:"status,omitempty"`
}

type phase struct {
	Phase string `json:"phase"`
}

type volumeSpec struct {
	AccessModes      []string          `json:"accessModes"`
	Capacity         map[string]string `json:"capacity"`
	ClaimRef         reference         `json:"claimRef"`
	Local            *localPath        `json:"local,omitempty"`
	NodeAffinity     map[string]any    `json:"nodeAffinity,omitempty"`
	ReclaimPolicy    string            `json:"persistentVolumeReclaimPolicy"`
	StorageClassName string            `json:"storageClassName"`
}

type reference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

type localPath struct {
	Path string `json:"path"`
}

const (
	selectedNode  = "volume.kubernetes.io/selected-node"
	provisionedBy = "pv.kubernetes.io/provisioned-by"
)

// waits says whether a pod was scheduled that needs the claim, and nobody made
// its volume yet.
func (c claim) waits() bool {
	return c.Spec.StorageClassName == StorageClass && c.Spec.VolumeName == "" &&
		c.Status.Phase == "Pending" && c.Spec.VolumeMode != "Block" &&
		c.Metadata.Annotations[selectedNode] != ""
}

// released says whether the claim of one of our volumes is gone.
func (v volume) released() bool {
	return v.Metadata.Annotations[provisionedBy] == Provisioner &&
		v.Spec.ReclaimPolicy == "Delete" && v.Status != nil && v.Status.Phase == "Released"
}

// newVolume is the volume of a claim. Its name follows from the claim's UID, so
// that a second pass finds what the first made.
func newVolume(c claim, dir string) volume {
	name := "pvc-" + c.Metadata.UID
	return volume{
		APIVersion: "v1",
		Kind:       "PersistentVolume",
		Metadata:   metadata{Name: name, Annotations: map[string]string{provisionedBy: Provisioner}},
		Spec: volumeSpec{
			AccessModes:      c.Spec.AccessModes,
			Capacity:         map[string]string{"storage": c.Spec.Resources.Requests["storage"]},
			ClaimRef:         reference{"v1", "PersistentVolumeClaim", c.Metadata.Namespace, c.Metadata.Name, c.Metadata.UID},
			Local:            &localPath{filepath.Join(dir, name)},
			NodeAffinity:     onNode(c.Metadata.Annotations[selectedNode]),
			ReclaimPolicy:    "Delete",
			StorageClassName: StorageClass,
		},
	}
}

func onNode(name string) map[string]any {
	return map[string]any{"required": map[string]any{"nodeSelectorTerms": []any{map[string]any{
		"matchExpressions": []any{map[string]any{"key": "kubernetes.io/hostname", "operator": "In", "values": []string{name}}},
	}}}}
}
