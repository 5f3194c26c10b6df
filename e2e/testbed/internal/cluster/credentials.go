package cluster

import (
	"fmt"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/kube"
	"flywheel.prim.sh/e2e/testbed/internal/pki"
)

// Users that are not Kubernetes' own; files/objects.yaml gives them their rights.
const (
	netpolUser        = "flywheel-test-bed:netpol"
	volumesUser       = "flywheel-test-bed:volumes"
	kubeletClientUser = "flywheel-test-bed:kubelet-client"
)

// credential is one certificate, and whether a kubeconfig goes with it.
type credential struct {
	authority, name string
	request         pki.Request
	kubeconfig      bool
}

// Credentials makes the keys, certificates and kubeconfig files of the bed.
func (c *Cluster) Credentials() (note string, err error) {
	// etcd trusts an authority of its own: whoever gets a certificate from the
	// cluster must not be able to write past the API server.
	for _, authority := range []string{"ca", "etcd-ca"} {
		if _, err := c.store.Authority(authority); err != nil {
			return "", err
		}
	}
	if _, err := c.store.SigningKey("service-accounts"); err != nil {
		return "", err
	}
	wanted := c.credentials()
	for _, w := range wanted {
		if _, err := c.store.Certificate(w.authority, w.name, w.request); err != nil {
			return "", err
		}
		if !w.kubeconfig {
			continue
		}
		path := c.kubeconfig(w.name)
		if w.name == "admin" {
			path = KubeconfigPath(c.bed)
		}
		if err := kube.WriteConfig(path, "flywheel", c.access(w.name)); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d certificates", len(wanted)), nil
}

func (c *Cluster) kubeconfig(name string) string { return c.bed.Path("kubeconfigs", name) }

func (c *Cluster) credentials() []credential {
	loopback := []string{"127.0.0.1"}
	api := pki.Request{
		CommonName: "kube-apiserver",
		DNS:        []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPs:        append(loopback, bed.APIService),
		Server:     true,
	}
	if c.bed.Mode == bed.Full {
		api.IPs = append(api.IPs, bed.NodeIP)
	}
	all := []credential{
		{"etcd-ca", "etcd", pki.Request{CommonName: "etcd", IPs: loopback, Server: true, Client: true}, false},
		{"etcd-ca", "etcd-client", pki.Request{CommonName: "kube-apiserver", Client: true}, false},
		{"ca", "apiserver", api, false},
		{"ca", "admin", client("flywheel-admin", "system:masters"), true},
	}
	if c.bed.Mode.Servers() {
		all = append(all,
			// Serves the health endpoints of components that listen on loopback alone.
			credential{"ca", "loopback", pki.Request{CommonName: "loopback", IPs: loopback, Server: true}, false},
			credential{"ca", ControllerManager, client("system:kube-controller-manager"), true},
		)
	}
	if c.bed.Mode != bed.Full {
		return all
	}
	return append(all,
		credential{"ca", "kubelet", pki.Request{
			CommonName: "system:node:" + bed.NodeName, Organization: []string{"system:nodes"},
			DNS: []string{bed.NodeName}, IPs: []string{bed.NodeIP}, Server: true, Client: true,
		}, true},
		credential{"ca", "kubelet-client", client(kubeletClientUser), false},
		credential{"ca", Scheduler, client("system:kube-scheduler"), true},
		credential{"ca", Proxy, client("system:kube-proxy"), true},
		credential{"ca", Netpol, client(netpolUser), true},
		credential{"ca", Volumes, client(volumesUser), true},
	)
}

func client(user string, groups ...string) pki.Request {
	return pki.Request{CommonName: user, Organization: groups, Client: true}
}
