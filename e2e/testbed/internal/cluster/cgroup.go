package cluster

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

// cgroupRoot holds every pod of the bed, in each hierarchy of the machine. It is
// named after the state directory, as each bed has one of its own.
func cgroupRoot(b *bed.Bed) string {
	sum := sha256.Sum256([]byte(b.State))
	return "flywheel-" + hex.EncodeToString(sum[:4])
}

// Hierarchies are the mounted cgroup trees: one with version 2, one per
// controller with version 1, both in between.
func Hierarchies() ([]string, error) {
	f, err := os.Open("/proc/mounts")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var dirs []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			dirs = append(dirs, fields[1])
		}
	}
	if len(dirs) == 0 {
		return nil, errors.New("no cgroup hierarchy is mounted: mount one at /sys/fs/cgroup")
	}
	return dirs, nil
}

// ensureCgroups makes the bed's root in each hierarchy; the kubelet wants to
// find it there.
func ensureCgroups(b *bed.Bed) error {
	dirs, err := Hierarchies()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := delegate(dir); err != nil {
			return err
		}
		root := filepath.Join(dir, cgroupRoot(b))
		if err := os.MkdirAll(root, 0o755); err != nil {
			return fmt.Errorf("make the bed's cgroup: %w", err)
		}
		if err := inheritCPUSet(dir, root); err != nil {
			return err
		}
	}
	return nil
}

// delegate lets children of a version 2 root use its controllers.
func delegate(dir string) error {
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // version 1
	}
	if err != nil {
		return err
	}
	control := filepath.Join(dir, "cgroup.subtree_control")
	enabled, err := os.ReadFile(control)
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(available)) {
		if slices.Contains(strings.Fields(string(enabled)), controller) {
			continue
		}
		if err := os.WriteFile(control, []byte("+"+controller), 0); err != nil {
			return fmt.Errorf("let cgroups use the %s controller: %w (in a container, run with a cgroup namespace of the host)", controller, err)
		}
	}
	return nil
}

// inheritCPUSet fills the cpuset of a version 1 cgroup, which begins empty and
// accepts no process until it is filled.
func inheritCPUSet(parent, child string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		now, err := os.ReadFile(filepath.Join(child, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || strings.TrimSpace(string(now)) != "" {
			return err
		}
		if _, err := os.Stat(filepath.Join(child, "cgroup.controllers")); err == nil {
			return nil // version 2 inherits by itself
		}
		value, err := os.ReadFile(filepath.Join(parent, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(child, name), value, 0); err != nil {
			return err
		}
	}
	return nil
}

// cgroups lists the bed's cgroups, children before their parents.
func cgroups(b *bed.Bed) ([]string, error) {
	dirs, err := Hierarchies()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(dir, cgroupRoot(b)), func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && entry.IsDir() {
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Reverse(all)
	return all, nil
}

// cgroupMembers are the processes in the bed's cgroups.
func cgroupMembers(b *bed.Bed) ([]int, error) {
	groups, err := cgroups(b)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, group := range groups {
		data, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if err != nil {
			continue // went away meanwhile
		}
		for _, text := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(text); err == nil && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

// removeCgroups removes the bed's cgroups. The kernel lets go of the last
// process a moment after it is gone.
func removeCgroups(b *bed.Bed) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		groups, err := cgroups(b)
		if err != nil || len(groups) == 0 {
			return err
		}
		for _, group := range groups {
			err = errors.Join(err, ignoreMissing(os.Remove(group)))
		}
		if err != nil && time.Now().After(deadline) {
			return fmt.Errorf("remove the bed's cgroups: %w", err)
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
