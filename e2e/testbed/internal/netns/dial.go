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
	return in(Path(b), func() (net.Conn, error) { return dialer.DialContext(ctx, network, address) })
}

// Listen listens inside the namespace that path names. The address must be
// numeric.
func Listen(ctx context.Context, path, network, address string) (net.Listener, error) {
	var config net.ListenConfig
	return in(path, func() (net.Listener, error) { return config.Listen(ctx, network, address) })
}

// in makes a socket inside the namespace that path names; it stays there,
// whoever uses it.
func in[S any](path string, open func() (S, error)) (S, error) {
	type result struct {
		socket S
		err    error
	}
	done := make(chan result, 1)
	go func() {
		// A namespace is entered by a thread. This one is never unlocked, so the
		// runtime ends it with the goroutine and no other code runs on it.
		runtime.LockOSThread()
		var r result
		if r.err = enter(path); r.err == nil {
			r.socket, r.err = open()
		}
		done <- r
	}()
	r := <-done
	return r.socket, r.err
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
