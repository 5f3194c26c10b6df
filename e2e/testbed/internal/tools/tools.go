// Package tools sees to the programs that the test bed takes from the
// distribution, and installs those that are missing.
package tools

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/proc"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

// tool is a program and the Debian package that has it.
type tool struct{ program, pkg string }

// needed is everything that the full bed and its scenarios run but do not build.
var needed = []tool{
	{"containerd", "containerd"}, {"ctr", "containerd"}, {"containerd-shim-runc-v2", "containerd"},
	{"runc", "runc"},
	{"/usr/lib/cni/ptp", "containernetworking-plugins"},
	{"iptables", "iptables"}, {"ipset", "ipset"}, {"conntrack", "conntrack"},
	{"ip", "iproute2"}, {"unshare", "util-linux"}, {"nsenter", "util-linux"}, {"setpriv", "util-linux"}, {"mount", "mount"},
	{"named", "bind9"}, {"rndc", "bind9-utils"}, {"nsupdate", "bind9-dnsutils"}, {"dig", "bind9-dnsutils"},
	{"caddy", "caddy"},
	{"bwrap", "bubblewrap"},
	{"git", "git"}, {"curl", "curl"}, {"bash", "bash"}, {"strip", "binutils"}, {"cc", "gcc"}, {"kill", "procps"},
}

// daemons are the units that those packages enable at boot. A test bed runs
// them itself, only while it is up.
var daemons = map[string]string{"containerd": "containerd", "bind9": "named", "caddy": "caddy"}

// Ensure installs what is missing, when it may.
func Ensure(ctx context.Context) (note string, err error) {
	packages := missing(exists)
	if len(packages) == 0 {
		return "all there", nil
	}
	command := "apt-get install --no-install-recommends " + strings.Join(packages, " ")
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("programs are missing; as root: %s", command)
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "", fmt.Errorf("programs are missing and this is no Debian: install what these Debian packages hold: %s", strings.Join(packages, " "))
	}
	step.Progress("installing %s", strings.Join(packages, " "))
	if err := install(ctx, packages); err != nil {
		return "", fmt.Errorf("%s: %w", command, err)
	}
	if left := missing(exists); len(left) > 0 {
		return "", fmt.Errorf("programs of these packages are still missing after the installation: %s", strings.Join(left, " "))
	}
	return "installed " + strings.Join(packages, " "), nil
}

// missing lists the packages of the programs that exists does not find.
func missing(exists func(program string) bool) []string {
	var packages []string
	for _, t := range needed {
		if !exists(t.program) && !slices.Contains(packages, t.pkg) {
			packages = append(packages, t.pkg)
		}
	}
	return packages
}

// exists looks where the bed's processes will look.
func exists(program string) bool {
	paths := []string{program}
	if !filepath.IsAbs(program) {
		paths = nil
		for _, dir := range filepath.SplitList(proc.SearchPath) {
			paths = append(paths, filepath.Join(dir, program))
		}
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

func install(ctx context.Context, packages []string) (err error) {
	restore, err := forbidStarts()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	if err := apt(ctx, "update"); err != nil {
		return err
	}
	if err := apt(ctx, append([]string{"install", "-y", "--no-install-recommends"}, packages...)...); err != nil {
		return err
	}
	return disable(ctx, packages)
}

func apt(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q", "-o", "DPkg::Lock::Timeout=300"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// The script that Debian's packages ask before they start a daemon, and where
// one that was there waits meanwhile.
const (
	policy      = "/usr/sbin/policy-rc.d"
	savedPolicy = policy + ".flywheel-saved"
	forbid      = "#!/bin/sh\n# Put here by flywheel's test bed while it installs packages.\nexit 101\n"
)

// forbidStarts keeps packages from starting their daemons.
func forbidStarts() (restore func() error, err error) {
	// What a run that was killed has left.
	if err := restorePolicy(); err != nil {
		return nil, err
	}
	if err := os.Rename(policy, savedPolicy); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return restorePolicy, os.WriteFile(policy, []byte(forbid), 0o755)
}

func restorePolicy() error {
	if text, err := os.ReadFile(policy); err == nil && string(text) == forbid {
		if err := os.Remove(policy); err != nil {
			return err
		}
	}
	if err := os.Rename(savedPolicy, policy); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// disable keeps the daemons of newly installed packages from starting at boot.
func disable(ctx context.Context, packages []string) error {
	if _, err := exec.LookPath("systemctl"); err != nil {
		return nil
	}
	for _, name := range packages {
		unit, isDaemon := daemons[name]
		if !isDaemon {
			continue
		}
		if out, err := exec.CommandContext(ctx, "systemctl", "disable", unit).CombinedOutput(); err != nil {
			return fmt.Errorf("keep %s from starting at boot: %w: %s", unit, err, out)
		}
	}
	return nil
}
