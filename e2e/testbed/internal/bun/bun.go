// Package bun provides Bun, the runtime of the services, from its package on
// npm: for the images, and for whoever works on a factory repository.
package bun

import (
	"context"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/npm"
)

// Version is the one that the factory repository's template asks for.
const Version = "1.4.5"

// The platform's own package: the one called "bun" needs an install script.
var program = npm.Program{
	Name: "bun", Package: "@oven/bun-linux-x64", Version: Version,
	Integrity: "IWX9BELoGHAUtMonkeSaNaZwXzRk+oDw6Mk+HBFXd3KHYIBNBsIGRupMZPcgNoDbJpLu6gAJjIoIVPZtt1aJ1g==",
	File:      "package/bin/bun", Links: []string{"bunx"}, Size: "50 MB",
}

// Ensure returns the directory that holds bun and bunx, fetching them the
// first time.
func Ensure(ctx context.Context, b *bed.Bed) (dir string, err error) { return program.Ensure(ctx, b) }
