// Package runner runs the forge's Actions runner, Gitea's own, which executes
// what a pull request's workflow says and so the code of whoever opened it. Each
// job has a runner of its own, registered for that one job, in a sandbox of its
// own, and nothing of either is left when the job is over.
//
// In the sandbox there are no user but an unprivileged one, no file but the
// system's programs (read-only) and an empty work directory in memory, no process
// but the job's, and no network but one address: the forge's, behind which a
// listener of this program hands connections on. There is no route to anything
// else, so no rule has to forbid it.
//
// The registration's token can take one job and no second. It is the job's to
// read, as it would be on any runner in host mode.
package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/build"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

const (
	// Name is the part's, of its process and of its log.
	Name = "runner"
	// Label is the one that the factory repository's workflows run on.
	Label = "ubuntu-latest"
	// Version of the runner, as e2e/runner/go.mod pins it.
	Version = "1.0.8"
	// fileServing holds the process that has a runner ready for a job.
	fileServing = "runner/serving"
)

var binary = build.Binary{
	Name: "runner", Dir: "e2e/runner", Package: "gitea.com/gitea/runner",
	Ldflags: "-s -w -X gitea.com/gitea/runner/internal/pkg/ver.version=v" + Version, About: "about 2 min",
}

// Build makes the runner, unless it is cached, and returns the binary's path.
func Build(ctx context.Context, b *bed.Bed) (string, error) {
	return build.Ensure(ctx, b, binary)
}

// Programs are what a job finds on its search path besides the system's, and
// what takes the place of a registry.
type Programs struct {
	Runner   string // Gitea's runner
	Bun      string // the program, not its directory
	Flywheel string // runs the gate's plan; empty where there is none
	Cache    string // Bun's cache with everything that the lockfile names
}

// Ensure keeps a runner ready for the forge's next job. The note says what it
// had to do.
func Ensure(ctx context.Context, b *bed.Bed, p Programs) (note string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	var built time.Time
	if p.Flywheel != "" {
		info, err := os.Stat(p.Flywheel)
		if err != nil {
			return "", fmt.Errorf("runner: %w", err)
		}
		built = info.ModTime()
	}
	started, err := proc.Ensure(ctx, b, proc.Spec{
		Name: Name,
		Argv: []string{self, Name, "--state", b.State, "--runner", p.Runner, "--bun", p.Bun, "--flywheel", p.Flywheel, "--cache", p.Cache},
		// A sandbox keeps the program that it was made with: another build is another run.
		Env:    []string{"FLYWHEEL_BUILT=" + built.UTC().Format(time.RFC3339Nano)},
		Config: []string{self},
		Ready:  func(context.Context) error { return serving(b) },
	})
	if err != nil {
		return "", err
	}
	if started {
		note = "started"
	}
	return note, nil
}

var errNotYet = errors.New("no runner is registered and ready yet")

// serving answers nil when the recorded process has a runner ready, or one at work.
func serving(b *bed.Bed) error {
	text, err := os.ReadFile(b.Path(filepath.FromSlash(fileServing)))
	if err != nil {
		return errNotYet
	}
	all, err := proc.All(b)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Name == Name && s.Alive && strconv.Itoa(s.Pid) == strings.TrimSpace(string(text)) {
			return nil
		}
	}
	return errNotYet
}
