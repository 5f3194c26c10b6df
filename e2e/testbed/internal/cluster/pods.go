package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

// podProcesses are what containerd started for the bed, told by its files rather
// than by a cgroup, which a pod's process may have been moved out of: those whose
// root is one of containerd's snapshots, and shims and sandboxes that were given
// paths of the bed.
func podProcesses(b *bed.Bed) ([]int, error) {
	return proc.Where(func(pid int) bool {
		mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
		if err == nil && rootedBelow(string(mounts), b.State) {
			return true
		}
		arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return err == nil && sandboxOf(arguments, b.State)
	})
}

// rootedBelow says whether a process with this /proc/<pid>/mountinfo has a root
// that containerd keeps below dir: an overlay with its layer there, or a
// directory there.
func rootedBelow(mountinfo, dir string) bool {
	const root, mountPoint = 3, 4
	for _, line := range strings.Split(mountinfo, "\n") {
		fields := strings.Fields(line)
		if len(fields) <= mountPoint || fields[mountPoint] != "/" {
			continue
		}
		if strings.Contains(unescape(line), "upperdir="+dir+"/") || strings.HasPrefix(unescape(fields[root]), dir+"/") {
			return true
		}
	}
	return false
}

// sandboxOf says whether this command line is a shim's or gVisor's, with a path
// below dir.
func sandboxOf(cmdline []byte, dir string) bool {
	arguments := bytes.Split(cmdline, []byte{0})
	name := filepath.Base(string(arguments[0]))
	if !strings.HasPrefix(name, "containerd-shim") && !strings.HasPrefix(name, "runsc") {
		return false
	}
	for _, a := range arguments[1:] {
		if bytes.Contains(a, []byte(dir+"/")) {
			return true
		}
	}
	return false
}
