//go:build bed

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

func TestUpAndDownThreeTimesLeaveTheHostAsItWas(t *testing.T) {
	b := thisTestsBed(t, bed.Full)
	downAtEnd(t, bed.Full)
	before := host(t, b)
	for i := range 3 {
		do(t, bed.Full, "up")
		workload(t, b, fmt.Sprintf("round-%d", i))
		do(t, bed.Full, "down")
		expectSame(t, before, host(t, b))
	}
}

func TestUpChangesNothingWhenAllIsWell(t *testing.T) {
	b := thisTestsBed(t, bed.Full)
	downAtEnd(t, bed.Full)
	do(t, bed.Full, "up")
	before := pids(t, b)
	do(t, bed.Full, "up")
	if after := pids(t, b); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("processes were %v, are %v", before, after)
	}
}

func TestASecondFullBedIsRefusedAtOnce(t *testing.T) {
	b := thisTestsBed(t, bed.Full)
	downAtEnd(t, bed.Full)
	killUpAfter(t, "etcd")
	before := pids(t, b)
	for _, name := range []string{"vacant", "up", "down"} {
		other := command(bed.Full, name)
		other.Env = append(other.Env, "FLYWHEEL_STATE="+t.TempDir())
		begin := time.Now()
		out, err := other.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "a test bed is up, in "+b.State+": end it first") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		t.Logf("%s took %s to say so", name, time.Since(begin))
	}
	if after := pids(t, b); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("processes were %v, are %v", before, after)
	}
}

func TestUpHealsWhatWasKilled(t *testing.T) {
	b := thisTestsBed(t, bed.Full)
	downAtEnd(t, bed.Full)
	before := host(t, b)
	do(t, bed.Full, "up")
	for name := range pids(t, b) {
		t.Run(name, func(t *testing.T) {
			pid := pids(t, b)[name]
			kill(t, pid)
			do(t, bed.Full, "up")
			if now := pids(t, b)[name]; now == 0 || now == pid {
				t.Errorf("pid was %d, is %d", pid, now)
			}
			do(t, bed.Full, "status")
			workload(t, b, "after-"+name)
			// In that state the bed can be ended too, and is then made anew. What an end
			// asks, or what leaves pods behind, is tried each time, and the rest in the soak.
			if !slices.Contains([]string{"etcd", "containerd", "kubelet"}, name) && os.Getenv("SOAK") == "" {
				return
			}
			kill(t, pids(t, b)[name])
			do(t, bed.Full, "down")
			expectSame(t, before, host(t, b))
			do(t, bed.Full, "up")
		})
	}
	t.Run("all at once", func(t *testing.T) {
		if _, err := cluster.EndProcesses(b); err != nil {
			t.Fatal(err)
		}
		do(t, bed.Full, "up")
		do(t, bed.Full, "status")
		workload(t, b, "after-all")
	})
	t.Run("the network namespace", func(t *testing.T) {
		if out, err := exec.Command("ip", "netns", "del", b.Netns).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		do(t, bed.Full, "up")
		do(t, bed.Full, "status")
		workload(t, b, "after-network")
	})
	for _, pid := range pids(t, b) {
		kill(t, pid)
	}
	do(t, bed.Full, "down")
	expectSame(t, before, host(t, b))
}

func TestDownFindsPodsThatNobodyHoldsAnyMore(t *testing.T) {
	b := thisTestsBed(t, bed.Full)
	downAtEnd(t, bed.Full)
	before := host(t, b)
	do(t, bed.Full, "up")
	workload(t, b, "orphan")
	pods := processesOf(t, "/pause")
	if len(pods) == 0 {
		t.Fatal("no pod's process is found")
	}
	for _, pid := range pids(t, b) {
		kill(t, pid)
	}
	if err := proc.Kill(processesOf(t, "containerd-shim-runc-v2")); err != nil {
		t.Fatal(err)
	}
	leaveCgroups(t, pods)
	do(t, bed.Full, "down")
	expectSame(t, before, host(t, b))
	for _, pid := range pods {
		if slices.Contains(processesOf(t, "/pause"), pid) {
			t.Errorf("process %d of a pod survives", pid)
		}
	}
}

// kill ends a process and waits until the kernel has let go of it: a bed that
// is asked about a dying process is right to call it alive.
func kill(t *testing.T, pid int) {
	t.Helper()
	if err := proc.Kill([]int{pid}); err != nil {
		t.Fatal(err)
	}
}

func TestHalfAStartIsMendedByUpAndRemovedByDown(t *testing.T) {
	b := thisTestsBed(t, bed.Full)
	downAtEnd(t, bed.Full)
	before := host(t, b)
	for _, last := range []string{"network", "etcd", "containerd", "kubelet", "node"} {
		t.Run("killed after "+last, func(t *testing.T) {
			killUpAfter(t, last)
			do(t, bed.Full, "down")
			expectSame(t, before, host(t, b))
		})
	}
	killUpAfter(t, "kube-scheduler")
	do(t, bed.Full, "up")
	workload(t, b, "mended")
}

// killUpAfter ends `up` the hard way once it has said that a step is done.
func killUpAfter(t *testing.T, step string) {
	t.Helper()
	up := command(bed.Full, "up")
	out, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	buffer, seen := make([]byte, 4096), ""
	for !strings.Contains(seen, "\n  "+step+" ") {
		n, err := out.Read(buffer)
		if err != nil {
			t.Fatalf("up ended before %s: %v\n%s", step, err, seen)
		}
		seen += string(buffer[:n])
	}
	if err := up.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = up.Wait() // it was killed
}

func TestTwoUpsAtOnceTakeTurns(t *testing.T) {
	downAtEnd(t, bed.ControlPlane)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	results := make(chan error, 2)
	for range 2 {
		go func() {
			out, err := command(bed.ControlPlane, "up").CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, out)
			}
			results <- err
		}()
	}
	for range 2 {
		select {
		case err := <-results:
			if err != nil {
				t.Error(err)
			}
		case <-ctx.Done():
			t.Fatal("two ups wait for each other")
		}
	}
}

func TestControlPlaneIsQuickHealsAndKeepsItsAddress(t *testing.T) {
	b := thisTestsBed(t, bed.ControlPlane)
	downAtEnd(t, bed.ControlPlane)
	do(t, bed.ControlPlane, "up")
	kubeconfig, err := os.ReadFile(cluster.KubeconfigPath(b))
	if err != nil {
		t.Fatal(err)
	}
	for name, pid := range pids(t, b) {
		kill(t, pid)
		do(t, bed.ControlPlane, "up")
		if now := pids(t, b)[name]; now == 0 || now == pid {
			t.Errorf("%s: pid was %d, is %d", name, pid, now)
		}
	}
	if again, err := os.ReadFile(cluster.KubeconfigPath(b)); err != nil || !bytes.Equal(again, kubeconfig) {
		t.Errorf("the kubeconfig file changed, or %v", err)
	}
	do(t, bed.ControlPlane, "down")
	if left, err := cluster.Leftovers(b); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestABedWithoutANodeStandsBesideAnotherAndLeavesNothing(t *testing.T) {
	b := thisTestsBed(t, bed.NoNode)
	downAtEnd(t, bed.NoNode)
	before := host(t, b)
	do(t, bed.NoNode, "up")
	first := pids(t, b)
	do(t, bed.NoNode, "up")
	if again := pids(t, b); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("processes were %v, are %v", first, again)
	}
	// Of the same addresses, in another network.
	other := t.TempDir()
	beside := func(name string) {
		t.Helper()
		second := command(bed.NoNode, name)
		second.Env = append(second.Env, "FLYWHEEL_STATE="+other)
		if out, err := second.CombinedOutput(); err != nil {
			t.Fatalf("another bed: %s: %v\n%s", name, err, out)
		}
	}
	beside("up")
	beside("status")
	for name, pid := range first {
		kill(t, pid)
		do(t, bed.NoNode, "up")
		if now := pids(t, b)[name]; now == 0 || now == pid {
			t.Errorf("%s: pid was %d, is %d", name, pid, now)
		}
	}
	do(t, bed.NoNode, "status")
	beside("status")
	beside("down")
	do(t, bed.NoNode, "status")
	do(t, bed.NoNode, "down")
	expectSame(t, before, host(t, b))
	if left, err := cluster.Leftovers(b); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}
