// Package payments runs what the test bed's services are paid with: a chain of its
// own that says it is Base Sepolia, with a dollar at USDC's address there, and an
// x402 facilitator that verifies and settles. Nothing of it is worth anything: the
// keys are anvil's own, which everybody knows, and anybody may mint the dollar.
//
// The chain keeps its state in memory. A chain that is started anew has its dollar
// and its wallets again, and no payment of before; the facilitator, which counts its
// account's transactions, is then started anew too.
package payments

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/build"
	"flywheel.prim.sh/e2e/testbed/internal/npm"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

const (
	// Network is the chain's CAIP-2 name: that of Base Sepolia.
	Network = "eip155:84532"
	// USDC is the dollar's address, where Base Sepolia has USDC.
	USDC    = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
	chainID = 84532
	// FacilitatorPort is where the bed's facilitator listens.
	FacilitatorPort = 4021
	// ChainPort is where the bed's chain takes JSON-RPC.
	ChainPort = 8545
	// states that the chain keeps.
	states = 64

	// Files of the part below the bed's state directory.
	FileWalletKey      = "payments/wallet.key"
	fileFacilitatorKey = "payments/facilitator.key"
	fileEra            = "payments/era"
)

// The first and the last of anvil's accounts, which have ether from the start. Each
// facilitator needs an account of its own: it counts its transactions itself.
const (
	walletAddress  = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
	walletKey      = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
	facilitatorKey = "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"
)

// walletDollars is what the test wallet has at least after each Ensure.
const walletDollars = 1000

// Programs are the paths of what is run.
type Programs struct {
	anvil, facilitator string
	// PaidV1 is a service of x402 version 1, for tests.
	PaidV1 string
}

var anvil = npm.Program{
	Name: "anvil", Package: "@foundry-rs/anvil-linux-amd64", Version: "1.7.1",
	Integrity: "+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlgX7GRJ59383ofNhxkRWIYTg==",
	File:      "package/bin/anvil", Size: "15 MB",
}

var crate = build.Crate{Name: "x402", Dir: "e2e/x402", Programs: []string{"facilitator", "paid-v1"}, About: "about 2 min"}

// Build fetches and builds the programs, as far as they are not cached.
func Build(ctx context.Context, b *bed.Bed) (p Programs, err error) {
	dir, err := anvil.Ensure(ctx, b)
	if err != nil {
		return p, err
	}
	p.anvil = filepath.Join(dir, anvil.Name)
	dir, err = build.EnsureCrate(ctx, b, crate)
	p.facilitator, p.PaidV1 = filepath.Join(dir, "facilitator"), filepath.Join(dir, "paid-v1")
	return p, err
}

// Place is where chain and facilitator listen: IP and port.
type Place struct{ Chain, Facilitator string }

// Bed is their place in a test bed.
var Bed = Place{Chain: net.JoinHostPort(bed.ChainIP, strconv.Itoa(ChainPort)), Facilitator: net.JoinHostPort(bed.FacilitatorIP, strconv.Itoa(FacilitatorPort))}

// Loopback is a place on loopback that was free a moment ago.
func Loopback() (at Place, err error) {
	for _, address := range []*string{&at.Chain, &at.Facilitator} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return at, err
		}
		defer listener.Close() // after both, so that they differ
		*address = listener.Addr().String()
	}
	return at, nil
}

// ChainURL is where the chain takes JSON-RPC.
func (at Place) ChainURL() string { return "http://" + at.Chain }

// FacilitatorURL is the facilitator's.
func (at Place) FacilitatorURL() string { return "http://" + at.Facilitator }

// Variables are what those need who pay here, by name.
func (at Place) Variables(b *bed.Bed) [][2]string {
	return [][2]string{
		{"CHAIN_RPC", at.ChainURL()},
		{"CHAIN_NETWORK", Network},
		{"FACILITATOR_URL", at.FacilitatorURL()},
		{"USDC_ADDRESS", USDC},
		{"TEST_WALLET_KEY_FILE", b.Path(FileWalletKey)},
		{"TEST_WALLET_ADDRESS", walletAddress},
	}
}

// Ensure runs chain and facilitator. The note says what it had to do.
func Ensure(ctx context.Context, b *bed.Bed, at Place, p Programs) (note string, err error) {
	for file, value := range map[string]string{FileWalletKey: walletKey, fileFacilitatorKey: facilitatorKey} {
		if have, err := secretfile.Read(b.Path(file)); err != nil {
			return "", err
		} else if have != value {
			if err := secretfile.Write(b.Path(file), value); err != nil {
				return "", err
			}
		}
	}
	chain := rpc(at.ChainURL())
	host, port, err := net.SplitHostPort(at.Chain)
	if err != nil {
		return "", err
	}
	started, err := proc.Ensure(ctx, b, proc.Spec{
		Name: "chain",
		// A block each second, as a payment's times are compared with the last block's;
		// states of old blocks, which nobody asks for, would only fill the memory. The
		// newest is not enough: who asks for it while a block is made asks for the last but one.
		Argv: []string{
			p.anvil, "--host", host, "--port", port, "--chain-id", strconv.Itoa(chainID), "--block-time", "1",
			"--prune-history", strconv.Itoa(states), "--quiet",
		},
		Ready: func(ctx context.Context) error { return chain.is(ctx, chainID) },
	})
	if err != nil {
		return "", err
	}
	// Also where a chain is there and the last command died before this.
	placed, err := chain.furnish(ctx, b.Repo)
	if err != nil {
		return "", fmt.Errorf("chain: %w", err)
	}
	if started || placed {
		note = "started"
		if err := os.WriteFile(b.Path(fileEra), []byte(time.Now().Format(time.RFC3339Nano)), 0o644); err != nil {
			return "", err
		}
	}
	started, err = proc.Ensure(ctx, b, proc.Spec{
		Name:   "facilitator",
		Argv:   []string{p.facilitator, at.Facilitator, at.ChainURL(), strconv.Itoa(chainID), b.Path(fileFacilitatorKey)},
		Config: []string{b.Path(fileFacilitatorKey), b.Path(fileEra)},
		Ready:  func(ctx context.Context) error { return supports(ctx, at.FacilitatorURL()) },
	})
	if err != nil {
		return "", err
	}
	if started && note == "" {
		note = "facilitator started"
	}
	return note, nil
}

// Stop ends both.
func Stop(b *bed.Bed) error {
	if err := proc.Stop(b, "facilitator"); err != nil {
		return err
	}
	return proc.Stop(b, "chain")
}
