package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

// Stop ends the process of that name, recorded or not: politely at first, then
// for certain. A process that does not run is no error.
func Stop(b *bed.Bed, name string) error { return stop(b, name, End) }

// Abort is Stop without asking: for a process whose state is about to go.
func Abort(b *bed.Bed, name string) error { return stop(b, name, Kill) }

func stop(b *bed.Bed, name string, end func(pids []int) error) error {
	pids, err := unrecorded(b, name)
	if err != nil {
		return err
	}
	rec, err := readRecord(b, name)
	if err != nil {
		return err
	}
	if rec != nil && rec.alive() {
		pids = append(pids, rec.Pid)
	}
	if err := end(pids); err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	if err := os.Remove(recordPath(b, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// End ends the given processes and waits until they are gone: SIGTERM, and
// SIGKILL for those that are left after five seconds.
func End(pids []int) error {
	starts := runningOf(pids)
	signal(starts, syscall.SIGTERM)
	if awaitGone(starts, stopsWithin) {
		return nil
	}
	signal(starts, syscall.SIGKILL)
	return gone(starts)
}

func runningOf(pids []int) map[int]uint64 {
	starts := make(map[int]uint64, len(pids))
	for _, pid := range pids {
		if s, err := readStat(pid); err == nil && s.running() {
			starts[pid] = s.start
		}
	}
	return starts
}

func gone(starts map[int]uint64) error {
	if awaitGone(starts, stopsWithin) {
		return nil
	}
	left := make([]int, 0, len(starts))
	for pid := range starts {
		left = append(left, pid)
	}
	return fmt.Errorf("processes %v survive SIGKILL", left)
}

func signal(starts map[int]uint64, sig syscall.Signal) {
	for pid, started := range starts {
		if s, err := readStat(pid); err == nil && s.start == started {
			// The process may end by itself at this very moment; awaitGone decides.
			_ = syscall.Kill(pid, sig)
		}
	}
}

// awaitGone removes from starts what has ended; true when all have.
func awaitGone(starts map[int]uint64, within time.Duration) bool {
	deadline := time.Now().Add(within)
	for {
		for pid, started := range starts {
			if s, err := readStat(pid); err != nil || s.start != started || !s.running() {
				delete(starts, pid)
			}
		}
		if len(starts) == 0 {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pollInterval)
	}
}

// Kill ends the given processes at once and waits until they are gone.
func Kill(pids []int) error {
	starts := runningOf(pids)
	signal(starts, syscall.SIGKILL)
	return gone(starts)
}
