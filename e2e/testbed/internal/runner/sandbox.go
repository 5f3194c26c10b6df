package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/netns"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

// The job's user and group: no account's, and not those of any pod.
const jobUser = "65530"

// Sizes of the job's file systems, in bytes. Whatever lies in them counts as the
// job's memory too.
const (
	workSize = "1610612736"
	tmpSize  = "536870912"
)

// The descriptors that bubblewrap is given, in the order of ExtraFiles.
const (
	infoFD = 3 + iota
	blockFD
	registrationFD
	configFD
	accountsFD
	groupsFD
)

const config = `log: {level: info}
runner:
  file: /run/runner/registration
  capacity: 1
  timeout: 10m
  fetch_interval: 1s
  fetch_interval_max: 2s
  log_report_interval: 1s
  log_report_max_latency: 500ms
  state_report_interval: 1s
  labels: ["` + Label + `:host"]
cache: {enabled: false}
host: {workdir_parent: /job}
`

const (
	accounts = "job:x:" + jobUser + ":" + jobUser + ":job:/job/home:/bin/sh\n"
	groups   = "job:x:" + jobUser + ":\n"
)

// sandbox are bubblewrap's arguments. It runs as root and keeps three
// capabilities for as long as it takes setpriv to become the job's user; a user
// namespace would need them not, but not every machine has those.
func sandbox(p Programs) []string {
	args := []string{
		"--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
		"--hostname", "runner", "--die-with-parent", "--new-session",
		"--info-fd", strconv.Itoa(infoFD), "--block-fd", strconv.Itoa(blockFD),
		"--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP",
		"--ro-bind", "/usr", "/usr",
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		args = append(args, rootDir(dir)...)
	}
	directory := func(path string) []string { return []string{"--perms", "0755", "--dir", path} }
	file := func(fd int, path string) []string {
		return []string{"--perms", "0444", "--ro-bind-data", strconv.Itoa(fd), path}
	}
	// What is installed beside the distribution's is nobody's to see; ours is.
	args = append(args, "--tmpfs", "/usr/local")
	args = append(args, directory("/usr/local/bin")...)
	args = append(args, "--ro-bind", p.Runner, "/usr/local/bin/runner", "--ro-bind", p.Bun, "/usr/local/bin/bun", "--symlink", "bun", "/usr/local/bin/bunx")
	if p.Flywheel != "" {
		args = append(args, "--ro-bind", p.Flywheel, "/usr/local/bin/flywheel")
	}
	for _, path := range []string{"/etc", "/run", "/run/runner", "/opt"} {
		args = append(args, directory(path)...)
	}
	args = append(args, "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--ro-bind-try", "/etc/alternatives", "/etc/alternatives")
	args = append(args, file(registrationFD, "/run/runner/registration")...)
	args = append(args, file(configFD, "/run/runner/config.yaml")...)
	args = append(args, file(accountsFD, "/etc/passwd")...)
	args = append(args, file(groupsFD, "/etc/group")...)
	args = append(args, "--ro-bind", p.Cache, "/opt/bun-cache", "--proc", "/proc", "--dev", "/dev",
		"--perms", "1777", "--size", tmpSize, "--tmpfs", "/tmp",
		"--perms", "0777", "--size", workSize, "--tmpfs", "/job", "--perms", "0777", "--dir", "/job/home",
		"--remount-ro", "/usr/local", "--remount-ro", "/",
		"--chdir", "/job", "--clearenv",
		"--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin", "--setenv", "HOME", "/job/home", "--setenv", "LANG", "C.UTF-8",
		// Dependencies come from here: there is no registry.
		"--setenv", "BUN_INSTALL_CACHE_DIR", "/opt/bun-cache", "--setenv", "DO_NOT_TRACK", "1",
	)
	return append(args, "--", "setpriv", "--reuid="+jobUser, "--regid="+jobUser, "--clear-groups", "--no-new-privs",
		"--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all",
		"/usr/local/bin/runner", "--config", "/run/runner/config.yaml", "daemon", "--once")
}

// rootDir is what the machine has as /bin and the like: a link into /usr since
// the merge of both, a directory before.
func rootDir(name string) []string {
	path := "/" + name
	if target, err := os.Readlink(path); err == nil {
		return []string{"--symlink", target, path}
	}
	return []string{"--ro-bind-try", path, path}
}

// box is a sandbox that runs.
type box struct {
	output io.Reader
	wait   func() error
}

// start makes a sandbox and lets the runner in it go once its network and its
// limits are there. The context's end kills everything in it.
func start(ctx context.Context, p Programs, group cluster.Group, registration []byte) (*box, error) {
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	infoR, infoW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer infoR.Close()
	files = append(files, infoW)
	blockR, blockW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer blockW.Close() // which lets it go, so the limits have to be there before
	files = append(files, blockR)
	for _, content := range [][]byte{registration, []byte(config), []byte(accounts), []byte(groups)} {
		f, err := contents(content)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	cmd := exec.CommandContext(ctx, "bwrap", sandbox(p)...)
	cmd.Env = []string{"PATH=" + proc.SearchPath}
	cmd.Dir = "/"
	cmd.ExtraFiles = files
	outputR, outputW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	files = append(files, outputW)
	cmd.Stdout, cmd.Stderr = outputW, outputW
	ended, err := begin(cmd)
	if err != nil {
		outputR.Close()
		return nil, err
	}
	abandon := func(err error) (*box, error) {
		_ = cmd.Process.Kill() // before it was let go
		<-ended
		said, _ := io.ReadAll(io.LimitReader(outputR, 4<<10)) // for the error only
		outputR.Close()
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	infoW.Close()
	outputW.Close()
	var info struct {
		Pid int `json:"child-pid"`
	}
	if err := json.NewDecoder(infoR).Decode(&info); err != nil {
		return abandon(fmt.Errorf("bubblewrap did not start: %w", err))
	}
	if err := group.Add(info.Pid); err != nil {
		return abandon(fmt.Errorf("limits: %w", err))
	}
	network, err := onlyForge(ctx, info.Pid)
	if err != nil {
		return abandon(fmt.Errorf("network: %w", err))
	}
	if _, err := blockW.Write([]byte{1}); err != nil {
		network.Close()
		return abandon(err)
	}
	return &box{output: outputR, wait: func() error {
		defer outputR.Close()
		defer network.Close()
		err := <-ended
		var exit *exec.ExitError
		if errors.As(err, &exit) && ctx.Err() == nil {
			return fmt.Errorf("the runner ended with %s", exit)
		}
		return nil
	}}, nil
}

// begin starts a command from a thread that lives as long as the command: with
// --die-with-parent the kernel kills it when that thread ends.
func begin(cmd *exec.Cmd) (ended <-chan error, err error) {
	started, done := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		done <- cmd.Wait()
	}()
	return done, <-started
}

// contents is an open file without a name that holds data.
func contents(data []byte) (*os.File, error) {
	f, err := os.CreateTemp("", "flywheel-runner-")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// onlyForge gives the network of a process the forge's address and nothing more:
// what listens there is this program, which hands each connection on.
func onlyForge(ctx context.Context, pid int) (io.Closer, error) {
	space := filepath.Join("/proc", strconv.Itoa(pid), "ns", "net")
	const address = "ip link set lo up && ip addr add " + bed.ForgeIP + "/32 dev lo"
	if out, err := exec.CommandContext(ctx, "nsenter", "--net="+space, "--", "sh", "-c", address).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	listener, err := netns.Listen(ctx, space, "tcp", forgeAddress)
	if err != nil {
		return nil, err
	}
	go forward(ctx, listener)
	return listener, nil
}

var forgeAddress = net.JoinHostPort(bed.ForgeIP, "3000")

// forward hands connections on to the forge until the listener is closed.
func forward(ctx context.Context, listener net.Listener) {
	var dialer net.Dialer
	for {
		inner, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, say: a moment later there may be some
			continue
		}
		go func() {
			defer inner.Close()
			outer, err := dialer.DialContext(ctx, "tcp", forgeAddress)
			if err != nil {
				return // the forge is away: so it looks from inside too
			}
			defer outer.Close()
			join(inner.(*net.TCPConn), outer.(*net.TCPConn))
		}()
	}
}

// join copies both ways until both sides have said all.
func join(a, b *net.TCPConn) {
	done := make(chan struct{})
	copyTo := func(to, from *net.TCPConn) {
		_, _ = io.Copy(to, from) // either side may end it
		_ = to.CloseWrite()
	}
	go func() { copyTo(a, b); close(done) }()
	copyTo(b, a)
	<-done
}
