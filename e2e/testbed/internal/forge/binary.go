package forge

import (
	"context"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/build"
)

// giteaBinary needs a C compiler for SQLite.
var giteaBinary = build.Binary{
	Name: "gitea", Dir: "e2e/forge", CGO: true,
	Tags: "sqlite sqlite_unlock_notify", Ldflags: "-s -w", About: "about 3 min",
}

// Build makes Gitea, unless it is cached, and returns the binary's path.
func Build(ctx context.Context, b *bed.Bed) (string, error) {
	return build.Ensure(ctx, b, giteaBinary)
}
