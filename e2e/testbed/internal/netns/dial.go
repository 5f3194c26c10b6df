package netns

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

// Dial connects from inside the bed's namespace, so that servers on its
// loopback can be asked whether they serve. Without a namespace it connects
// from here. The address must be numeric.
func Dial(ctx context.Context, b *bed.Bed, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	if b.Netns == "" {
		return dialer.DialContext(ctx, network, address)
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// A namespace is entered by a thread. This one is never unlocked, so the
		// runtime ends it with the goroutine and no other code runs on it.
		runtime.LockOSThread()
		conn, err := func() (net.Conn, error) {
			if err := enter(Path(b)); err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, network, address)
		}()
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

func enter(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, _, errno := syscall.RawSyscall(sysSetns, f.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
		return fmt.Errorf("enter %s: %w", path, errno)
	}
	return nil
}
