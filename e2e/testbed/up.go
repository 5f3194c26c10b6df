package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/kube"
	"flywheel.prim.sh/e2e/testbed/internal/netns"
	"flywheel.prim.sh/e2e/testbed/internal/step"
	"flywheel.prim.sh/e2e/testbed/internal/tools"
	"flywheel.prim.sh/e2e/testbed/internal/volumes"
)

func up(ctx context.Context, b *bed.Bed, _ []string) error {
	if err := private(b.State); err != nil {
		return err
	}
	begin := time.Now()
	if !netns.Inside(b) { // where it was said already
		fmt.Printf("%s test bed\n", b.Mode)
	}
	start := map[bed.Mode]func(context.Context, *bed.Bed) error{
		bed.Full: upFull, bed.NoNode: upNoNode, bed.ControlPlane: upControlPlane, bed.Kubeconfig: upKubeconfig,
	}[b.Mode]
	if err := start(ctx, b); err != nil {
		return err
	}
	fmt.Printf("up after %.1f s\n", time.Since(begin).Seconds())
	return nil
}

func upFull(ctx context.Context, b *bed.Bed) error {
	if os.Geteuid() != 0 {
		return errors.New("the full test bed makes a network namespace and runs containers: run it as root, or use CLUSTER=control-plane")
	}
	if err := cluster.RefuseForeign(b); err != nil {
		return err
	}
	if err := step.Run("tools", func() (string, error) { return tools.Ensure(ctx) }); err != nil {
		return err
	}
	p, err := ensurePrograms(ctx, b)
	if err != nil {
		return err
	}
	if err := step.Run("network", func() (string, error) { return cluster.Network(ctx, b) }); err != nil {
		return err
	}
	c, err := controlPlane(ctx, b, p)
	if err != nil {
		return err
	}
	if err := c.Node(ctx); err != nil {
		return err
	}
	return parts(ctx, b, c, p)
}

func upNoNode(ctx context.Context, b *bed.Bed) error {
	if os.Geteuid() != 0 {
		return errors.New("a test bed with forge, DNS server and edge makes a network namespace: run it as root, or use CLUSTER=control-plane")
	}
	if !netns.Inside(b) {
		// Built and fetched out here: inside there is no other network.
		if err := step.Run("tools", func() (string, error) { return tools.Ensure(ctx) }); err != nil {
			return err
		}
		if _, err := ensurePrograms(ctx, b); err != nil {
			return err
		}
		return enter(ctx, b, "up")
	}
	p, err := ensurePrograms(ctx, b)
	if err != nil {
		return err
	}
	c, err := controlPlane(ctx, b, p)
	if err != nil {
		return err
	}
	if err := c.Controllers(ctx); err != nil {
		return err
	}
	return parts(ctx, b, c, p)
}

// enter goes on with a command inside the bed's network, and returns only where
// that could not be entered.
func enter(ctx context.Context, b *bed.Bed, args ...string) error {
	if err := step.Run("network", func() (string, error) { return netns.EnsureOwn(ctx, b) }); err != nil {
		return err
	}
	return netns.Enter(b, args)
}

func upControlPlane(ctx context.Context, b *bed.Bed) error {
	p, err := ensurePrograms(ctx, b)
	if err != nil {
		return err
	}
	_, err = controlPlane(ctx, b, p)
	return err
}

// controlPlane brings up what all modes have that start anything.
func controlPlane(ctx context.Context, b *bed.Bed, p programs) (*cluster.Cluster, error) {
	c, err := cluster.New(b, p.cluster)
	if err != nil {
		return nil, err
	}
	if err := link(b, p); err != nil {
		return nil, err
	}
	if err := step.Run("keys", c.Credentials); err != nil {
		return nil, err
	}
	if err := step.Run("configuration", c.WriteConfig); err != nil {
		return nil, err
	}
	return c, c.ControlPlane(ctx)
}

func down(ctx context.Context, b *bed.Bed, _ []string) error {
	if b.Mode == bed.Kubeconfig {
		fmt.Println("nothing was started in this mode")
		return nil
	}
	if b.Mode.Servers() && os.Geteuid() != 0 {
		return fmt.Errorf("the %s test bed belongs to root: run this as root", b.Mode)
	}
	return step.Run("down", func() (string, error) { return "clean", cluster.Down(ctx, b) })
}

// private makes the state directory its owner's alone: keys, repositories and
// logs lie in it. Pods reach what is theirs by mounts.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// vacant fails when another full bed is up, before anybody waits for a build.
func vacant(_ context.Context, b *bed.Bed, _ []string) error { return cluster.RefuseForeign(b) }

// runVolumes is the process that provisions local volumes.
func runVolumes(ctx context.Context, args []string) error {
	var access kube.Access
	var dir, health string
	flags := flag.NewFlagSet("volumes", flag.ContinueOnError)
	flags.StringVar(&access.Server, "server", "", "URL of the API server")
	flags.StringVar(&access.CA, "ca", "", "file with the certificate of its authority")
	flags.StringVar(&access.Cert, "cert", "", "file with the client's certificate")
	flags.StringVar(&access.Key, "key", "", "file with the client's key")
	flags.StringVar(&dir, "dir", "", "directory for the volumes")
	flags.StringVar(&health, "health", "", "address that answers /healthz")
	if err := flags.Parse(args); err != nil {
		return err
	}
	client, err := kube.New(access)
	if err != nil {
		return err
	}
	return volumes.Run(ctx, volumes.Config{Client: client, Dir: dir, Health: health})
}
