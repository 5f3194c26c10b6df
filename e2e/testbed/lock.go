package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

const lockPoll = 100 * time.Millisecond

// fullLock is a socket's abstract name: it is the machine's (to be exact, its
// network namespace's, as the full bed's addresses are), needs no file, and goes
// with its holder however that ends.
const fullLock = "@flywheel-test-bed"

// withLock lets one command at a time change a bed, and, since there can be one
// full bed on a machine, one command at a time change any full bed.
func withLock(f func(context.Context, *bed.Bed, []string) error) func(context.Context, *bed.Bed, []string) error {
	return func(ctx context.Context, b *bed.Bed, args []string) error {
		if err := os.MkdirAll(filepath.Dir(b.State), 0o755); err != nil {
			return err
		}
		// Beside the state directory, which `down` empties.
		lock, err := os.OpenFile(b.State+".lock", os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return err
		}
		defer lock.Close()
		if err := await(ctx, func() (bool, error) {
			err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
			if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
				return false, fmt.Errorf("lock %s: %w", lock.Name(), err)
			}
			return err == nil, nil
		}); err != nil {
			return err
		}
		if b.Mode != bed.Full {
			return f(ctx, b, args)
		}
		var machine net.Listener
		if err := await(ctx, func() (bool, error) {
			machine, err = net.Listen("unix", fullLock)
			if err != nil && !errors.Is(err, syscall.EADDRINUSE) {
				return false, fmt.Errorf("lock the machine's full test bed: %w", err)
			}
			return err == nil, nil
		}); err != nil {
			return err
		}
		defer machine.Close()
		return f(ctx, b, args)
	}
}

// await polls until try has the lock, and says once that it waits.
func await(ctx context.Context, try func() (bool, error)) error {
	for said := false; ; said = true {
		if locked, err := try(); locked || err != nil {
			return err
		}
		if !said {
			fmt.Println("waiting for another testbed command")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}
