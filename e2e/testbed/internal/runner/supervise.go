package runner

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/forge"
	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

const (
	// jobTakes is the longest that a job may hold its sandbox. The runner ends one
	// sooner by itself, but a job could have ended the runner's part in that.
	jobTakes = 12 * time.Minute
	// again is the pause after a sandbox that could not be made.
	again = time.Second
)

// Limits of one job, everything in it together: its files are in memory too.
var limits = cluster.Limits{Processes: 512, Memory: 3 << 30, CPUs: 1.5, Weight: 50}

// Main is the process that Ensure starts, as its arguments say.
func Main(ctx context.Context, args []string) error {
	b := &bed.Bed{Mode: bed.Full}
	var p Programs
	flags := flag.NewFlagSet(Name, flag.ContinueOnError)
	flags.StringVar(&b.State, "state", "", "the bed's state directory")
	flags.StringVar(&p.Runner, "runner", "", "Gitea's runner")
	flags.StringVar(&p.Bun, "bun", "", "Bun")
	flags.StringVar(&p.Flywheel, "flywheel", "", "Flywheel; may be empty")
	flags.StringVar(&p.Cache, "cache", "", "Bun's cache with all that the lockfile names")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return run(ctx, b, p)
}

// run makes one sandbox after the other until the context ends.
func run(ctx context.Context, b *bed.Bed, p Programs) error {
	group, err := cluster.Limit(b, Name, limits)
	if err != nil {
		return fmt.Errorf("limits of the runner: %w", err)
	}
	if err := os.MkdirAll(b.Path("runner"), 0o755); err != nil {
		return err
	}
	s := supervisor{bed: b, programs: p, group: group}
	if err := s.forget(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := s.job(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "runner:", err)
			select {
			case <-ctx.Done():
			case <-time.After(again):
			}
		}
	}
	return nil
}

type supervisor struct {
	bed      *bed.Bed
	programs Programs
	group    cluster.Group
}

// admin is the forge's API. The token is read each time: `up` may have made
// another one.
func (s supervisor) admin() (forge.API, error) {
	token, err := secretfile.Read(s.bed.Path(forge.FileAdminToken))
	return forge.WithToken(token), err
}

// forget removes the registrations of runs that were killed.
func (s supervisor) forget(ctx context.Context) error {
	api, err := s.admin()
	if err != nil {
		return err
	}
	return api.RemoveRunners(ctx)
}

// job waits, in a sandbox that is ready, for one job and sees it to its end.
func (s supervisor) job(ctx context.Context) (err error) {
	api, err := s.admin()
	if err != nil {
		return err
	}
	registration, err := api.RegisterRunner(ctx, Label)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	// Nothing of an earlier sandbox outlives it; this is the proof of that.
	if err := s.group.Empty(); err != nil {
		return fmt.Errorf("processes of an earlier job: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	box, err := start(ctx, s.programs, s.group, registration)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	s.follow(box.output, cancel)
	err = box.wait()
	return errors.Join(err, s.group.Empty())
}

// follow copies the runner's log, notes that it is ready, and bounds its job.
// The line that starts the bound is written before the job runs, so a job can't
// keep it back.
func (s supervisor) follow(output io.Reader, end func()) {
	var once sync.Once
	var late *time.Timer
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		fmt.Println(line)
		if strings.Contains(line, "declare successfully") {
			once.Do(s.serve)
		}
		if late == nil && strings.Contains(line, "repo is "+forge.Org+"/"+forge.Repo) {
			late = time.AfterFunc(jobTakes, end)
		}
	}
	// A line beyond the limit ends the reading, not the job's output.
	_, _ = io.Copy(io.Discard, output)
	if late != nil {
		late.Stop()
	}
}

// serve notes that this process has a runner ready.
func (s supervisor) serve() {
	path := s.bed.Path(filepath.FromSlash(fileServing))
	if err := os.WriteFile(path, fmt.Append(nil, os.Getpid()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
	}
}
