// Package cluster describes the Kubernetes of the test bed: its keys, its
// processes with their configuration, and the objects every cluster has. proc
// runs what it describes.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/kube"
	"flywheel.prim.sh/e2e/testbed/internal/netns"
	"flywheel.prim.sh/e2e/testbed/internal/pki"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

// Names of the cluster's processes, as in logs/<name>.log.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	Containerd        = "containerd"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Proxy             = "kube-proxy"
	Kubelet           = "kubelet"
	Netpol            = "netpol"
	Volumes           = "volumes"
)

// Cluster is the Kubernetes of one bed.
type Cluster struct {
	bed   *bed.Bed
	bins  Binaries
	self  string // this program, which also provisions volumes
	store pki.Store
	ports ports
}

// ports are where the control plane listens. In the full bed they are the
// usual ones; on the host's loopback whatever is free.
type ports struct {
	Client int `json:"etcdClient"`
	Peer   int `json:"etcdPeer"`
	API    int `json:"apiServer"`
}

// New prepares the description of b's cluster from built programs. In
// control-plane mode it chooses free ports, and keeps them while either process
// lives.
func New(b *bed.Bed, bins Binaries) (*Cluster, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &Cluster{bed: b, bins: bins, self: self, store: pki.Store{Dir: b.Path("pki")}, ports: ports{2379, 2380, 6443}}
	if b.Mode == bed.ControlPlane {
		if c.ports, err = loopbackPorts(b); err != nil {
			return nil, fmt.Errorf("ports: %w", err)
		}
	}
	return c, nil
}

// KubeconfigPath is the file with the administrator's credentials.
func KubeconfigPath(b *bed.Bed) string { return b.Path("kubeconfig") }

// Socket is where containerd listens.
func Socket(b *bed.Bed) string { return b.Path("containerd", "containerd.sock") }

// Client speaks to the API server as the administrator.
func (c *Cluster) Client() (*kube.Client, error) { return kube.New(c.access("admin")) }

func (c *Cluster) apiAddress() string {
	if c.bed.Mode == bed.Full {
		return bed.NodeIP
	}
	return "127.0.0.1"
}

func (c *Cluster) apiURL() string {
	return "https://" + net.JoinHostPort(c.apiAddress(), strconv.Itoa(c.ports.API))
}

func (c *Cluster) access(name string) kube.Access {
	p := c.store.Pair(name)
	return kube.Access{Server: c.apiURL(), CA: c.store.Pair("ca").Cert, Cert: p.Cert, Key: p.Key}
}

// process is a Spec of a component of the cluster binary.
func (c *Cluster) process(name string, flags ...string) proc.Spec {
	return proc.Spec{Name: name, Argv: append([]string{c.bins.Cluster, name}, flags...)}
}

// answers is ready when url, seen from inside the bed, answers 200 to the
// holder of the named certificate.
func (c *Cluster) answers(url, authority, certificate string) func(context.Context) error {
	return func(ctx context.Context) error {
		transport := &http.Transport{DisableKeepAlives: true}
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			return netns.Dial(ctx, c.bed, network, address)
		}
		if strings.HasPrefix(url, "https:") {
			p := c.store.Pair(certificate)
			config, err := kube.TLS(c.store.Pair(authority).Cert, p.Cert, p.Key)
			if err != nil {
				return err
			}
			transport.TLSClientConfig = config
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		client := http.Client{Transport: transport, Timeout: 5 * time.Second}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return nil
	}
}

// loopbackPorts are those of the last start while one of its processes lives,
// and free ones otherwise.
func loopbackPorts(b *bed.Bed) (ports, error) {
	var p ports
	path := b.Path("ports.json")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	known := err == nil && json.Unmarshal(data, &p) == nil && p.API != 0
	alive, err := anyAlive(b, Etcd, APIServer)
	if err != nil || known && (alive || allFree(p.Client, p.Peer, p.API)) {
		return p, err
	}
	// All three are held open until each is chosen, or one could come twice.
	for _, port := range []*int{&p.Client, &p.Peer, &p.API} {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return p, err
		}
		defer l.Close()
		*port = l.Addr().(*net.TCPAddr).Port
	}
	data, err = json.Marshal(p)
	if err != nil {
		return p, err
	}
	return p, pki.WriteFile(path, data, 0o644)
}

func anyAlive(b *bed.Bed, names ...string) (bool, error) {
	all, err := proc.All(b)
	for _, s := range all {
		for _, name := range names {
			if s.Name == name && s.Alive {
				return true, nil
			}
		}
	}
	return false, err
}

func allFree(wanted ...int) bool {
	for _, port := range wanted {
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
