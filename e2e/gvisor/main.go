// Command gvisor is containerd's shim for gVisor, for machines that may not
// lower the OOM score of a process.
//
// gVisor's own shim sets its score to -999 and gives up when the kernel refuses,
// which it does without CAP_SYS_RESOURCE (as in many containers and small VMs).
// The score only makes the shim a late victim when memory runs out. This main
// serves gVisor's shim service unchanged and only starts the shim's process by
// itself: the score is set where that is allowed and left alone where not.
//
// runsc itself, gVisor's runtime, is built from this module too, as its tool.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"syscall"

	"github.com/containerd/containerd/log"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/runtime/v2/shim"
	"github.com/containerd/containerd/sys"
	gvisor "gvisor.dev/gvisor/pkg/shim"
)

const (
	// The files that containerd looks for in the bundle's directory, where a
	// shim is started.
	addressFile = "address"
	pidFile     = "shim.pid"

	// oomScore is what containerd's other shims have: killed last, but killable.
	oomScore = -999
)

func main() {
	shim.Run("io.containerd.runsc.v1", newShim)
}

// starter is gVisor's shim with a start of its own.
type starter struct {
	shim.Shim
	options shim.Opts
}

func newShim(ctx context.Context, id string, publisher shim.Publisher, cancel func()) (shim.Shim, error) {
	service, err := gvisor.New(ctx, id, publisher, cancel)
	if err != nil {
		return nil, err
	}
	options, _ := ctx.Value(shim.OptsKey{}).(shim.Opts) // absent outside of `start`
	return &starter{Shim: service, options: options}, nil
}

// StartShim starts the process that serves one sandbox and returns the address
// of its socket.
func (s *starter) StartShim(ctx context.Context, opts shim.StartOpts) (string, error) {
	address, err := shim.SocketAddress(ctx, opts.Address, opts.ID)
	if err != nil {
		return "", err
	}
	socket, err := listen(address)
	if err != nil {
		return "", err
	}
	if socket == nil { // a shim serves this sandbox already
		return address, shim.WriteAddress(addressFile, address)
	}
	// The child holds its own copy of the descriptor, and the name must outlive
	// this one.
	socket.SetUnlinkOnClose(false)
	defer socket.Close()
	process, err := s.start(ctx, opts, socket)
	if err == nil {
		if err = announce(ctx, process.Pid, address); err == nil {
			return address, nil
		}
		_ = process.Kill()
	}
	_ = shim.RemoveSocket(address)
	return "", err
}

// listen opens the shim's socket. It returns nil when another shim answers
// there; a socket that nobody answers is a dead shim's and is replaced.
func listen(address string) (*net.UnixListener, error) {
	socket, err := shim.NewSocket(address)
	if err == nil {
		return socket, nil
	}
	if !shim.SocketEaddrinuse(err) {
		return nil, fmt.Errorf("shim socket: %w", err)
	}
	if shim.CanConnect(address) {
		return nil, nil
	}
	if err := shim.RemoveSocket(address); err != nil {
		return nil, fmt.Errorf("remove a dead shim's socket: %w", err)
	}
	return shim.NewSocket(address)
}

// start runs this program again, to serve on socket.
func (s *starter) start(ctx context.Context, opts shim.StartOpts, socket *net.UnixListener) (*os.Process, error) {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file, err := socket.File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	args := []string{"-namespace", namespace, "-address", opts.Address, "-publish-binary", opts.ContainerdBinary}
	if s.options.Debug {
		args = append(args, "-debug")
	}
	cmd := exec.Command(self, args...)
	// A shim mostly waits: two threads serve it, whatever the machine's size.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.ExtraFiles = []*os.File{file} // descriptor 3, where shim.Run looks for it
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return cmd.Process, nil
}

// announce leaves the files by which containerd finds the shim again.
func announce(ctx context.Context, pid int, address string) error {
	if err := shim.WritePidFile(pidFile, pid); err != nil {
		return err
	}
	if err := shim.WriteAddress(addressFile, address); err != nil {
		return err
	}
	err := sys.SetOOMScore(pid, oomScore)
	if errors.Is(err, fs.ErrPermission) {
		log.G(ctx).WithError(err).Debug("the shim keeps its OOM score")
		return nil
	}
	return err
}
