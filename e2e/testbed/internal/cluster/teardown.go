package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/netns"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

// keptAfterDown is what stays below the state directory: why the last run
// failed is often asked after it is gone.
const keptAfterDown = "logs"

// EndProcesses ends every process of the bed: the recorded ones, whatever
// carries its mark, all in its cgroups and its network namespace, and its pods
// wherever they are.
func EndProcesses(b *bed.Bed) (count int, err error) {
	// The kubelet first, which would start pods anew.
	if err := proc.Abort(b, Kubelet); err != nil {
		return 0, err
	}
	// What starts others may do so until it is gone itself: look again.
	for range 5 {
		pids, err := processes(b)
		if err != nil || len(pids) == 0 {
			return count, err
		}
		count += len(pids)
		// Everything they wrote is about to go or survives a crash: no need to ask.
		if err := proc.Kill(pids); err != nil {
			return count, err
		}
	}
	return count, nil
}

// Down ends and removes everything of the bed but its logs, in whatever state
// it is, and checks that nothing is left.
func Down(ctx context.Context, b *bed.Bed) error {
	if err := RefuseForeign(b); err != nil {
		return err
	}
	steps := []func() error{
		func() error { _, err := EndProcesses(b); return err },
		func() error { return unmountAll(b) },
	}
	if b.Mode == bed.Full {
		steps = append(steps,
			func() error { return netns.Remove(ctx, b) },
			func() error { return removeCgroups(b) },
			func() error { return restoreHost(b) },
		)
	}
	steps = append(steps, func() error { return removeState(b) })
	var all error
	for _, step := range steps {
		// One thing that resists must not keep the others.
		all = errors.Join(all, step())
	}
	left, err := Leftovers(b)
	if err != nil {
		return errors.Join(all, err)
	}
	if len(left) > 0 {
		all = errors.Join(all, fmt.Errorf("still there:\n  %s", strings.Join(left, "\n  ")))
	}
	return all
}

// Leftovers lists what of the bed exists, a line for each thing.
func Leftovers(b *bed.Bed) ([]string, error) {
	var left []string
	pids, err := processes(b)
	if err != nil {
		return nil, err
	}
	for _, pid := range pids {
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // gone meanwhile: no name
		left = append(left, fmt.Sprintf("process %d %s", pid, strings.TrimSpace(string(command))))
	}
	mounts, err := mountsBelow(b.State)
	if err != nil {
		return nil, err
	}
	for _, m := range mounts {
		left = append(left, "mount "+m)
	}
	entries, err := os.ReadDir(b.State)
	if ignoreMissing(err) != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name() != keptAfterDown {
			left = append(left, "file "+b.Path(e.Name()))
		}
	}
	if b.Mode != bed.Full {
		return left, nil
	}
	groups, err := cgroups(b)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		left = append(left, "cgroup "+g)
	}
	files, err := hostFiles(b)
	if err != nil {
		return nil, err
	}
	if netns.HasLink() {
		left = append(left, "link "+netns.HostLink)
	}
	for _, path := range append(files, netns.Path(b)) {
		if _, err := os.Lstat(path); err == nil {
			left = append(left, "file "+path)
		}
	}
	return left, nil
}

// processes are all that belong to the bed, but not this one and those that
// called it.
func processes(b *bed.Bed) ([]int, error) {
	pids, err := proc.Marked(b)
	if err != nil {
		return nil, err
	}
	recorded, err := proc.All(b)
	if err != nil {
		return nil, err
	}
	for _, r := range recorded {
		if r.Alive {
			pids = append(pids, r.Pid)
		}
	}
	if b.Mode == bed.Full {
		members, err := cgroupMembers(b)
		if err != nil {
			return nil, err
		}
		inside, err := netns.Members(b)
		if err != nil {
			return nil, err
		}
		pods, err := podProcesses(b)
		if err != nil {
			return nil, err
		}
		pids = slices.Concat(pids, members, inside, pods)
	}
	own := ancestry()
	slices.Sort(pids)
	pids = slices.Compact(pids)
	return slices.DeleteFunc(pids, func(pid int) bool { return slices.Contains(own, pid) }), nil
}

// RefuseForeign protects the bed of another state directory: the network
// namespace, its subnet and the cgroups exist once on a machine.
func RefuseForeign(b *bed.Bed) error {
	if b.Mode != bed.Full {
		return nil
	}
	members, err := netns.Members(b)
	if err != nil {
		return err
	}
	for _, pid := range members {
		if state := proc.BedOf(pid); state != "" && state != b.State {
			return fmt.Errorf("a test bed is up, in %s: end it first (FLYWHEEL_STATE=%s make down)", state, filepath.Dir(state))
		}
	}
	return nil
}

// ancestry is this process, its parent, and so on.
func ancestry() []int {
	var pids []int
	for pid := os.Getpid(); pid > 0; {
		pids = append(pids, pid)
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			break
		}
		parent := 0
		for _, line := range strings.Split(string(status), "\n") {
			if text, found := strings.CutPrefix(line, "PPid:"); found {
				parent, _ = strconv.Atoi(strings.TrimSpace(text)) // the kernel writes a number
			}
		}
		pid = parent
	}
	return pids
}

// mountsBelow lists the mount points below dir, the last mounted first.
func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		const mountPoint = 4
		fields := strings.Fields(lines.Text())
		if len(fields) <= mountPoint {
			continue
		}
		if path := unescape(fields[mountPoint]); strings.HasPrefix(path, dir+"/") {
			all = append(all, path)
		}
	}
	slices.Reverse(all)
	return all, nil
}

// unescape undoes the kernel's writing of blanks as octal numbers.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

func unmountAll(b *bed.Bed) error {
	mounts, err := mountsBelow(b.State)
	if err != nil {
		return err
	}
	for _, path := range mounts {
		if syscall.Unmount(path, 0) == nil {
			continue
		}
		// Busy: off the tree now, gone when its last user is.
		if unmountErr := syscall.Unmount(path, syscall.MNT_DETACH); unmountErr != nil {
			err = errors.Join(err, fmt.Errorf("unmount %s: %w", path, unmountErr))
		}
	}
	return err
}

func removeState(b *bed.Bed) error {
	// A mount may lead to files that are not the bed's.
	mounts, err := mountsBelow(b.State)
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("%s is kept, for %s is still mounted", b.State, mounts[0])
	}
	entries, err := os.ReadDir(b.State)
	if ignoreMissing(err) != nil {
		return err
	}
	var all error
	for _, e := range entries {
		if e.Name() != keptAfterDown {
			all = errors.Join(all, os.RemoveAll(filepath.Join(b.State, e.Name())))
		}
	}
	return all
}
