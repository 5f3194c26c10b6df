package main

import (
	"context"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/dns"
	"flywheel.prim.sh/e2e/testbed/internal/doubles"
	"flywheel.prim.sh/e2e/testbed/internal/edge"
	"flywheel.prim.sh/e2e/testbed/internal/forge"
	"flywheel.prim.sh/e2e/testbed/internal/image"
	"flywheel.prim.sh/e2e/testbed/internal/install"
	"flywheel.prim.sh/e2e/testbed/internal/payments"
	"flywheel.prim.sh/e2e/testbed/internal/runner"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

// parts brings up what stands beside the cluster, and what of Flywheel the bed
// has in it.
func parts(ctx context.Context, b *bed.Bed, c *cluster.Cluster, p programs) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	type part struct {
		title  string
		ensure func() (string, error)
	}
	all := []part{
		{"dns", func() (string, error) { return dns.Ensure(ctx, b) }},
		{"forge", func() (string, error) { return forge.Ensure(ctx, b, p.forge) }},
		{"edge", func() (string, error) { return edge.Ensure(ctx, b) }},
		{"payments", func() (string, error) { return payments.Ensure(ctx, b, payments.Bed, p.payments) }},
		{"doubles", func() (string, error) { return doubles.Ensure(ctx, b, p.doubles) }},
	}
	if b.Mode == bed.Full {
		all = append(all,
			// After BIND, which CoreDNS asks for the zone.
			part{"cluster dns", func() (string, error) { return c.DNS(ctx) }},
			part{"image import", func() (string, error) { return image.Import(ctx, b, cluster.Socket(b), p.images) }},
			part{"release", func() (string, error) {
				return install.Ensure(ctx, b, client, p.helm, cluster.KubeconfigPath(b), p.images)
			}},
			part{"runner", func() (string, error) { return runner.Ensure(ctx, b, p.runner) }},
		)
	} else {
		all = append(all, part{"credentials", func() (string, error) { return "stated", install.Credentials(ctx, b, client) }})
	}
	for _, part := range all {
		if err := step.Run(part.title, func() (string, error) {
			note, err := part.ensure()
			if note == "" {
				note = "unchanged"
			}
			return note, err
		}); err != nil {
			return err
		}
	}
	return nil
}
