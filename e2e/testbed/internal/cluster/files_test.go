package cluster

import (
	"encoding/json"
	"strings"
	"testing"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/pki"
)

func testCluster(t *testing.T, mode bed.Mode) *Cluster {
	t.Helper()
	b := &bed.Bed{Mode: mode, State: t.TempDir(), Cache: t.TempDir()}
	return &Cluster{
		bed: b, store: pki.Store{Dir: b.Path("pki")}, ports: ports{2379, 2380, 6443},
		bins: Binaries{Cluster: "/bin/cluster", Netpol: "/bin/netpol", Runsc: "/bin/runsc", Shim: "/bin/shim"},
	}
}

func TestEveryFileRenders(t *testing.T) {
	c := testCluster(t, bed.Full)
	files, err := embedded.ReadDir("files")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := c.render(f.Name())
		if err != nil {
			t.Errorf("%s: %v", f.Name(), err)
		}
		if strings.Contains(string(text), "{{") || strings.Contains(string(text), "<no value>") {
			t.Errorf("%s is not filled in:\n%s", f.Name(), text)
		}
	}
	cni, err := c.render("cni.conflist")
	if err != nil || !json.Valid(cni) {
		t.Errorf("the CNI configuration is no JSON: %v\n%s", err, cni)
	}
}

func TestDocumentsSplitAtTheirPaths(t *testing.T) {
	c := testCluster(t, bed.Full)
	for _, name := range []string{"objects.yaml", "coredns.yaml", "gvisor.yaml"} {
		text, err := c.render(name)
		if err != nil {
			t.Fatal(err)
		}
		all, err := documents(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			if strings.Count(string(d.body), "\nkind: ") != 1 {
				t.Errorf("%s: %s holds not one object:\n%s", name, d.path, d.body)
			}
		}
	}
	if _, err := documents([]byte("kind: Pod\n--- not a path\nkind: Pod\n")); err == nil {
		t.Error("a document without a path was taken")
	}
}

func TestCredentialsAreMadeOnce(t *testing.T) {
	c := testCluster(t, bed.Full)
	if _, err := c.Credentials(); err != nil {
		t.Fatal(err)
	}
	read := func() string {
		digest, err := c.apiServer().Digest(c.bed)
		if err == nil {
			_, err = c.WriteConfig()
		}
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	if _, err := c.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	first := read()
	if _, err := c.Credentials(); err != nil {
		t.Fatal(err)
	}
	if again := read(); again != first {
		t.Error("a second start would restart the API server")
	}
}

func TestBedsHaveCgroupsOfTheirOwn(t *testing.T) {
	one, other := cgroupRoot(&bed.Bed{State: "/a"}), cgroupRoot(&bed.Bed{State: "/b"})
	if one == other || one != cgroupRoot(&bed.Bed{State: "/a"}) {
		t.Errorf("cgroups are %s and %s", one, other)
	}
}

func TestMountPointsAreUnescaped(t *testing.T) {
	if got := unescape(`/state\040dir/a\134b`); got != `/state dir/a\b` {
		t.Errorf("got %q", got)
	}
}
