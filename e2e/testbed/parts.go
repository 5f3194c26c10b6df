package main

import (
	"context"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/dns"
	"flywheel.prim.sh/e2e/testbed/internal/edge"
	"flywheel.prim.sh/e2e/testbed/internal/forge"
	"flywheel.prim.sh/e2e/testbed/internal/image"
	"flywheel.prim.sh/e2e/testbed/internal/install"
	"flywheel.prim.sh/e2e/testbed/internal/step"
)

// parts brings up what stands beside the cluster, and Flywheel in it.
func parts(ctx context.Context, b *bed.Bed, c *cluster.Cluster, p programs) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	for _, part := range []struct {
		title  string
		ensure func() (string, error)
	}{
		// BIND before CoreDNS, which asks it for the zone.
		{"dns", func() (string, error) { return dns.Ensure(ctx, b) }},
		{"cluster dns", func() (string, error) { return c.DNS(ctx) }},
		{"forge", func() (string, error) { return forge.Ensure(ctx, b, p.forge) }},
		{"edge", func() (string, error) { return edge.Ensure(ctx, b) }},
		{"image import", func() (string, error) { return image.Import(ctx, b, cluster.Socket(b), p.images) }},
		{"release", func() (string, error) {
			return install.Ensure(ctx, b, client, p.helm, cluster.KubeconfigPath(b), p.images)
		}},
	} {
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
