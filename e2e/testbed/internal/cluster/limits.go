package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

// Limits are of a group of processes, together.
type Limits struct {
	Processes int
	Memory    int64   // bytes, with what lies in file systems in memory
	CPUs      float64 // at most
	Weight    int     // of 100 that everybody else has: how much when others want it too
}

// Group is a cgroup with limits in the bed's own, in each hierarchy of the
// machine. It goes with the bed.
type Group struct{ dirs []string }

// setting is a file of a cgroup, there where its controller is, and what it says.
type setting struct{ file, value string }

// settings of both versions; each machine has some of the files.
func (l Limits) settings() []setting {
	const period = 100_000 // µs
	quota := strconv.Itoa(int(l.CPUs * period))
	memory := strconv.FormatInt(l.Memory, 10)
	return []setting{
		{"pids.max", strconv.Itoa(l.Processes)},
		{"memory.limit_in_bytes", memory}, {"memory.max", memory}, {"memory.swap.max", "0"}, {"memory.oom.group", "1"},
		{"cpu.cfs_period_us", strconv.Itoa(period)}, {"cpu.cfs_quota_us", quota}, {"cpu.max", quota + " " + strconv.Itoa(period)},
		{"cpu.shares", strconv.Itoa(1024 * l.Weight / 100)}, {"cpu.weight", strconv.Itoa(l.Weight)},
	}
}

// Limit makes the named group, or states its limits again.
func Limit(b *bed.Bed, name string, limits Limits) (Group, error) {
	if err := ensureCgroups(b); err != nil {
		return Group{}, err
	}
	roots, err := Hierarchies()
	if err != nil {
		return Group{}, err
	}
	var group Group
	set := map[string]bool{}
	for _, root := range roots {
		parent := filepath.Join(root, cgroupRoot(b))
		dir := filepath.Join(parent, name)
		// The bed's own root holds no process itself, so its controllers may be passed on.
		if err := delegate(parent); err != nil {
			return Group{}, err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return Group{}, err
		}
		if err := inheritCPUSet(parent, dir); err != nil {
			return Group{}, err
		}
		for _, s := range limits.settings() {
			path := filepath.Join(dir, s.file)
			if _, err := os.Stat(path); err != nil {
				continue
			}
			if err := os.WriteFile(path, []byte(s.value), 0); err != nil {
				return Group{}, fmt.Errorf("set %s to %s: %w", s.file, s.value, err)
			}
			controller, _, _ := strings.Cut(s.file, ".")
			set[controller] = true
		}
		group.dirs = append(group.dirs, dir)
	}
	for _, controller := range []string{"pids", "memory", "cpu"} {
		if !set[controller] {
			return Group{}, fmt.Errorf("this machine's cgroups have no %s controller", controller)
		}
	}
	return group, nil
}

// Add puts a process, and whatever it starts from now on, into the group.
func (g Group) Add(pid int) error {
	for _, dir := range g.dirs {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return err
		}
	}
	return nil
}

// Members are the processes in the group.
func (g Group) Members() ([]int, error) {
	var pids []int
	for _, dir := range g.dirs {
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if ignoreMissing(err) != nil {
			return nil, err
		}
		for _, text := range strings.Fields(string(data)) {
			pid, err := strconv.Atoi(text)
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// Empty kills what is in the group.
func (g Group) Empty() error {
	for range 5 { // what starts others may do so until it is gone itself
		pids, err := g.Members()
		if err != nil || len(pids) == 0 {
			return err
		}
		if err := proc.Kill(pids); err != nil {
			return err
		}
	}
	return errors.New("processes keep starting others")
}
