package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/image"
	"flywheel.prim.sh/e2e/testbed/internal/kube"
	"flywheel.prim.sh/e2e/testbed/internal/netns"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

const (
	nodeReadyWithin = 60 * time.Second
	// Longer than the enforcer of policies takes to mend rules that it could not
	// write: CoreDNS reaches the API server, and serves, only by them.
	dnsWithin    = 2 * time.Minute
	pollInterval = 100 * time.Millisecond
)

// Network makes the bed's network namespace and cgroups. When the namespace had
// to be made while something of an earlier one still runs, that is ended: it
// could reach nothing any more.
func Network(ctx context.Context, b *bed.Bed) (note string, err error) {
	if err := RefuseForeign(b); err != nil {
		return "", err
	}
	if err := noteHost(b); err != nil {
		return "", err
	}
	note, created, err := netns.Ensure(ctx, b)
	if err != nil {
		return "", err
	}
	if created {
		ended, err := EndProcesses(b)
		if err != nil {
			return "", err
		}
		if ended > 0 {
			note = fmt.Sprintf("created; ended %d processes of the one that was lost", ended)
		}
	}
	return note, ensureCgroups(b)
}

// ControlPlane starts etcd and the API server.
func (c *Cluster) ControlPlane(ctx context.Context) error {
	return c.run(ctx, c.etcd(), c.apiServer())
}

// Controllers starts what makes pods of Jobs and Deployments, and removes what
// lost its owner. Nothing runs those pods.
func (c *Cluster) Controllers(ctx context.Context) error { return c.run(ctx, c.controllerManager()) }

// Node starts everything else and waits for a Ready node. The API server runs.
func (c *Cluster) Node(ctx context.Context) error {
	if err := c.run(ctx, c.containerd()); err != nil {
		return err
	}
	if err := step.Run("pause image", func() (string, error) {
		images, err := image.Ensure(ctx, c.bed, nil, image.Pause)
		if err != nil {
			return "", err
		}
		return image.Import(ctx, c.bed, Socket(c.bed), images)
	}); err != nil {
		return err
	}
	if err := step.Run("base objects", func() (string, error) { return c.apply(ctx, "objects.yaml") }); err != nil {
		return err
	}
	// kube-proxy waits for the node's object, which the kubelet makes.
	if err := c.run(ctx, c.controllerManager(), c.scheduler(), c.kubelet(), c.proxy(), c.netpol(), c.volumes()); err != nil {
		return err
	}
	if err := step.Run("node", func() (string, error) { return "Ready", c.nodeReady(ctx) }); err != nil {
		return err
	}
	return step.Run("gvisor", func() (string, error) { return c.gvisor(ctx) })
}

// gvisor offers the RuntimeClass where gVisor runs. Where it does not, pods that
// ask for it are refused at once instead of failing to start.
func (c *Cluster) gvisor(ctx context.Context) (note string, err error) {
	// One answer holds as long as this cluster: the program and the kernel are the same.
	proven := c.bed.Path("gvisor-runs")
	if by, err := os.ReadFile(proven); err == nil && string(by) == c.bins.Runsc {
		_, err := c.apply(ctx, "gvisor.yaml")
		return "RuntimeClass gvisor", err
	}
	root, err := os.MkdirTemp(c.bed.State, "runsc-probe-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(root)
	// runsc itself is a program with many threads, so running it inside shows more
	// than that a sandbox starts.
	probe := proc.Command(ctx, c.bed, c.bins.Runsc, "--root", root, "--platform", "systrap",
		"--ignore-cgroups", "--network", "none", "do", c.bins.Runsc, "--version")
	if out, err := probe.CombinedOutput(); err != nil {
		text := strings.TrimSpace(string(out))
		step.Progress("gVisor does not run here: %v: %s", err, text[max(0, len(text)-500):])
		client, err := c.Client()
		if err != nil {
			return "", err
		}
		return "not on this machine: no RuntimeClass", client.Delete(ctx, "/apis/node.k8s.io/v1/runtimeclasses/gvisor")
	}
	if _, err := c.apply(ctx, "gvisor.yaml"); err != nil {
		return "", err
	}
	return "RuntimeClass gvisor", os.WriteFile(proven, []byte(c.bins.Runsc), 0o644)
}

// DNS runs CoreDNS and waits until the cluster's names resolve.
func (c *Cluster) DNS(ctx context.Context) (note string, err error) {
	if note, err = c.apply(ctx, "coredns.yaml"); err != nil {
		return "", err
	}
	if err := wait(ctx, dnsWithin, c.resolves); err != nil {
		client, clientErr := c.Client()
		if clientErr != nil {
			return "", err
		}
		why := append(whyPodsWait(ctx, client, "kube-system", "k8s-app=kube-dns"), complaints(c.bed, Proxy, Netpol, Kubelet)...)
		return "", fmt.Errorf("%w\n  %s", err, strings.Join(why, "\n  "))
	}
	return note, nil
}

// run starts each process as a step of its own.
func (c *Cluster) run(ctx context.Context, specs ...proc.Spec) error {
	for _, s := range specs {
		if err := step.Run(s.Name, func() (string, error) {
			started, err := proc.Ensure(ctx, c.bed, s)
			if started {
				return "started", err
			}
			return "running", err
		}); err != nil {
			return err
		}
	}
	return nil
}

// apply states the objects of an embedded file.
func (c *Cluster) apply(ctx context.Context, file string) (note string, err error) {
	client, err := c.Client()
	if err != nil {
		return "", err
	}
	text, err := c.render(file)
	if err != nil {
		return "", err
	}
	objects, err := documents(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	for _, object := range objects {
		if err := client.Apply(ctx, object.path, object.body); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d objects", len(objects)), nil
}

func (c *Cluster) nodeReady(ctx context.Context) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	return wait(ctx, nodeReadyWithin, func(ctx context.Context) error { return nodeReady(ctx, client) })
}

// nodeReady is nil when the node takes pods. A taint outlives the condition for
// a moment.
func nodeReady(ctx context.Context, client *kube.Client) error {
	var node struct {
		Spec struct {
			Taints []struct {
				Key string `json:"key"`
			} `json:"taints"`
		} `json:"spec"`
		Status struct {
			Conditions []struct{ Type, Status, Message string } `json:"conditions"`
		} `json:"status"`
	}
	if err := client.Get(ctx, "/api/v1/nodes/"+bed.NodeName, &node); err != nil {
		return err
	}
	for _, taint := range node.Spec.Taints {
		return fmt.Errorf("the node has the taint %s", taint.Key)
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != "Ready" {
			continue
		}
		if condition.Status == "True" {
			return nil
		}
		return errors.New(condition.Message)
	}
	return errors.New("the node tells no condition yet")
}

// wait polls until check answers nil, and otherwise returns its last answer.
func wait(ctx context.Context, within time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", within, err)
		case <-time.After(pollInterval):
		}
	}
}

// Ready maps the cluster's processes onto what tells that they serve.
func (c *Cluster) Ready() map[string]func(context.Context) error {
	specs := []proc.Spec{c.etcd(), c.apiServer()}
	if c.bed.Mode.Servers() {
		specs = append(specs, c.controllerManager())
	}
	if c.bed.Mode == bed.Full {
		specs = append(specs, c.containerd(), c.scheduler(), c.proxy(), c.kubelet(), c.netpol(), c.volumes())
	}
	ready := make(map[string]func(context.Context) error, len(specs))
	for _, s := range specs {
		ready[s.Name] = s.Ready
	}
	return ready
}
