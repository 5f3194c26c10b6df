// Package netns makes the network namespace that holds the test bed, and the
// veth pair by which the host reaches it. Nothing else on the host changes: no
// firewall rule, no setting, no route but the pair's own subnet.
package netns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

const (
	// HostLink and NodeLink are the two ends of the veth pair.
	HostLink = "fw-host"
	NodeLink = "fw-node"

	// nsfsMagic marks a mounted namespace; a leftover of half an `ip netns add`
	// is an ordinary empty file.
	nsfsMagic = 0x6e736673
)

// nodeAddresses are the addresses inside; each server has its own.
var nodeAddresses = []string{bed.NodeIP, bed.ForgeIP, bed.DNSIP, bed.EdgeIP, bed.ChainIP, bed.FacilitatorIP, bed.DoublesIP}

// Path is the file that names the namespace.
func Path(b *bed.Bed) string { return filepath.Join(Dir, b.Netns) }

// Exists says whether the namespace is there and whole.
func Exists(b *bed.Bed) bool {
	var st syscall.Statfs_t
	return syscall.Statfs(Path(b), &st) == nil && st.Type == nsfsMagic
}

// HasLink says whether the host's end of the veth pair is there.
func HasLink() bool {
	_, err := net.InterfaceByName(HostLink)
	return err == nil
}

// Ensure makes the namespace and its links, and mends what is half there.
// created says that there was none: what ran in an earlier one is cut off.
func Ensure(ctx context.Context, b *bed.Bed) (note string, created bool, err error) {
	if !Exists(b) {
		if err := checkSubnet(ctx); err != nil {
			return "", false, err
		}
		if err := create(ctx, b); err != nil {
			return "", false, err
		}
		created = true
	}
	if linked(ctx, b) {
		return "unchanged", created, nil
	}
	if err := checkSubnet(ctx); err != nil {
		return "", created, err
	}
	if err := link(ctx, b); err != nil {
		return "", created, err
	}
	if created {
		return "created", created, nil
	}
	return "links mended", created, nil
}

// Dir is where namespaces are named. iproute2 makes it, and mounts it onto
// itself, with the first one.
const Dir = "/run/netns"

// RemoveDir undoes that when no namespace is left in it.
func RemoveDir() error {
	entries, err := os.ReadDir(Dir)
	if errors.Is(err, fs.ErrNotExist) || len(entries) > 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for os.Remove(Dir) != nil {
		if err := syscall.Unmount(Dir, 0); err != nil {
			return fmt.Errorf("unmount %s: %w", Dir, err)
		}
	}
	return nil
}

// Remove deletes the namespace and the veth pair, whichever are there.
func Remove(ctx context.Context, b *bed.Bed) error {
	if HasLink() {
		if err := ip(ctx, "link", "del", HostLink); err != nil {
			return err
		}
	}
	if Exists(b) {
		return ip(ctx, "netns", "del", b.Netns)
	}
	if err := os.Remove(Path(b)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func create(ctx context.Context, b *bed.Bed) error {
	if err := os.Remove(Path(b)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what half a start left: %w", err)
	}
	return ip(ctx, "netns", "add", b.Netns)
}

// checkSubnet refuses to take the bed's subnet from whatever uses it already.
func checkSubnet(ctx context.Context) error {
	subnet := fmt.Sprintf("%s/%d", strings.TrimSuffix(bed.HostIP, "1")+"0", bed.Prefix)
	for _, relation := range []string{"match", "root"} { // routes that cover it, routes inside it
		var routes []route
		if err := query(ctx, &routes, "route", "show", relation, subnet); err != nil {
			return err
		}
		for _, r := range routes {
			if r.Dst != "default" && r.Dev != HostLink {
				return fmt.Errorf("this machine already routes %s to %s, and the test bed needs %s for itself: disconnect that network (a VPN?) or run where it is free", r.Dst, r.Dev, subnet)
			}
		}
	}
	return nil
}

type route struct {
	Dst string `json:"dst"`
	Dev string `json:"dev"`
}

// linked says whether both ends of the pair carry their addresses and are up.
func linked(ctx context.Context, b *bed.Bed) bool {
	host, err := addresses(ctx, "addr", "show", "dev", HostLink)
	if err != nil || !slices.Equal(host, []string{bed.HostIP}) {
		return false
	}
	node, err := addresses(ctx, "-n", b.Netns, "addr", "show", "dev", NodeLink)
	if err != nil || !slices.Equal(node, nodeAddresses) {
		return false
	}
	var routes []route
	err = query(ctx, &routes, "-n", b.Netns, "route", "show", bed.ServiceCIDR)
	return err == nil && len(routes) == 1
}

// addresses lists the IPv4 addresses of a link; none when it is down.
func addresses(ctx context.Context, args ...string) ([]string, error) {
	var links []struct {
		Flags []string `json:"flags"`
		Addrs []struct {
			Family string `json:"family"`
			Local  string `json:"local"`
		} `json:"addr_info"`
	}
	if err := query(ctx, &links, args...); err != nil {
		return nil, err
	}
	var found []string
	for _, l := range links {
		if !slices.Contains(l.Flags, "UP") {
			continue
		}
		for _, a := range l.Addrs {
			if a.Family == "inet" {
				found = append(found, a.Local)
			}
		}
	}
	return found, nil
}

// link makes the pair anew: half of it is of no use.
func link(ctx context.Context, b *bed.Bed) error {
	if HasLink() {
		if err := ip(ctx, "link", "del", HostLink); err != nil {
			return err
		}
	}
	in := []string{"-n", b.Netns}
	width := fmt.Sprintf("/%d", bed.Prefix)
	commands := [][]string{
		{"link", "add", HostLink, "type", "veth", "peer", "name", NodeLink, "netns", b.Netns},
		append(slices.Clone(in), "link", "set", "lo", "up"),
	}
	for _, address := range nodeAddresses {
		commands = append(commands, append(slices.Clone(in), "addr", "add", address+width, "dev", NodeLink))
	}
	commands = append(commands,
		append(slices.Clone(in), "link", "set", NodeLink, "up"),
		// Service addresses exist only as kube-proxy's rules, but the kernel looks
		// for a route before it applies them. There is no default route: nothing
		// in the bed reaches further than the host's end of the pair.
		append(slices.Clone(in), "route", "replace", bed.ServiceCIDR, "dev", NodeLink),
		[]string{"addr", "add", bed.HostIP + width, "dev", HostLink},
		[]string{"link", "set", HostLink, "up"},
	)
	for _, args := range commands {
		if err := ip(ctx, args...); err != nil {
			return err
		}
	}
	// This sysctl is the namespace's own: the shell that writes it runs inside.
	forward := proc.Command(ctx, b, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	if out, err := forward.CombinedOutput(); err != nil {
		return fmt.Errorf("let the namespace forward packets: %w: %s", err, out)
	}
	return nil
}

func ip(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func query(ctx context.Context, into any, args ...string) error {
	args = append([]string{"-json"}, args...)
	out, err := exec.CommandContext(ctx, "ip", args...).Output()
	if err != nil {
		return fmt.Errorf("ip %s: %w", strings.Join(args, " "), err)
	}
	if len(out) == 0 { // older versions print nothing instead of an empty list
		return nil
	}
	return json.Unmarshal(out, into)
}

// Members are the processes whose network is the bed's namespace.
func Members(b *bed.Bed) ([]int, error) {
	var own syscall.Stat_t
	if !Exists(b) || syscall.Stat(Path(b), &own) != nil {
		return nil, nil
	}
	return proc.Where(func(pid int) bool {
		var its syscall.Stat_t
		return syscall.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &its) == nil && its.Ino == own.Ino
	})
}
