package cluster

import (
	"context"
	"fmt"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

// etcd keeps the objects. Nothing here outlives the machine, so it need not
// wait for the disk.
func (c *Cluster) etcd() proc.Spec {
	server, ca := c.store.Pair("etcd"), c.store.Pair("etcd-ca").Cert
	clients := fmt.Sprintf("https://127.0.0.1:%d", c.ports.Client)
	peers := fmt.Sprintf("https://127.0.0.1:%d", c.ports.Peer)
	s := c.process(Etcd,
		"--name", "flywheel", "--data-dir", c.bed.Path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", clients, "--advertise-client-urls", clients,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "flywheel="+peers,
		"--client-cert-auth", "--trusted-ca-file", ca, "--cert-file", server.Cert, "--key-file", server.Key,
		"--peer-client-cert-auth", "--peer-trusted-ca-file", ca, "--peer-cert-file", server.Cert, "--peer-key-file", server.Key,
	)
	s.Config = []string{ca, server.Cert}
	s.Ready = c.answers(clients+"/health", "etcd-ca", "etcd-client")
	return s
}

func (c *Cluster) apiServer() proc.Spec {
	server, ca := c.store.Pair("apiserver"), c.store.Pair("ca").Cert
	etcdClient, etcdCA := c.store.Pair("etcd-client"), c.store.Pair("etcd-ca").Cert
	signer := c.store.Pair("service-accounts").Key
	audit := c.file("audit.yaml")
	flags := []string{
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", c.ports.Client),
		"--etcd-cafile=" + etcdCA, "--etcd-certfile=" + etcdClient.Cert, "--etcd-keyfile=" + etcdClient.Key,
		"--bind-address=" + c.apiAddress(), "--advertise-address=" + c.apiAddress(), fmt.Sprintf("--secure-port=%d", c.ports.API),
		"--tls-cert-file=" + server.Cert, "--tls-private-key-file=" + server.Key, "--client-ca-file=" + ca,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + signer, "--service-account-signing-key-file=" + signer,
		"--service-cluster-ip-range=" + bed.ServiceCIDR,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--audit-policy-file=" + audit, "--audit-log-path=" + AuditLog(c.bed),
		"--audit-log-maxsize=32", "--audit-log-maxbackup=3",
		"--profiling=false",
	}
	config := []string{ca, server.Cert, etcdCA, etcdClient.Cert, signer, audit}
	if c.bed.Mode == bed.Full {
		kubelet := c.store.Pair("kubelet-client")
		flags = append(flags,
			"--kubelet-certificate-authority="+ca, "--kubelet-client-certificate="+kubelet.Cert, "--kubelet-client-key="+kubelet.Key,
			// The node's name resolves nowhere.
			"--kubelet-preferred-address-types=InternalIP")
		config = append(config, kubelet.Cert)
	} else {
		flags = append(flags,
			// Nobody makes the accounts that this plugin would insist on.
			"--disable-admission-plugins=ServiceAccount",
			// An address on loopback may not be an endpoint.
			"--endpoint-reconciler-type=none")
	}
	s := c.process(APIServer, flags...)
	s.Config = config
	s.Ready = func(ctx context.Context) error {
		client, err := c.Client()
		if err != nil {
			return err
		}
		return client.Ready(ctx)
	}
	s.ReadyWithin = time.Minute
	return s
}

// AuditLog is where the API server notes every write, one JSON object a line.
func AuditLog(b *bed.Bed) string { return b.Path("logs", "audit.log") }

func (c *Cluster) controllerManager() proc.Spec {
	ca, serving := c.store.Pair("ca"), c.store.Pair("loopback")
	config := c.kubeconfig(ControllerManager)
	signer := c.store.Pair("service-accounts").Key
	s := c.process(ControllerManager,
		"--kubeconfig="+config, "--authentication-kubeconfig="+config, "--authorization-kubeconfig="+config,
		"--bind-address=127.0.0.1", "--tls-cert-file="+serving.Cert, "--tls-private-key-file="+serving.Key,
		"--root-ca-file="+ca.Cert, "--cluster-signing-cert-file="+ca.Cert, "--cluster-signing-key-file="+ca.Key,
		"--service-account-private-key-file="+signer, "--use-service-account-credentials=true",
		"--leader-elect=false", "--profiling=false",
		// Tests make hundreds of objects at once on a machine of their own.
		"--kube-api-qps=200", "--kube-api-burst=400",
	)
	s.Config = []string{config, ca.Cert, serving.Cert, signer}
	s.Ready = c.answers("https://127.0.0.1:10257/healthz", "ca", "admin")
	return s
}

func (c *Cluster) scheduler() proc.Spec {
	serving, config := c.store.Pair("loopback"), c.kubeconfig(Scheduler)
	s := c.process(Scheduler,
		"--kubeconfig="+config, "--authentication-kubeconfig="+config, "--authorization-kubeconfig="+config,
		"--bind-address=127.0.0.1", "--tls-cert-file="+serving.Cert, "--tls-private-key-file="+serving.Key,
		"--leader-elect=false", "--profiling=false", "--kube-api-qps=200", "--kube-api-burst=400",
	)
	s.Config = []string{config, serving.Cert}
	s.Ready = c.answers("https://127.0.0.1:10259/healthz", "ca", "admin")
	return s
}
