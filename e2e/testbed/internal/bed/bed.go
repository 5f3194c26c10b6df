// Package bed names everything a test bed consists of: its mode, directories
// and addresses. It starts nothing and holds no state of its own; the parts
// (cluster, forge, dns, edge) read it, and proc runs what they describe.
package bed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Mode says how much of the test bed runs.
type Mode string

const (
	// Full is a single-node cluster with forge, DNS server and edge, all inside
	// a network namespace of its own. Needs root.
	Full Mode = "full"
	// ControlPlane is etcd and the API server alone, on loopback ports, for tests
	// that need no node. Needs no root.
	ControlPlane Mode = "control-plane"
	// NoNode is the full bed without a node and without Flywheel: etcd, API server,
	// controller manager, forge, DNS server and edge, at the full bed's addresses in
	// a network namespace that nothing else reaches. Whoever uses it enters that, so
	// that any number may stand beside each other. Needs root.
	NoNode Mode = "no-node"
	// Kubeconfig uses the cluster of the current kubectl context and starts nothing.
	Kubeconfig Mode = "kubeconfig"
)

// The addresses of the full test bed. They exist only inside its network
// namespace and on its veth pair, whose host end is HostIP. Each server has an
// address of its own, so that all keep their usual ports and a NetworkPolicy
// can tell them apart.
const (
	HostIP  = "10.203.77.1" // the host's end of the veth pair
	NodeIP  = "10.203.77.2" // kubelet, kube-apiserver:6443
	ForgeIP = "10.203.77.3" // Gitea: http :3000
	DNSIP   = "10.203.77.4" // BIND: 53 tcp and udp
	EdgeIP  = "10.203.77.5" // Caddy: 80, 443; admin over mTLS :2021
	// A chain to pay on :8545, and who settles there :4021.
	ChainIP       = "10.203.77.6"
	FacilitatorIP = "10.203.77.7"
	DoublesIP     = "10.203.77.8" // a scripted model :8080, a scripted vendor :8081
	Prefix        = 24

	PodCIDR     = "10.244.0.0/24"
	ServiceCIDR = "10.96.0.0/16"
	APIService  = "10.96.0.1"
	ClusterDNS  = "10.96.0.10"

	NodeName = "flywheel"
	Zone     = "prim.sh" // the zone BIND holds; real documents name hosts in it
)

// Servers says whether forge, DNS server and edge run.
func (m Mode) Servers() bool { return m == Full || m == NoNode }

// Bed is one test bed: where it keeps its state and which network namespace it
// runs in.
type Bed struct {
	Mode  Mode
	State string // absolute; everything this bed writes at run time
	Cache string // absolute; built binaries and images, shared by all beds
	Repo  string // absolute; the checkout
	Netns string // name of the network namespace that processes are put into; empty where they stay in this program's own
}

// New resolves the directories for mode. FLYWHEEL_STATE and FLYWHEEL_CACHE
// override the XDG defaults.
func New(mode Mode, repo string) (*Bed, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, fmt.Errorf("home directory: %w", err)
	}
	dir := func(variable, xdg, fallback string) string {
		if d := os.Getenv(variable); d != "" {
			return d
		}
		if d := os.Getenv(xdg); d != "" {
			return filepath.Join(d, "flywheel")
		}
		return filepath.Join(home, fallback, "flywheel")
	}
	state, err := Real(filepath.Join(dir("FLYWHEEL_STATE", "XDG_STATE_HOME", ".local/state"), string(mode)))
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	cache, err := Real(dir("FLYWHEEL_CACHE", "XDG_CACHE_HOME", ".cache"))
	if err != nil {
		return nil, fmt.Errorf("cache directory: %w", err)
	}
	b := &Bed{Mode: mode, State: state, Cache: cache, Repo: repo}
	if mode == Full {
		b.Netns = "flywheel"
	}
	return b, nil
}

// Real is path without symbolic links, as the kernel writes it in its tables of
// mounts and sockets. The end of it need not exist yet. A relative path is left
// as it is.
func Real(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return path, nil
	}
	rest := ""
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// Path joins elements below the state directory.
func (b *Bed) Path(elem ...string) string {
	return filepath.Join(append([]string{b.State}, elem...)...)
}
