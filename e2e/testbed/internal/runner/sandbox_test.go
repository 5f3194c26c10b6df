package runner

import (
	"os"
	"slices"
	"strings"
	"testing"

	"flywheel.prim.sh/e2e/testbed/internal/forge"
)

func TestNothingOfTheMachineCanBeWritten(t *testing.T) {
	args := sandbox(Programs{Runner: "/cache/runner", Bun: "/cache/bun", Flywheel: "/target/flywheel", Cache: "/cache/packages"})
	for _, must := range []string{"--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session", "--clearenv"} {
		if !slices.Contains(args, must) {
			t.Errorf("no %s", must)
		}
	}
	for i, arg := range args {
		switch arg {
		case "--bind", "--bind-try", "--dev-bind", "--dev-bind-try", "--share-net", "--bind-data", "--file":
			t.Errorf("%s %s is for writing", arg, args[i+1])
		case "--ro-bind", "--ro-bind-try":
			// Programs, and what they need to run; no directory of the machine's own data.
			from := args[i+1]
			known := []string{"/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives",
				"/cache/runner", "/cache/bun", "/target/flywheel", "/cache/packages"}
			if !slices.Contains(known, from) {
				t.Errorf("%s is seen from inside", from)
			}
		}
	}
	at := slices.Index(args, "--")
	if at < 3 || args[at-3] != "--setenv" {
		t.Fatalf("the environment comes last: %v", args)
	}
	command := strings.Join(args[at+1:], " ")
	for _, must := range []string{"--reuid=" + jobUser, "--regid=" + jobUser, "--clear-groups", "--no-new-privs", "--bounding-set=-all", "daemon --once"} {
		if !strings.Contains(command, must) {
			t.Errorf("%q lacks %s", command, must)
		}
	}
	if !slices.Contains(args, "ALL") || slices.Contains(args, "CAP_SYS_ADMIN") {
		t.Errorf("capabilities: %v", args)
	}
}

func TestAJobHasNoFlywheelWhereNoneIsBuilt(t *testing.T) {
	for _, arg := range sandbox(Programs{Runner: "r", Bun: "b", Cache: "c"}) {
		if arg == "" || strings.HasSuffix(arg, "/flywheel") {
			t.Errorf("argument %q", arg)
		}
	}
}

func TestThePinnedRunnerIsTheNamedOne(t *testing.T) {
	module, err := os.ReadFile("../../../runner/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(module), "\tgitea.com/gitea/runner v"+Version+" ") {
		t.Errorf("e2e/runner/go.mod has another version than %s", Version)
	}
}

func TestItServesTheLabelOfTheFactorysWorkflowsOnThisHost(t *testing.T) {
	for _, must := range []string{`labels: ["ubuntu-latest:host"]`, "cache: {enabled: false}"} {
		if !strings.Contains(config, must) {
			t.Errorf("the configuration lacks %s", must)
		}
	}
	for _, name := range []string{"ci.yml", "gate.yml"} {
		workflow, err := os.ReadFile("../../../../src/scaffold/factory/.github/workflows/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(workflow), "runs-on: "+Label+"\n") {
			t.Errorf("%s runs elsewhere", name)
		}
		if strings.Contains(string(workflow), "uses:") {
			t.Errorf("%s uses an action, which there is no way to", name)
		}
	}
	if forgeAddress != strings.TrimSuffix(strings.TrimPrefix(forge.URL, "http://"), "/") {
		t.Errorf("a job is handed on to %s, the forge is at %s", forgeAddress, forge.URL)
	}
}
