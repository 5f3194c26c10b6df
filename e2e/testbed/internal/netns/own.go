package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

// A bed without a node has a namespace that nothing outside reaches, bound to a
// file in its state directory: nothing on the host changes, no name is taken, and
// any number of them have the same addresses. This program enters it as a whole,
// and whatever it starts stays there.

// OwnPath is the file that holds such a bed's namespace.
func OwnPath(b *bed.Bed) string { return b.Path("netns") }

// ownAddresses are the servers'. Addresses of Services are whoever's that listens.
const ownAddresses = `set -e
ip link set lo up
for address in ` + bed.ForgeIP + " " + bed.DNSIP + " " + bed.EdgeIP + " " + bed.ChainIP + " " + bed.FacilitatorIP + " " + bed.DoublesIP + `; do ip addr replace "$address/32" dev lo; done
ip route replace local ` + bed.ServiceCIDR + ` dev lo`

// EnsureOwn makes the namespace, and mends what is half there.
func EnsureOwn(ctx context.Context, b *bed.Bed) (note string, err error) {
	path := OwnPath(b)
	note, enter := "there", "nsenter"
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil || st.Type != nsfsMagic {
		// Bound to the file for as long as that is mounted.
		note, enter = "created", "unshare"
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return "", err
		}
	}
	out, err := exec.CommandContext(ctx, enter, "--net="+path, "--", "sh", "-c", ownAddresses).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("network namespace %s: %w: %s", path, err, strings.TrimSpace(string(out)))
	}
	return note, nil
}

// Inside says whether this program's network is the bed's own.
func Inside(b *bed.Bed) bool {
	var its, mine syscall.Stat_t
	return syscall.Stat(OwnPath(b), &its) == nil && syscall.Stat("/proc/self/ns/net", &mine) == nil && its.Ino == mine.Ino
}

// Enter replaces this process by the same program inside, with these arguments.
func Enter(b *bed.Bed, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return errors.New("nsenter is missing: install the package util-linux")
	}
	argv := append([]string{"nsenter", "--net=" + OwnPath(b), "--", self}, args...)
	return fmt.Errorf("enter %s: %w", OwnPath(b), syscall.Exec(nsenter, argv, os.Environ()))
}
