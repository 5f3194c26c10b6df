// Command testbed runs what the end-to-end tests and the demo stand on: a real
// Kubernetes, forge, DNS server and edge on one machine, without Docker.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/install"
	"flywheel.prim.sh/e2e/testbed/internal/runner"
)

const usage = `usage: testbed COMMAND

  up       start what does not run, mend what is broken
  down     end and remove everything
  env      print the shell's export lines for using the bed
  status   list the parts
  factory  print the Factory of this bed's forge, zone and edge
  build    build every program, start nothing
  vacant   fail when another full bed is up
  program  print the directory of one program, built if need be: helm, bun, gitleaks
  with-payments COMMAND…
           run a command beside a chain and a facilitator of its own, on loopback

CLUSTER=full (the default), no-node, control-plane or kubeconfig chooses the bed:
everything; control plane, forge, zone and edge; an API server alone; or the
cluster of kubectl's current context, where nothing is started, installed or removed.
FLYWHEEL_STATE and FLYWHEEL_CACHE choose its directories.
`

// commands maps each command onto what does it. "volumes" and "runner" are the
// bed's own: they run as two of its processes.
var commands = map[string]func(context.Context, *bed.Bed, []string) error{
	"up":      withLock(up),
	"down":    withLock(down),
	"env":     env,
	"status":  status,
	"build":   buildAll,
	"program": programDir,
	"vacant":  vacant,
	"factory": factory,

	"with-payments": withPayments,
}

// factory prints the Factory of the bed's forge, zone and edge.
func factory(_ context.Context, b *bed.Bed, _ []string) error {
	if !b.Mode.Servers() {
		return fmt.Errorf("CLUSTER=%s has no forge, zone and edge: use CLUSTER=full, or apply a Factory of your own (manifests/examples/factory.yaml)", b.Mode)
	}
	object, err := install.Factory(b)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s\n", object)
	return err
}

func main() {
	// A second signal ends the program at once: the context is only asked.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("no command\n" + usage)
	}
	switch args[0] {
	case "volumes":
		return runVolumes(ctx, args[1:])
	case runner.Name:
		return runner.Main(ctx, args[1:])
	}
	command, known := commands[args[0]]
	if !known {
		return fmt.Errorf("unknown command %q\n%s", args[0], usage)
	}
	b, err := thisBed()
	if err != nil {
		return err
	}
	return command(ctx, b, args[1:])
}

// thisBed is the one that the environment asks for.
func thisBed() (*bed.Bed, error) {
	mode := bed.Mode(os.Getenv("CLUSTER"))
	switch mode {
	case "":
		mode = bed.Full
	case bed.Full, bed.NoNode, bed.ControlPlane, bed.Kubeconfig:
	default:
		return nil, fmt.Errorf("CLUSTER=%s: it may be %s, %s, %s or %s", mode, bed.Full, bed.NoNode, bed.ControlPlane, bed.Kubeconfig)
	}
	repo, err := findRepo()
	if err != nil {
		return nil, err
	}
	b, err := bed.New(mode, repo)
	if err != nil {
		return nil, err
	}
	for name, dir := range map[string]string{"state": b.State, "cache": b.Cache} {
		if !filepath.IsAbs(dir) {
			return nil, fmt.Errorf("the %s directory %q is not absolute", name, dir)
		}
	}
	return b, nil
}

// findRepo is FLYWHEEL_REPO, or the nearest directory above that holds this
// program's sources.
func findRepo() (string, error) {
	if repo := os.Getenv("FLYWHEEL_REPO"); repo != "" {
		return filepath.Abs(repo)
	}
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "e2e", "testbed", "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in a checkout of flywheel: go there or set FLYWHEEL_REPO", start)
		}
	}
}
