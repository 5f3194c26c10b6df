package cluster

import (
	"context"
	"net"
	"os/exec"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/netns"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

func (c *Cluster) containerd() proc.Spec {
	config := c.file("containerd.toml")
	s := proc.Spec{
		Name: Containerd,
		Argv: []string{"containerd", "--config", config, "--log-level", "warn"},
		// containerd takes the shims of its runtimes from here.
		Env:    []string{"PATH=" + c.bins.shimPath() + ":" + proc.SearchPath},
		Config: []string{config, c.file("runsc.toml"), c.file("cni.conflist")},
	}
	s.Ready = func(ctx context.Context) error {
		// The version comes from a service that is registered last.
		return exec.CommandContext(ctx, "ctr", "--address", Socket(c.bed), "version").Run()
	}
	return s
}

func (c *Cluster) kubelet() proc.Spec {
	config, serving := c.file("kubelet.yaml"), c.store.Pair("kubelet")
	s := c.process(Kubelet,
		"--config="+config, "--kubeconfig="+c.kubeconfig(Kubelet), "--hostname-override="+bed.NodeName,
		"--node-ip="+bed.NodeIP, "--root-dir="+c.bed.Path("kubelet"), "--cert-dir="+c.bed.Path("kubelet", "pki"),
	)
	s.Config = []string{config, c.kubeconfig(Kubelet), serving.Cert, c.store.Pair("ca").Cert}
	s.Ready = c.answers("http://127.0.0.1:10248/healthz", "", "")
	return s
}

func (c *Cluster) proxy() proc.Spec {
	config := c.file("kube-proxy.yaml")
	s := c.process(Proxy, "--config="+config)
	s.Config = []string{config, c.kubeconfig(Proxy)}
	s.Ready = c.answers("http://127.0.0.1:10256/healthz", "", "")
	return s
}

const (
	netpolHealth  = "127.0.0.1:20244"
	volumesHealth = "127.0.0.1:20245"
)

// netpol enforces NetworkPolicy.
func (c *Cluster) netpol() proc.Spec {
	config := c.kubeconfig(Netpol)
	return proc.Spec{
		Name: Netpol,
		Argv: []string{c.bins.Netpol, "-kubeconfig", config, "-node", bed.NodeName,
			"-service-cidr", bed.ServiceCIDR, "-health", netpolHealth},
		Config: []string{config},
		Ready:  c.answers("http://"+netpolHealth+"/healthz", "", ""),
	}
}

// volumes is this very program as the provisioner of local volumes. Its own
// file is part of the description: another build replaces the one that runs.
func (c *Cluster) volumes() proc.Spec {
	access := c.access(Volumes)
	return proc.Spec{
		Name: Volumes,
		Argv: []string{c.self, "volumes", "--server", access.Server, "--ca", access.CA, "--cert", access.Cert, "--key", access.Key,
			"--dir", c.bed.Path("volumes"), "--health", volumesHealth},
		Config: []string{c.self, access.CA, access.Cert},
		Ready:  c.answers("http://"+volumesHealth+"/healthz", "", ""),
	}
}

// resolves asks the cluster's DNS, by its Service, for the API server's name:
// kube-proxy's rules, CoreDNS and its view of the API all take part.
func (c *Cluster) resolves(ctx context.Context) error {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return netns.Dial(ctx, c.bed, network, net.JoinHostPort(bed.ClusterDNS, "53"))
	}}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
	return err
}
