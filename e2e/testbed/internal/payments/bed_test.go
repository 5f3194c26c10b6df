//go:build bed

package payments

import (
	"context"
	"testing"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/bedtest"
)

// These tests have a host of their own, where nothing but chain and facilitator run.
func TestMain(m *testing.M) {
	bedtest.PartMain(m, func(ctx context.Context, b *bed.Bed) error { _, err := Build(ctx, b); return err })
}

func setup(t *testing.T) (*bed.Bed, func(*testing.T) string) {
	t.Helper()
	return bedtest.Part(t, func(ctx context.Context, b *bed.Bed) (string, error) {
		p, err := Build(ctx, b) // in the cache by now
		if err != nil {
			return "", err
		}
		return Ensure(ctx, b, Bed, p)
	})
}

func TestAChainThatWasKilledComesBackWithItsDollar(t *testing.T) {
	b, ensure := setup(t)
	ctx, chain := context.Background(), rpc(Bed.ChainURL())
	if note := ensure(t); note != "" {
		t.Errorf("a second Ensure did something: %s", note)
	}
	if err := chain.is(ctx, chainID); err != nil {
		t.Error(err)
	}
	for _, part := range []string{"chain", "facilitator"} {
		bedtest.Kill(t, b, part)
		if note := ensure(t); note == "" {
			t.Errorf("%s was killed, and Ensure did nothing", part)
		}
		if err := supports(ctx, Bed.FacilitatorURL()); err != nil {
			t.Error(err)
		}
		var code string
		if err := chain.call(ctx, &code, "eth_getCode", USDC, "latest"); err != nil || len(code) < 1000 {
			t.Errorf("the dollar's code is %q: %v", code, err)
		}
	}
	if note := ensure(t); note != "" {
		t.Errorf("a further Ensure did something: %s", note)
	}
}
