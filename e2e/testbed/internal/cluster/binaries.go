package cluster

import (
	"context"
	"path/filepath"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/build"
)

// kubernetesVersion is what e2e/cluster/go.mod asks for. Clients and servers
// negotiate by it, and only the linker can tell the binary.
const kubernetesVersion = "v1.35.4"

const versionPackage = "k8s.io/component-base/version"

// The programs of the cluster. All are static: CoreDNS runs in a pod that has
// nothing else, and gVisor's runtime starts itself again inside its own chroot.
var (
	clusterBinary = build.Binary{
		Name: "cluster", Dir: "e2e/cluster", About: "about 5 min",
		Ldflags: "-s -w -X " + versionPackage + ".gitVersion=" + kubernetesVersion +
			" -X " + versionPackage + ".gitMajor=1 -X " + versionPackage + ".gitMinor=35",
	}
	netpolBinary = build.Binary{Name: "netpol", Dir: "e2e/netpol", Ldflags: "-s -w", About: "about 1 min"}
	// gVisor reads a goroutine's number at a fixed place in the runtime's memory
	// and knows it up to Go 1.25; with a newer one it ends at the first wait.
	runscBinary = build.Binary{
		Name: "runsc", Dir: "e2e/gvisor", Package: "gvisor.dev/gvisor/runsc", Ldflags: "-s -w", Go: "go1.24.11", About: "about 1 min",
	}
	// containerd finds a shim by this name on its search path.
	shimBinary = build.Binary{Name: "containerd-shim-runsc-v1", Dir: "e2e/gvisor", Ldflags: "-s -w", About: "half a minute"}
)

// Binaries are the paths of the cluster's programs. In control-plane mode only
// Cluster is set.
type Binaries struct {
	Cluster string // every Kubernetes component, etcd and CoreDNS
	Netpol  string
	Runsc   string
	Shim    string
}

// Build makes the programs that the bed's mode needs, as far as they are not
// cached.
func Build(ctx context.Context, b *bed.Bed) (Binaries, error) {
	var bins Binaries
	wanted := []struct {
		binary build.Binary
		path   *string
		full   bool
	}{
		{clusterBinary, &bins.Cluster, false},
		{netpolBinary, &bins.Netpol, true},
		{runscBinary, &bins.Runsc, true},
		{shimBinary, &bins.Shim, true},
	}
	for _, w := range wanted {
		if w.full && b.Mode != bed.Full {
			continue
		}
		path, err := build.Ensure(ctx, b, w.binary)
		if err != nil {
			return Binaries{}, err
		}
		*w.path = path
	}
	return bins, nil
}

// shimPath is to be put on containerd's search path. The shim cleans up with
// whatever runsc it finds there, not with the configured one.
func (b Binaries) shimPath() string { return filepath.Dir(b.Shim) + ":" + filepath.Dir(b.Runsc) }
