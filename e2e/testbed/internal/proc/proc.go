// Package proc runs the test bed's long-running processes detached from the
// command that starts them, and finds, heals and ends exactly those again.
//
// A process is known by a record (pid, kernel start time, boot) and by two
// variables in its environment that name the bed and the part. The variables
// cover the moment between start and record, and tell `down` which stray
// processes are the bed's own.
package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

// The variables that mark a process as a bed's own. Children inherit them, so
// containerd's shims and the commands of a forge carry them too.
const (
	bedVariable  = "FLYWHEEL_BED"
	partVariable = "FLYWHEEL_PART"
)

// SearchPath is the PATH of the bed's processes.
const SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const (
	// A process that already runs has no start-up to wait for; longer than this
	// without an answer means that it hangs.
	answersWithin = 10 * time.Second
	defaultReady  = 30 * time.Second
	stopsWithin   = 5 * time.Second
	pollInterval  = 50 * time.Millisecond
)

// Spec describes one process of the bed.
type Spec struct {
	// Name is unique in the bed; it names the record and the log.
	Name string
	// Argv is the program, absolute or on the search path, and its arguments.
	// Secrets belong in files that it names.
	Argv []string
	// Env is added to a minimal environment (PATH, HOME).
	Env []string
	// Dir is the working directory; empty means the bed's state directory.
	Dir string
	// Config names files whose contents count as part of the description: when
	// one changes, the process is started anew.
	Config []string
	// Host runs the process outside the bed's network namespace.
	Host bool
	// User runs the process as that user; empty means the present one.
	User string
	// Ready answers nil once the process serves. A nil Ready means that being
	// alive is enough.
	Ready func(context.Context) error
	// ReadyWithin bounds the wait after a start; 30 s when zero.
	ReadyWithin time.Duration
}

// Ensure makes the process of s run and serve. One that runs unchanged and
// answers is left alone; one that changed or does not answer is restarted.
func Ensure(ctx context.Context, b *bed.Bed, s Spec) (started bool, err error) {
	digest, err := s.Digest(b)
	if err != nil {
		return false, fmt.Errorf("%s: %w", s.Name, err)
	}
	rec, err := readRecord(b, s.Name)
	if err != nil {
		return false, err
	}
	if rec != nil && rec.alive() {
		if rec.Digest == digest && waitReady(ctx, s, answersWithin, rec.alive) == nil {
			return false, nil
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
	}
	if err := Stop(b, s.Name); err != nil {
		return false, err
	}
	return true, start(ctx, b, s, digest)
}

// Command is a one-off command inside the bed's network namespace, with the
// same minimal environment as the bed's processes.
func Command(ctx context.Context, b *bed.Bed, argv ...string) *exec.Cmd {
	argv = enter(b, false, nil, argv)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = environment(b, "command", homeOf(nil), nil)
	return cmd
}

func start(ctx context.Context, b *bed.Bed, s Spec, digest string) error {
	var account *user.User
	if s.User != "" {
		found, err := user.Lookup(s.User)
		if err != nil {
			return fmt.Errorf("%s runs as user %q: %w", s.Name, s.User, err)
		}
		account = found
	}
	log, offset, err := openLog(b, s.Name)
	if err != nil {
		return err
	}
	defer log.Close()

	argv := enter(b, s.Host, account, s.Argv)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.Dir
	if cmd.Dir == "" {
		cmd.Dir = b.State
	}
	cmd.Env = environment(b, s.Name, homeOf(account), s.Env)
	cmd.Stdout, cmd.Stderr = log, log
	// A session of its own: the terminal's Ctrl-C ends `up`, not the bed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.Name, err)
	}
	rec, err := newRecord(cmd.Process.Pid, digest)
	if err == nil {
		err = writeRecord(b, s.Name, rec)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("record %s: %w%s", s.Name, err, tail(b, s.Name, offset))
	}

	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	within := s.ReadyWithin
	if within == 0 {
		within = defaultReady
	}
	var exit error
	gone := false
	running := func() bool {
		select {
		case exit = <-exited:
			gone = true
		default:
		}
		return !gone
	}
	if err := waitReady(ctx, s, within, running); err != nil {
		if gone {
			err = fmt.Errorf("it ended: %s", exitText(exit))
		}
		return fmt.Errorf("%s did not become ready: %w%s", s.Name, err, tail(b, s.Name, offset))
	}
	return nil
}

var errEnded = errors.New("the process ended")

// waitReady polls s.Ready until it answers nil, the time is up or the process
// is gone.
func waitReady(ctx context.Context, s Spec, within time.Duration, running func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		if !running() {
			return errEnded
		}
		if s.Ready == nil {
			return nil
		}
		err := s.Ready(ctx)
		if err == nil && running() {
			return nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
			return fmt.Errorf("no answer within %s: %w", within, err)
		case <-time.After(pollInterval):
		}
	}
}

// enter puts argv into the bed's network namespace, as account. nsenter, unlike
// `ip netns exec`, leaves the mount namespace alone: volumes that the kubelet
// mounts must be seen by containerd.
func enter(b *bed.Bed, host bool, account *user.User, argv []string) []string {
	if (host || b.Netns == "") && account == nil {
		return argv
	}
	var prefix []string
	if !host && b.Netns != "" {
		prefix = []string{"nsenter", "--net=/run/netns/" + b.Netns}
	}
	if account != nil {
		prefix = append(prefix, "setpriv", "--reuid="+account.Uid, "--regid="+account.Gid, "--clear-groups")
	}
	return append(append(prefix, "--"), argv...)
}

func environment(b *bed.Bed, part, home string, extra []string) []string {
	env := []string{"PATH=" + SearchPath, "HOME=" + home, bedVariable + "=" + b.State, partVariable + "=" + part}
	return append(env, extra...)
}

func homeOf(account *user.User) string {
	if account != nil {
		return account.HomeDir
	}
	if home, err := os.UserHomeDir(); err == nil {
		return home
	}
	return "/"
}

func exitText(err error) string {
	if err == nil {
		return "exit code 0"
	}
	return err.Error()
}

func recordPath(b *bed.Bed, name string) string { return b.Path("proc", name+".json") }

// namespaceInode identifies the bed's network namespace, so that a process left
// in a deleted one counts as changed.
func namespaceInode(b *bed.Bed) string {
	info, err := os.Stat(filepath.Join("/run/netns", b.Netns))
	if b.Netns == "" || err != nil {
		return ""
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return strconv.FormatUint(st.Ino, 10)
	}
	return ""
}

func lines(text string, last int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(all) > last {
		all = all[len(all)-last:]
	}
	return strings.Join(all, "\n")
}
