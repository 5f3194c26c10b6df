package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

// stat is the part of /proc/<pid>/stat that identifies a process.
type stat struct {
	state   byte
	session int
	start   uint64
}

// running is false for what has ended and merely waits to be collected.
func (s stat) running() bool { return s.state != 'Z' && s.state != 'X' }

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(data))
}

func parseStat(text string) (stat, error) {
	// The second field is the program's name in parentheses and may itself hold
	// spaces and parentheses: count from the last one.
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("process status %q has no name", text)
	}
	fields := strings.Fields(text[end+1:])
	const state, session, start = 0, 3, 19 // fields 3, 6 and 22 of proc(5)
	if len(fields) <= start {
		return stat{}, fmt.Errorf("process status %q is too short", text)
	}
	sid, err := strconv.Atoi(fields[session])
	if err != nil {
		return stat{}, err
	}
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return stat{}, err
	}
	return stat{state: fields[state][0], session: sid, start: ticks}, nil
}

var bootID = sync.OnceValue(func() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
})

// Marked lists the running processes that carry the bed's mark: those it
// started and what they started in turn.
func Marked(b *bed.Bed) ([]int, error) {
	return marked(bedVariable + "=" + b.State)
}

// BedOf is the state directory of the bed that a process belongs to, empty for
// one that belongs to none or is gone.
func BedOf(pid int) string {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return ""
	}
	for _, v := range bytes.Split(environ, []byte{0}) {
		if state, found := bytes.CutPrefix(v, []byte(bedVariable+"=")); found {
			return string(state)
		}
	}
	return ""
}

func marked(marks ...string) ([]int, error) {
	return Where(func(pid int) bool {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || !hasAll(environ, marks) {
			return false // ended meanwhile, or another user's
		}
		s, err := readStat(pid)
		return err == nil && s.running()
	})
}

// Where lists the processes of the machine that it picks.
func Where(it func(pid int) bool) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && it(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func hasAll(environ []byte, marks []string) bool {
	variables := bytes.Split(environ, []byte{0})
	for _, mark := range marks {
		found := false
		for _, v := range variables {
			found = found || string(v) == mark
		}
		if !found {
			return false
		}
	}
	return true
}

// unrecorded finds runs of a part that were started but never recorded, because
// the command that started them was killed in between. Only session leaders are
// the part itself; what inherited its mark (containerd's shims, which hold the
// pods) has to survive its restart.
func unrecorded(b *bed.Bed, name string) ([]int, error) {
	pids, err := marked(bedVariable+"="+b.State, partVariable+"="+name)
	if err != nil {
		return nil, err
	}
	var leaders []int
	for _, pid := range pids {
		if s, err := readStat(pid); err == nil && s.session == pid {
			leaders = append(leaders, pid)
		}
	}
	return leaders, nil
}
