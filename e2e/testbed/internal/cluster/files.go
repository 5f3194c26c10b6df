package cluster

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/image"
	"flywheel.prim.sh/e2e/testbed/internal/pki"
	"flywheel.prim.sh/e2e/testbed/internal/volumes"
)

//go:embed files
var embedded embed.FS

// socketLimit is the longest path that the kernel takes for a socket.
const socketLimit = 107

// cniDirs are where distributions put the CNI plugins.
var cniDirs = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// file is where a rendered configuration file lies.
func (c *Cluster) file(name string) string {
	if name == "cni.conflist" { // containerd reads a whole directory of these
		return c.bed.Path("cni", "config", name)
	}
	return c.bed.Path("config", name)
}

// WriteConfig renders the configuration files of the bed's mode.
func (c *Cluster) WriteConfig() (note string, err error) {
	names := []string{"audit.yaml"}
	if c.bed.Mode == bed.Full {
		if n := len(Socket(c.bed)); n > socketLimit {
			return "", fmt.Errorf("the path of containerd's socket has %d characters, %d are possible: set FLYWHEEL_STATE to a shorter directory than %s", n, socketLimit, c.bed.State)
		}
		names = append(names, "containerd.toml", "runsc.toml", "cni.conflist", "kubelet.yaml", "kube-proxy.yaml", "resolv.conf")
	}
	for _, name := range names {
		text, err := c.render(name)
		if err != nil {
			return "", err
		}
		if err := pki.WriteFile(c.file(name), text, 0o644); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d files", len(names)), nil
}

// render fills in an embedded file.
func (c *Cluster) render(name string) ([]byte, error) {
	text, err := embedded.ReadFile("files/" + name)
	if err != nil {
		return nil, err
	}
	t, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{
		"path": c.bed.Path,
		// JSON's quoting is also that of YAML and, for paths, of TOML.
		"quote": func(s string) (string, error) {
			data, err := json.Marshal(s)
			return string(data), err
		},
	}).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, c.values(text)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (c *Cluster) values(text []byte) map[string]any {
	sum := sha256.Sum256(text)
	return map[string]any{
		"CA":                c.store.Pair("ca"),
		"CgroupRoot":        "/" + cgroupRoot(c.bed),
		"CNIConfig":         filepath.Dir(c.file("cni.conflist")),
		"CNIPlugins":        cniPlugins(),
		"ClusterBinary":     c.bins.Cluster,
		"ClusterDNS":        bed.ClusterDNS,
		"CorefileKey":       hex.EncodeToString(sum[:6]),
		"KubeletClientUser": kubeletClientUser,
		"KubeletPair":       c.store.Pair("kubelet"),
		"NetpolUser":        netpolUser,
		"NodeName":          bed.NodeName,
		"Pause":             image.Latest(image.Pause),
		"PodCIDR":           bed.PodCIDR,
		"Provisioner":       volumes.Provisioner,
		"ProxyKubeconfig":   c.kubeconfig(Proxy),
		"ResolvConf":        c.file("resolv.conf"),
		"Runsc":             c.bins.Runsc,
		"RunscConfig":       c.file("runsc.toml"),
		"Snapshotter":       snapshotter(c.bed.State),
		"Socket":            Socket(c.bed),
		"StorageClass":      volumes.StorageClass,
		"VolumesUser":       volumesUser,
		"Zone":              bed.Zone,
		"ZoneServer":        bed.DNSIP,
	}
}

func cniPlugins() string {
	for _, dir := range cniDirs {
		if _, err := os.Stat(filepath.Join(dir, "ptp")); err == nil {
			return dir
		}
	}
	return cniDirs[0]
}

// snapshotter is containerd's usual one, except where an overlay cannot lie on
// an overlay: when the bed itself runs in a container.
func snapshotter(state string) string {
	const overlayMagic = 0x794c7630
	var st syscall.Statfs_t
	if syscall.Statfs(state, &st) == nil && st.Type == overlayMagic {
		return "native"
	}
	return "overlayfs"
}

// document is one object and the path that it is applied to.
type document struct {
	path string
	body []byte
}

// documents splits a rendered file at the lines `--- /path`.
func documents(text []byte) ([]document, error) {
	var all []document
	for i, part := range strings.Split("\n"+string(text), "\n--- ") {
		if i == 0 {
			continue // the comment on top
		}
		path, body, found := strings.Cut(part, "\n")
		if !found || !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("document %d does not begin with a path: %q", i, path)
		}
		all = append(all, document{path, []byte(body)})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no documents: %w", fs.ErrInvalid)
	}
	return all, nil
}
