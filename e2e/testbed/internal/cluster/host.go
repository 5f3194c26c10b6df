package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/netns"
	"flywheel.prim.sh/e2e/testbed/internal/pki"
)

// tunables are the kernel's settings that a kubelet insists on changing. They
// are no namespace's own, so the bed notes what they were and puts them back.
var tunables = []string{
	"vm/overcommit_memory", "vm/panic_on_oom",
	"kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

// fixedDirs are where containerd, its plugins, the kubelet and iproute2 write
// whatever their configuration says.
var fixedDirs = []string{"/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", netns.Dir}

// hostNote is what the host was like before the bed.
type hostNote struct {
	Tunables map[string]string `json:"tunables"`
	Absent   []string          `json:"absent"` // those of fixedDirs that were not there
}

func hostNotePath(b *bed.Bed) string { return b.Path("host.json") }

// noteHost remembers the host as it is before the first start.
func noteHost(b *bed.Bed) error {
	if _, err := os.Stat(hostNotePath(b)); err == nil {
		return nil
	}
	note := hostNote{Tunables: map[string]string{}}
	for _, name := range tunables {
		data, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		note.Tunables[name] = string(data)
	}
	for _, dir := range fixedDirs {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			note.Absent = append(note.Absent, dir)
		}
	}
	data, err := json.Marshal(note)
	if err != nil {
		return err
	}
	return pki.WriteFile(hostNotePath(b), data, 0o644)
}

// restoreHost puts the settings back and removes what the bed left outside of
// its state directory. Nothing of it may run any more.
func restoreHost(b *bed.Bed) error {
	left, err := hostFiles(b)
	if err != nil {
		return err
	}
	for _, path := range left {
		err = errors.Join(err, ignoreMissing(os.Remove(path)))
	}
	data, readErr := os.ReadFile(hostNotePath(b))
	if errors.Is(readErr, fs.ErrNotExist) {
		return err
	}
	var note hostNote
	if readErr == nil {
		readErr = json.Unmarshal(data, &note)
	}
	if readErr != nil {
		return errors.Join(err, fmt.Errorf("what the host was like before: %w", readErr))
	}
	for name, value := range note.Tunables {
		path := filepath.Join("/proc/sys", name)
		if now, readErr := os.ReadFile(path); readErr == nil && string(now) == value {
			continue
		}
		err = errors.Join(err, os.WriteFile(path, []byte(value), 0))
	}
	for _, dir := range note.Absent {
		if dir == netns.Dir {
			err = errors.Join(err, netns.RemoveDir())
			continue
		}
		err = errors.Join(err, removeUnused(dir))
	}
	return err
}

// removeUnused removes a directory that was not there before the bed, unless
// somebody else has begun to use it meanwhile: of what lies in it only sockets
// that nobody listens on, and what containerd and the kubelet are known to leave,
// are taken for the bed's.
func removeUnused(dir string) error {
	mounts, err := mountsBelow(dir)
	if err != nil || len(mounts) > 0 {
		return err
	}
	var directories []string
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			directories = append(directories, path)
		case entry.Type() == fs.ModeSocket && !answers(path), abandoned(path):
			return ignoreMissing(os.Remove(path))
		}
		return nil
	})
	for _, path := range slices.Backward(directories) {
		// One that still holds something is another's.
		if removeErr := ignoreMissing(os.Remove(path)); !errors.Is(removeErr, syscall.ENOTEMPTY) && !errors.Is(removeErr, syscall.EBUSY) {
			err = errors.Join(err, removeErr)
		}
	}
	return err
}

// answers says whether a process listens on the socket.
func answers(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err == nil {
		conn.Close()
	}
	return !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist)
}

// abandoned tells the files that end with the bed and are named after no bed:
// the loopback plugin's results, the device manager's checkpoint, links to logs
// that are gone.
func abandoned(path string) bool {
	if dir, name := filepath.Split(path); dir == "/var/lib/cni/results/" && strings.HasPrefix(name, "cni-loopback-") {
		container := strings.TrimSuffix(strings.TrimPrefix(name, "cni-loopback-"), "-lo")
		others, err := filepath.Glob(dir + "*-" + container + "-*")
		return err == nil && len(others) == 1 // a pod of another network has a result of that too
	}
	if path == "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint" {
		return !answers("/var/lib/kubelet/device-plugins/kubelet.sock")
	}
	if filepath.Dir(path) != "/var/log/containers" {
		return false
	}
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// hostFiles lists the bed's files outside of its state directory, for a host
// where others use the same directories.
func hostFiles(b *bed.Bed) ([]string, error) {
	// Results of the CNI plugins, by the network's name.
	all, err := filepath.Glob("/var/lib/cni/results/flywheel-*")
	if err != nil {
		return nil, err
	}
	// The loopback plugin's network has the same name everywhere, its container's
	// is in ours.
	for _, result := range all {
		container := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(result), "flywheel-"), "-eth0")
		loopback := "/var/lib/cni/results/cni-loopback-" + container + "-lo"
		if _, err := os.Lstat(loopback); err == nil {
			all = append(all, loopback)
		}
	}
	links, err := filepath.Glob("/var/log/containers/*")
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, b.State+"/") {
			all = append(all, link)
		}
	}
	addresses, err := filepath.Glob(b.Path("containerd", "state", "io.containerd.runtime.v2.task", "*", "*", "address"))
	if err != nil {
		return nil, err
	}
	for _, file := range addresses {
		text, err := os.ReadFile(file)
		socket := strings.TrimPrefix(strings.TrimSpace(string(text)), "unix://")
		if err == nil && filepath.Dir(socket) == "/run/containerd/s" {
			all = append(all, socket)
		}
	}
	return all, nil
}
