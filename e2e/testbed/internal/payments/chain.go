package payments

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// dollarCode is the dollar's code in the checkout, as e2e/chain/compile.mjs prints it.
const dollarCode = "e2e/chain/Dollar.bin"

// Contracts that the facilitator wants to see on a chain before it starts. What it is
// asked for here uses none of them, so any code will do.
var wanted = []string{
	"0xdAcD51A54883eb67D95FAEb2BBfdC4a9a6BD2a3B", // EIP-6492's validator
	"0x000000000022D473030F116dDEE9F6B43aC78BA3", // Permit2
	"0x402085c248EeA27D92E8b30b2C58ed07f9E20001", // x402's proxy for Permit2
}

// Selectors of the dollar's functions.
const (
	balanceOf = "0x70a08231"
	mint      = "0x40c10f19"
)

const (
	answersWithin = 10 * time.Second
	minedWithin   = 20 * time.Second
	pollInterval  = 100 * time.Millisecond
	maxAnswer     = 1 << 20
)

// rpc is a chain's JSON-RPC URL.
type rpc string

func (url rpc) call(ctx context.Context, into any, method string, params ...any) error {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	if params == nil {
		params = []any{}
	}
	question, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := post(ctx, string(url), question, &answer); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("%s: %s", method, answer.Error.Message)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer.Result, into)
}

// is checks that the chain answers and has this number.
func (url rpc) is(ctx context.Context, id int64) error {
	var said string
	if err := url.call(ctx, &said, "eth_chainId"); err != nil {
		return err
	}
	if want := fmt.Sprintf("0x%x", id); said != want {
		return fmt.Errorf("the chain is %s, and should be %s", said, want)
	}
	return nil
}

// furnish puts the contracts where they should be, and dollars into the test wallet.
// It says whether a contract was missing.
func (url rpc) furnish(ctx context.Context, repo string) (placed bool, err error) {
	code, err := os.ReadFile(filepath.Join(repo, dollarCode))
	if err != nil {
		return false, err
	}
	contracts := map[string]string{USDC: "0x" + strings.TrimSpace(string(code))}
	for _, address := range wanted {
		contracts[address] = "0x00"
	}
	for address, code := range contracts {
		var there string
		if err := url.call(ctx, &there, "eth_getCode", address, "latest"); err != nil {
			return placed, err
		}
		if there == code {
			continue
		}
		if err := url.call(ctx, nil, "anvil_setCode", address, code); err != nil {
			return placed, err
		}
		placed = true
	}
	return placed, url.fund(ctx, walletAddress, walletDollars)
}

// fund mints what the wallet lacks of so many dollars.
func (url rpc) fund(ctx context.Context, wallet string, dollars int64) error {
	var said string
	call := map[string]any{"to": USDC, "data": balanceOf + word(wallet)}
	if err := url.call(ctx, &said, "eth_call", call, "latest"); err != nil {
		return err
	}
	have, good := new(big.Int).SetString(strings.TrimPrefix(said, "0x"), 16)
	if !good {
		return fmt.Errorf("the dollar says that the balance is %q", said)
	}
	want := new(big.Int).Mul(big.NewInt(dollars), big.NewInt(1_000_000))
	if have.Cmp(want) >= 0 {
		return nil
	}
	lacks := new(big.Int).Sub(want, have)
	transaction := map[string]any{"from": wallet, "to": USDC, "data": mint + word(wallet) + word(fmt.Sprintf("%x", lacks))}
	var hash string
	// The chain holds the keys of its own accounts.
	if err := url.call(ctx, &hash, "eth_sendTransaction", transaction); err != nil {
		return err
	}
	return url.mined(ctx, hash)
}

// mined waits until a transaction is in a block.
func (url rpc) mined(ctx context.Context, hash string) error {
	ctx, cancel := context.WithTimeout(ctx, minedWithin)
	defer cancel()
	for {
		var receipt *struct{ Status string }
		if err := url.call(ctx, &receipt, "eth_getTransactionReceipt", hash); err != nil {
			return err
		}
		if receipt != nil && receipt.Status != "0x1" {
			return fmt.Errorf("transaction %s failed", hash)
		}
		if receipt != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("transaction %s is in no block: %w", hash, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

// word is a number in hexadecimal, or an address, as an argument: 32 bytes.
func word(hex string) string {
	hex = strings.ToLower(strings.TrimPrefix(hex, "0x"))
	return strings.Repeat("0", 64-len(hex)) + hex
}

// supports checks that the facilitator settles on the chain, in both versions.
func supports(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/supported", nil)
	if err != nil {
		return err
	}
	var said struct {
		Kinds []struct{ X402Version int }
	}
	if err := do(request, &said); err != nil {
		return err
	}
	if len(said.Kinds) < 2 {
		return errors.New("the facilitator supports less than two kinds of payment")
	}
	return nil
}

func post(ctx context.Context, url string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	return do(request, into)
}

func do(request *http.Request, into any) error {
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", request.URL, answer.Status)
	}
	return json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(into)
}
