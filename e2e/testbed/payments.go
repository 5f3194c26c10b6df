package main

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/payments"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

// withPayments runs a command beside a chain and a facilitator of its own on
// loopback, which end with it. The command finds them by the variables that
// `testbed env` prints of a bed's.
func withPayments(ctx context.Context, b *bed.Bed, args []string) (err error) {
	step.ToStderr()
	if len(args) == 0 {
		return errors.New("with-payments takes the command to run")
	}
	programs, err := payments.Build(ctx, b)
	if err != nil {
		return err
	}
	state, err := os.MkdirTemp("", "flywheel-payments-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	if state, err = bed.Real(state); err != nil {
		return err
	}
	own := &bed.Bed{Mode: b.Mode, State: state, Cache: b.Cache, Repo: b.Repo}
	at, err := payments.Loopback()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, payments.Stop(own)) }()
	if _, err := payments.Ensure(ctx, own, at, programs); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "PAID_V1_PROGRAM="+programs.PaidV1)
	for _, v := range at.Variables(own) {
		cmd.Env = append(cmd.Env, v[0]+"="+v[1])
	}
	return cmd.Run()
}
