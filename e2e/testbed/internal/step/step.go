// Package step shows what the test bed does: one line per step, with its time.
package step

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// titleWidth aligns the durations; titles are short nouns ("api server").
const titleWidth = 24

var (
	mu       sync.Mutex
	output   = os.Stdout
	terminal = isTerminal(output)
)

// ToStderr shows the steps on standard error from now on, for a command whose
// standard output is its answer.
func ToStderr() {
	mu.Lock()
	defer mu.Unlock()
	output, terminal = os.Stderr, isTerminal(os.Stderr)
}

// Run does f as the step called title and prints one line when it ends. The
// error comes back with the title in front.
func Run(title string, f func() (note string, err error)) error {
	if terminal {
		show("\r\033[K  %-*s …", titleWidth, title)
	}
	begin := time.Now()
	note, err := f()
	took := time.Since(begin)
	if err != nil {
		note = "failed"
	}
	if terminal {
		show("\r\033[K")
	}
	show("  %-*s %6.1f s  %s\n", titleWidth, title, took.Seconds(), note)
	if err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	return nil
}

// Progress prints one line about the step under way.
func Progress(format string, args ...any) {
	if terminal {
		show("\r\033[K")
	}
	show("    "+format+"\n", args...)
}

func show(format string, args ...any) {
	mu.Lock()
	defer mu.Unlock()
	fmt.Fprintf(output, format, args...)
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
