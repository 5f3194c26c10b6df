package cluster

import (
	"strings"
	"testing"
)

func TestAPodsProcessIsKnownByItsRoot(t *testing.T) {
	const host = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
	const others = "90 22 0:50 / /state/full/containerd/state/x/rootfs rw - overlay overlay rw,upperdir=/state/full/containerd/root/1/fs\n"
	for mounts, want := range map[string]bool{
		host:          false,
		host + others: false,
		"91 80 0:50 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/state/full/containerd/root/1/fs,workdir=/w\n": true,
		"91 80 0:50 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/state/full2/containerd/root/1/fs\n":           false,
		"91 80 254:0 /state/full/containerd/root/native/1 / rw - ext4 /dev/vda rw\n":                                true,
	} {
		if got := rootedBelow(mounts, "/state/full"); got != want {
			t.Errorf("%s is the bed's: %t, want %t", mounts, got, want)
		}
	}
}

func TestShimsAndSandboxesAreKnownByTheirPaths(t *testing.T) {
	for line, want := range map[string]bool{
		"/usr/bin/containerd-shim-runc-v2 -address /state/full/containerd/containerd.sock": true,
		"runsc-sandbox --root=/state/full/runsc/k8s.io boot":                               true,
		"/usr/bin/containerd-shim-runc-v2 -address /run/containerd/containerd.sock":        false,
		"tail -f /state/full/logs/kubelet.log":                                             false,
		"":                                                                                 false,
	} {
		if got := sandboxOf([]byte(strings.ReplaceAll(line, " ", "\x00")), "/state/full"); got != want {
			t.Errorf("%q is the bed's: %t, want %t", line, got, want)
		}
	}
}
