package image

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

// offeredFor is how long apt's answer is taken for the same; its lists, when they
// are fetched again, end it at once.
const offeredFor = time.Hour

// offered is what apt would download. Asking takes it seconds.
func offered(ctx context.Context, b *bed.Bed) ([]deb, error) {
	on := ""
	if lists, err := os.Stat("/var/lib/apt/lists"); err == nil {
		on = lists.ModTime().String()
	}
	text, err := remembered(b, "offered", on, offeredFor, func() (string, error) {
		debs, err := askFreshApt(ctx)
		return strings.Join(inputs(debs), "\n"), err
	})
	if err != nil {
		return nil, err
	}
	var debs []deb
	for _, line := range strings.Split(text, "\n") {
		file, sum, _ := strings.Cut(line, " ")
		debs = append(debs, deb{file, sum})
	}
	return debs, nil
}

// askFreshApt asks apt. On a fresh machine it has to be told first what there is.
func askFreshApt(ctx context.Context) ([]deb, error) {
	debs, err := askApt(ctx)
	if err == nil || os.Geteuid() != 0 || runtime.GOARCH != architecture {
		return debs, err
	}
	step.Progress("apt-get update")
	if _, err := run(ctx, "", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "update"); err != nil {
		return nil, err
	}
	return askApt(ctx)
}

// askApt asks apt which files it would download.
func askApt(ctx context.Context) ([]deb, error) {
	if runtime.GOARCH != architecture {
		return nil, fmt.Errorf("images are assembled on %s alone, this machine is %s", architecture, runtime.GOARCH)
	}
	about, err := run(ctx, "", "apt-cache", "show", "--no-all-versions", "libgcc-s1")
	if err != nil {
		return nil, fmt.Errorf("%w\nif apt doesn't know the package, run apt-get update", err)
	}
	packages := append([]string{}, basePackages...)
	if licence := gccBase.FindString(string(about)); licence != "" {
		packages = append(packages, licence)
	}
	out, err := run(ctx, "", "apt-get", append([]string{"download", "--print-uris"}, packages...)...)
	if err != nil {
		return nil, fmt.Errorf("%w\nif apt doesn't know the packages, run apt-get update", err)
	}
	var debs []deb
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		// 'URI' FILE SIZE SHA256:SUM
		fields := strings.Fields(lines.Text())
		if len(fields) != 4 || !strings.HasPrefix(fields[3], "SHA256:") {
			continue
		}
		debs = append(debs, deb{file: fields[1], sum: strings.TrimPrefix(fields[3], "SHA256:")})
	}
	if len(debs) != len(packages) {
		return nil, fmt.Errorf("apt offers %d of the packages %s: run apt-get update", len(debs), strings.Join(packages, ", "))
	}
	sort.Slice(debs, func(i, j int) bool { return debs[i].file < debs[j].file })
	return debs, nil
}
