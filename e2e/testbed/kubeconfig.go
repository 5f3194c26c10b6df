package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

// upKubeconfig starts and installs nothing: the cluster is somebody's own, and
// so are whatever forge, zone and edge it is to be used with.
func upKubeconfig(ctx context.Context, _ *bed.Bed) error {
	return step.Run("current context", func() (string, error) { return "answers", contextAnswers(ctx) })
}

// contextAnswers asks the cluster of the current kubectl context whether it is
// ready. It needs kubectl itself, for only kubectl knows all ways to log in.
func contextAnswers(ctx context.Context) error {
	name, err := kubectl(ctx, "config", "current-context")
	if err != nil {
		return err
	}
	if _, err := kubectl(ctx, "get", "--raw", "/readyz", "--request-timeout", "10s"); err != nil {
		return fmt.Errorf("the cluster of the context %s does not answer: %w", strings.TrimSpace(name), err)
	}
	return nil
}

func kubectl(ctx context.Context, args ...string) (string, error) {
	var said strings.Builder
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("kubectl is not on the PATH; CLUSTER=kubeconfig uses yours and its current context")
	}
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}
