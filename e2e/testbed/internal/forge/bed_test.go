//go:build bed

package forge

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/bedtest"
	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

// These tests have a host of their own, where nothing but the forge runs.
func TestMain(m *testing.M) {
	bedtest.PartMain(m, Prepare)
}

func setup(t *testing.T) (*bed.Bed, func(*testing.T) string) {
	t.Helper()
	return bedtest.Part(t, ensureBuilt)
}

func ensureBuilt(ctx context.Context, b *bed.Bed) (string, error) {
	binary, err := Build(ctx, b)
	if err != nil {
		return "", err
	}
	return Ensure(ctx, b, binary)
}

func tokenIn(t *testing.T, b *bed.Bed, file string) API {
	t.Helper()
	token, err := secretfile.Read(b.Path(file))
	if err != nil || token == "" {
		t.Fatalf("no token in %s: %v", file, err)
	}
	return WithToken(token)
}

func do(t *testing.T, api API, method, path string, in, out any) {
	t.Helper()
	if err := api.Do(context.Background(), method, path, in, out); err != nil {
		t.Fatal(err)
	}
}

func TestSecondEnsureHasNothingToDo(t *testing.T) {
	_, ensure := setup(t)
	start := time.Now()
	if note := ensure(t); note != "" {
		t.Errorf("it did something: %s", note)
	}
	t.Logf("it took %s", time.Since(start))
}

func TestEnsureRestoresWhatWasRemoved(t *testing.T) {
	b, ensure := setup(t)
	admin := tokenIn(t, b, FileAdminToken)
	for _, c := range []struct {
		name, note string
		damage     func()
	}{
		{"webhook deleted", "webhook made", func() {
			var hooks []hook
			do(t, admin, http.MethodGet, repoPath+"/hooks", nil, &hooks)
			for _, h := range hooks {
				do(t, admin, http.MethodDelete, fmt.Sprintf("%s/hooks/%d", repoPath, h.ID), nil, nil)
			}
		}},
		{"webhook secret replaced", "webhook made", func() {
			if err := secretfile.Write(b.Path(FileWebhookSecret), secretfile.Random()); err != nil {
				t.Fatal(err)
			}
		}},
		{"protection deleted", "branch protection made", func() {
			do(t, admin, http.MethodDelete, repoPath+"/branch_protections/"+Branch, nil, nil)
		}},
		{"protection weakened", "branch protection restored", func() {
			do(t, admin, http.MethodPatch, repoPath+"/branch_protections/"+Branch,
				map[string]any{"enable_push": true, "enable_status_check": false}, nil)
		}},
		{"merge commits allowed", "repository settings", func() {
			do(t, admin, http.MethodPatch, repoPath, map[string]any{"allow_merge_commits": true}, nil)
		}},
		{"bot removed from the repository", "bot's access to the repository", func() {
			do(t, admin, http.MethodDelete, repoPath+"/collaborators/"+Bot, nil, nil)
		}},
		{"bot made admin", "bot account restricted again", func() {
			do(t, admin, http.MethodPatch, "admin/users/"+Bot,
				map[string]any{"login_name": Bot, "source_id": 0, "admin": true}, nil)
		}},
		{"bot's token lost", "token for " + Bot + " made", func() {
			if err := os.Remove(b.Path(FileBotToken)); err != nil {
				t.Fatal(err)
			}
		}},
		{"admin's password and token lost", "admin password reset, token for " + Admin + " made", func() {
			for _, file := range []string{FileAdminPassword, FileAdminToken} {
				if err := os.Remove(b.Path(file)); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"killed", "started", func() { bedtest.Kill(t, b, "forge") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.damage()
			if note := ensure(t); note != c.note {
				t.Errorf("the note is %q, want %q", note, c.note)
			}
			if note := ensure(t); note != "" {
				t.Errorf("not whole after that: %q", note)
			}
			admin = tokenIn(t, b, FileAdminToken)
		})
	}
}
