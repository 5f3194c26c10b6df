//go:build bed

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/bedtest"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

// program is the testbed command, built once; state is this test's own.
var (
	program = filepath.Join(bedtest.Dir(), "testbed")
	state   = filepath.Join(bedtest.Dir(), "state")
)

func TestMain(m *testing.M) {
	if bedtest.Dir() != "" {
		os.Exit(m.Run())
	}
	if err := bedtest.Isolate(prepare); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// prepare builds everything, while the outer network is there.
func prepare(dir string) error {
	path := filepath.Join(dir, "testbed")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("build testbed: %w\n%s", err, out)
	}
	build := exec.Command(path, "build")
	build.Env = append(os.Environ(), "CLUSTER="+string(bed.Full))
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("testbed build: %w\n%s", err, out)
	}
	return nil
}

func command(mode bed.Mode, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "CLUSTER="+string(mode), "FLYWHEEL_STATE="+state)
	return cmd
}

func do(t *testing.T, mode bed.Mode, args ...string) string {
	t.Helper()
	begin := time.Now()
	out, err := command(mode, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("testbed %s: %v\n%s", args[0], err, out)
	}
	t.Logf("%s %s: %.1f s", mode, args[0], time.Since(begin).Seconds())
	return string(out)
}

func thisTestsBed(t *testing.T, mode bed.Mode) *bed.Bed {
	t.Helper()
	t.Setenv("FLYWHEEL_STATE", state)
	b, err := bed.New(mode, "")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// host is what a bed could leave behind on the machine, as text.
func host(t *testing.T, b *bed.Bed) string {
	t.Helper()
	var all strings.Builder
	for _, argv := range [][]string{
		{"ip", "-oneline", "link"}, {"ip", "-oneline", "addr"}, {"ip", "route"}, {"ip", "netns"}, {"iptables-save"},
		{"cat", "/proc/self/mounts"},
		{"cat", "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops", "/proc/sys/net/ipv4/ip_forward"},
		{"ls", "/sys/fs/cgroup"},
		{"ls", "/run", "/var/lib", "/var/log", "/opt", "/usr/libexec"},
	} {
		out, err := exec.Command(argv[0], argv[1:]...).Output()
		if err != nil {
			t.Fatalf("%s: %v", argv, err)
		}
		fmt.Fprintf(&all, "# %s\n%s", argv, out)
	}
	left, err := cluster.Leftovers(b)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&all, "# left over\n%s\n", strings.Join(left, "\n"))
	var text []string
	for _, line := range strings.Split(all.String(), "\n") {
		if !anothers.MatchString(line) || strings.Contains(line, state) {
			text = append(text, line)
		}
	}
	return passing.ReplaceAllString(strings.Join(text, "\n"), "")
}

var (
	// Mounts of a bed that was up when this namespace of mounts was made go when
	// that bed removes their directories.
	anothers = regexp.MustCompile(`^\S+ \S+/full/(kubelet|containerd)/`)
	// Counters and times pass by themselves.
	passing = regexp.MustCompile(`(?m)valid_lft \S+|preferred_lft \S+|^# (Generated|Completed).*$|\[\d+:\d+\]`)
)

func expectSame(t *testing.T, before, after string) {
	t.Helper()
	if before == after {
		return
	}
	was := strings.Split(before, "\n")
	for _, line := range strings.Split(after, "\n") {
		if !contains(was, line) {
			t.Errorf("new on the host: %s", line)
		}
	}
	is := strings.Split(after, "\n")
	for _, line := range was {
		if !contains(is, line) {
			t.Errorf("gone from the host: %s", line)
		}
	}
}

func contains(all []string, line string) bool {
	for _, l := range all {
		if l == line {
			return true
		}
	}
	return false
}

// workload starts a pod with a volume, one of each runtime, and waits for them.
func workload(t *testing.T, b *bed.Bed, name string) {
	t.Helper()
	var yaml bytes.Buffer
	fmt.Fprintf(&yaml, `
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: %[1]s},
 spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: %[1]s-runc},
 spec: {containers: [{name: c, image: "localhost/flywheel/pause:dev", imagePullPolicy: Never, volumeMounts: [{name: v, mountPath: /v}]}],
        volumes: [{name: v, persistentVolumeClaim: {claimName: %[1]s}}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: %[1]s-gvisor},
 spec: {runtimeClassName: gvisor, containers: [{name: c, image: "localhost/flywheel/pause:dev", imagePullPolicy: Never}]}}
`, name)
	apply := kubectlOf(b, "apply", "-f", "-")
	apply.Stdin = &yaml
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("start pods: %v\n%s", err, out)
	}
	wait := kubectlOf(b, "wait", "--for=condition=Ready", "pod/"+name+"-runc", "pod/"+name+"-gvisor", "--timeout=60s")
	if out, err := wait.CombinedOutput(); err != nil {
		describe, _ := kubectlOf(b, "describe", "pods").CombinedOutput() // for the reader only
		t.Fatalf("pods: %v\n%s\n%s", err, out, describe)
	}
}

func kubectlOf(b *bed.Bed, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(binDir(b), "kubectl"), append([]string{"--kubeconfig", cluster.KubeconfigPath(b)}, args...)...)
}

func pids(t *testing.T, b *bed.Bed) map[string]int {
	t.Helper()
	all, err := proc.All(b)
	if err != nil {
		t.Fatal(err)
	}
	alive := map[string]int{}
	for _, s := range all {
		if s.Alive {
			alive[s.Name] = s.Pid
		}
	}
	return alive
}

// processesOf are this bed's processes of the program that a command line begins
// with; /proc shows those of other beds on the machine too.
func processesOf(t *testing.T, program string) []int {
	t.Helper()
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	found, err := proc.Where(func(pid int) bool {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		first, _, _ := bytes.Cut(line, []byte{0})
		if err != nil || !strings.HasSuffix(string(first), program) {
			return false
		}
		mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
		space, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid)) // gone meanwhile: another's
		return err == nil && (space == own || bytes.Contains(mounts, []byte(state)))
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// leaveCgroups moves processes to the root of each hierarchy.
func leaveCgroups(t *testing.T, pids []int) {
	t.Helper()
	roots, err := cluster.Hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range roots {
		for _, pid := range pids {
			if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, pid), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func downAtEnd(t *testing.T, mode bed.Mode) {
	t.Cleanup(func() {
		if out, err := command(mode, "down").CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})
}
