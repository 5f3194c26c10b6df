//go:build bed

// Package bedtest gives tests that start parts of the test bed a host of their
// own: network, directories outside of the state directory, and state. A bed
// that somebody uses stays untouched, and what others do does not look like a
// leftover.
package bedtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

// dirVariable names the tests' directory to the run that has a host of its own.
const dirVariable = "BED_TEST_DIR"

// Dir is the tests' directory, empty in the run that has no host of its own yet.
func Dir() string { return os.Getenv(dirVariable) }

// Isolate runs this test binary again with a host and a directory of its own.
// What needs the outer network, or the sources of packages, is done by prepare
// before, in that directory.
func Isolate(prepare func(dir string) error) error {
	dir, err := os.MkdirTemp("", "bed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		return err
	}
	const host = `set -e
ip link set lo up
for dir in /run /var/lib/cni /var/lib/kubelet /var/log/containers; do
  if [ -d "$dir" ]; then mount -t tmpfs bed-test "$dir"; fi
done
# Every call of mount(8) makes this, the kubelet's too; real hosts have it.
mkdir -p /run/mount
exec "$@"`
	argv := append([]string{"--net", "--mount", "--propagation", "private", "sh", "-c", host, "sh"}, os.Args...)
	tests := exec.Command("unshare", argv...)
	tests.Env = append(os.Environ(), dirVariable+"="+dir, "FLYWHEEL_STATE="+filepath.Join(dir, "state"))
	tests.Stdin, tests.Stdout, tests.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := tests.Run(); err != nil {
		return fmt.Errorf("the tests in a network and mount namespace of their own: %w", err)
	}
	return nil
}

// PartMain runs the tests of one part in a bed that has a network and nothing
// else, and removes it afterwards. Prepare builds what the part needs.
func PartMain(m *testing.M, prepare func(context.Context, *bed.Bed) error) {
	code, err := partMain(m, prepare)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func partMain(m *testing.M, prepare func(context.Context, *bed.Bed) error) (code int, err error) {
	ctx := context.Background()
	b, err := full()
	if err != nil {
		return 1, err
	}
	if Dir() == "" {
		return 0, Isolate(func(string) error { return prepare(ctx, b) })
	}
	if err := os.MkdirAll(b.State, 0o700); err != nil {
		return 1, err
	}
	if _, err := cluster.Network(ctx, b); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, cluster.Down(ctx, b)
}

// full is the full bed of the checkout that the part's package lies in.
func full() (*bed.Bed, error) {
	repo, err := filepath.Abs("../../../..")
	if err != nil {
		return nil, err
	}
	return bed.New(bed.Full, repo)
}

// Part is the bed of a part's tests, with the part running, and what ensures it.
func Part(t *testing.T, ensure func(context.Context, *bed.Bed) (string, error)) (*bed.Bed, func(*testing.T) string) {
	t.Helper()
	b, err := full()
	if err != nil {
		t.Fatal(err)
	}
	again := func(t *testing.T) string {
		t.Helper()
		start := time.Now()
		note, err := ensure(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("Ensure took %s: %q", time.Since(start).Round(time.Millisecond), note)
		return note
	}
	again(t)
	return b, again
}

// Kill ends the named process of the bed at once.
func Kill(t *testing.T, b *bed.Bed, name string) {
	t.Helper()
	all, err := proc.All(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name != name {
			continue
		}
		if err := proc.Kill([]int{s.Pid}); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("%s does not run", name)
}
