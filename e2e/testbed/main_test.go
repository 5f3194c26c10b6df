package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

func TestAShellReadsQuotedValuesBack(t *testing.T) {
	for _, value := range []string{"", "plain", "two words", "it's", `$HOME "x" \ !`, "line\nline", "'; rm -rf x; '"} {
		out, err := exec.Command("sh", "-c", "v="+quote(value)+`; printf %s "$v"`).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q became %q, %v", value, out, err)
		}
	}
}

func names(all []variable) map[string]string {
	values := map[string]string{}
	for _, v := range all {
		values[v.name] = v.value
	}
	return values
}

func TestEnvNamesOnlyWhatTheModeHas(t *testing.T) {
	getenv := func(name string) string {
		return map[string]string{"PATH": "/usr/bin:/bin", "KUBECONFIG": "/mine"}[name]
	}
	at := func(mode bed.Mode) map[string]string {
		return names(variables(&bed.Bed{Mode: mode, State: filepath.Join("/state", string(mode)), Cache: "/cache"}, getenv))
	}
	full, plane, own := at(bed.Full), at(bed.ControlPlane), at(bed.Kubeconfig)
	noNode := at(bed.NoNode)
	if noNode["BED_NETNS"] != "/state/no-node/netns" || noNode["FORGE_URL"] != full["FORGE_URL"] || full["BED_NETNS"] != "" {
		t.Errorf("no-node is %v", noNode)
	}
	if full["FORGE_URL"] == "" || full["DNS_SERVER"] == "" || full["EDGE_ADDRESS"] == "" {
		t.Errorf("full lacks its parts: %v", full)
	}
	if plane["FORGE_URL"] != "" || plane["KUBECONFIG"] != "/state/control-plane/kubeconfig" {
		t.Errorf("control-plane is %v", plane)
	}
	if own["KUBECONFIG"] != "/mine" || own["PATH"] != "" {
		t.Errorf("kubeconfig is %v", own)
	}
	if full["FLYWHEEL_STATE"] != "/state" {
		t.Errorf("FLYWHEEL_STATE=%s leads to another bed than the one it was printed for", full["FLYWHEEL_STATE"])
	}
	if want := "/state/full/bin:/usr/bin:/bin"; full["PATH"] != want {
		t.Errorf("PATH is %s, want %s", full["PATH"], want)
	}
}

func TestTheToolsComeOnceOnThePath(t *testing.T) {
	once := withFirst("/usr/bin:/state/bin:/bin", "/state/bin")
	if again := withFirst(once, "/state/bin"); again != once || strings.Count(once, "/state/bin") != 1 {
		t.Errorf("PATH is %s, then %s", once, again)
	}
}

func TestOnlyABedWithItsOwnServersHasAFactory(t *testing.T) {
	for _, mode := range []bed.Mode{bed.ControlPlane, bed.Kubeconfig} {
		err := factory(t.Context(), &bed.Bed{Mode: mode}, nil)
		if err == nil || !strings.Contains(err.Error(), "CLUSTER="+string(mode)) || !strings.Contains(err.Error(), "CLUSTER=full") {
			t.Errorf("%s: error = %v", mode, err)
		}
	}
}

func TestAnUnknownModeOrCommandIsRefused(t *testing.T) {
	if err := run(t.Context(), []string{"fly"}); err == nil || !strings.Contains(err.Error(), "unknown command") {
		t.Errorf("error = %v", err)
	}
	t.Setenv("CLUSTER", "moon")
	if _, err := thisBed(); err == nil || !strings.Contains(err.Error(), "CLUSTER=moon") {
		t.Errorf("error = %v", err)
	}
}
