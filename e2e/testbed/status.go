package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"text/tabwriter"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/doubles"
	"flywheel.prim.sh/e2e/testbed/internal/netns"
	"flywheel.prim.sh/e2e/testbed/internal/payments"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

// listens are the parts beside the cluster and where they listen.
var listens = map[string]string{
	"dns":   net.JoinHostPort(bed.DNSIP, "53"),
	"forge": net.JoinHostPort(bed.ForgeIP, "3000"),
	"edge":  net.JoinHostPort(bed.EdgeIP, "443"),

	"chain":       payments.Bed.Chain,
	"facilitator": payments.Bed.Facilitator,

	"scripted-model":    doubles.Model,
	"scripted-upstream": doubles.Vendor,
}

const answersWithin = 3 * time.Second

// status prints a table of the parts. A part that does not serve is an error,
// so that scripts can ask.
func status(ctx context.Context, b *bed.Bed, _ []string) error {
	if b.Mode == bed.Kubeconfig {
		return upKubeconfig(ctx, b)
	}
	all, err := proc.All(b)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Println("not up")
		return nil
	}
	if b.Mode == bed.NoNode && !netns.Inside(b) {
		return enter(ctx, b, "status")
	}
	c, err := cluster.New(b, cluster.Binaries{})
	if err != nil {
		return err
	}
	ready := c.Ready()
	for name, address := range listens {
		ready[name] = func(ctx context.Context) error { return dial(ctx, address) }
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PART\tPID\tUP SINCE\tREADY")
	failing := 0
	for _, s := range all {
		state := "yes"
		if !s.Alive {
			state = "no: it ended, see " + proc.LogPath(b, s.Name)
		} else if check := ready[s.Name]; check != nil {
			ctx, cancel := context.WithTimeout(ctx, answersWithin)
			if err := check(ctx); err != nil {
				state = "no: " + err.Error()
			}
			cancel()
		}
		if state != "yes" {
			failing++
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", s.Name, s.Pid, s.Since.Local().Format(time.DateTime), state)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if failing > 0 {
		return fmt.Errorf("%d of %d parts do not serve: `testbed up` mends them", failing, len(all))
	}
	return nil
}

func dial(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
