//go:build bed

package forge

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

// These tests need the full bed's network namespace. They leave the forge
// running and whole.

func setup(t *testing.T) (*bed.Bed, func(*testing.T) string) {
	t.Helper()
	repo, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	b, err := bed.New(bed.Full, repo)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := Build(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	ensure := func(t *testing.T) string {
		t.Helper()
		start := time.Now()
		note, err := Ensure(context.Background(), b, binary)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("Ensure took %s: %q", time.Since(start).Round(time.Millisecond), note)
		return note
	}
	ensure(t)
	return b, ensure
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
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %s, more than a second", took)
	}
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
		{"killed", "started", func() { kill(t, b) }},
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

func kill(t *testing.T, b *bed.Bed) {
	t.Helper()
	all, err := proc.All(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == "forge" {
			process, err := os.FindProcess(s.Pid)
			if err == nil {
				err = process.Kill()
			}
			if err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("the forge does not run")
}

// TestBotMayDoItsWorkAndNoMore makes, with tokens that lack one scope each, the
// call that needs that scope.
func TestBotMayDoItsWorkAndNoMore(t *testing.T) {
	b, _ := setup(t)
	ctx := context.Background()
	password, err := secretfile.Read(b.Path(FileBotPassword))
	if err != nil {
		t.Fatal(err)
	}
	owner := WithPassword(Bot, password)
	without := func(scope string) API {
		var scopes []string
		for _, s := range BotScopes {
			if s != scope {
				scopes = append(scopes, s)
			}
		}
		var made accessToken
		name := "without " + scope
		do(t, owner, http.MethodPost, "users/"+Bot+"/tokens", map[string]any{"name": name, "scopes": scopes}, &made)
		t.Cleanup(func() {
			_ = owner.Do(ctx, http.MethodDelete, fmt.Sprintf("users/%s/tokens/%d", Bot, made.ID), nil, nil)
		})
		return WithToken(made.Value)
	}
	bot := tokenIn(t, b, FileBotToken)
	branch := fmt.Sprintf("try-%d", time.Now().UnixNano())
	change := map[string]any{
		"branch": Branch, "new_branch": branch, "message": "Try",
		"files": []map[string]any{{"operation": "create", "path": branch + ".txt", "content": "dHJ5Cg=="}},
	}
	refused := func(api API, method, path string, in any, status int) {
		t.Helper()
		if err := api.Do(ctx, method, path, in, nil); !Is(err, status) {
			t.Errorf("%s %s: %v, want status %d", method, path, err, status)
		}
	}

	refused(without("read:user"), http.MethodGet, "user", nil, http.StatusForbidden)
	var me account
	do(t, bot, http.MethodGet, "user", nil, &me)
	if me.Login != Bot || me.IsAdmin {
		t.Errorf("the token is %s's, admin %v", me.Login, me.IsAdmin)
	}

	refused(without("write:repository"), http.MethodPost, repoPath+"/contents", change, http.StatusForbidden)
	do(t, bot, http.MethodPost, repoPath+"/contents", change, nil)
	var pull struct {
		Number int `json:"number"`
		Head   struct {
			Sha string `json:"sha"`
		} `json:"head"`
	}
	do(t, bot, http.MethodPost, repoPath+"/pulls", map[string]any{"title": "Try", "head": branch, "base": Branch}, &pull)

	issue := fmt.Sprintf("%s/issues/%d", repoPath, pull.Number)
	comment, label := map[string]any{"body": "Tried"}, map[string]any{"labels": []string{Label}}
	noIssues := without("write:issue")
	refused(noIssues, http.MethodPost, issue+"/comments", comment, http.StatusForbidden)
	refused(noIssues, http.MethodPost, issue+"/labels", label, http.StatusForbidden)
	do(t, bot, http.MethodPost, issue+"/comments", comment, nil)
	do(t, bot, http.MethodPost, issue+"/labels", label, nil)

	// Nothing is merged before the gate's status; nobody pushes to main.
	merge := fmt.Sprintf("%s/pulls/%d/merge", repoPath, pull.Number)
	squash := map[string]any{"Do": "squash", "head_commit_id": pull.Head.Sha}
	admin := tokenIn(t, b, FileAdminToken)
	refused(bot, http.MethodPost, merge, squash, http.StatusMethodNotAllowed)
	refused(admin, http.MethodPost, merge, squash, http.StatusMethodNotAllowed)
	onMain := map[string]any{"branch": Branch, "message": "Push", "files": change["files"]}
	refused(bot, http.MethodPost, repoPath+"/contents", onMain, http.StatusForbidden)
	refused(admin, http.MethodPost, repoPath+"/contents", onMain, http.StatusForbidden)

	// What a bot that can write may still not do.
	refused(bot, http.MethodGet, repoPath+"/hooks", nil, http.StatusForbidden)
	refused(bot, http.MethodGet, repoPath+"/branch_protections", nil, http.StatusForbidden)
	refused(bot, http.MethodPatch, repoPath, map[string]any{"private": false}, http.StatusForbidden)
	refused(bot, http.MethodPost, "user/repos", map[string]any{"name": "mine"}, http.StatusForbidden)
	refused(bot, http.MethodGet, "admin/users", nil, http.StatusForbidden)
	refused(API{}, http.MethodGet, repoPath, nil, http.StatusNotFound)

	do(t, bot, http.MethodPost, repoPath+"/statuses/"+pull.Head.Sha,
		map[string]any{"context": StatusContext, "state": "success"}, nil)
	mergeWhenChecked(t, bot, merge, squash)
	t.Cleanup(func() { takeOut(t, bot, branch+".txt") })
	var branches []struct {
		Name string `json:"name"`
	}
	do(t, bot, http.MethodGet, repoPath+"/branches", nil, &branches)
	for _, have := range branches {
		if have.Name == branch {
			t.Error("the merged branch is still there")
		}
	}
	log, err := os.ReadFile(b.Path(AccessLog))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), Bot+" ") || !strings.Contains(string(log), merge) {
		t.Error("the access log does not name the bot or its merge")
	}
}

// takeOut removes a file from main, in the one way there is.
func takeOut(t *testing.T, bot API, file string) {
	var have, pull struct {
		Number int    `json:"number"`
		Sha    string `json:"sha"`
		Head   struct {
			Sha string `json:"sha"`
		} `json:"head"`
	}
	do(t, bot, http.MethodGet, repoPath+"/contents/"+file, nil, &have)
	branch := "remove-" + file
	do(t, bot, http.MethodPost, repoPath+"/contents", map[string]any{
		"branch": Branch, "new_branch": branch, "message": "Remove",
		"files": []map[string]any{{"operation": "delete", "path": file, "sha": have.Sha}},
	}, nil)
	do(t, bot, http.MethodPost, repoPath+"/pulls", map[string]any{"title": "Remove", "head": branch, "base": Branch}, &pull)
	do(t, bot, http.MethodPost, repoPath+"/statuses/"+pull.Head.Sha,
		map[string]any{"context": StatusContext, "state": "success"}, nil)
	mergeWhenChecked(t, bot, fmt.Sprintf("%s/pulls/%d/merge", repoPath, pull.Number),
		map[string]any{"Do": "squash", "head_commit_id": pull.Head.Sha})
}

// mergeWhenChecked merges as soon as Gitea, which looks in the background, knows
// that the pull request can be merged.
func mergeWhenChecked(t *testing.T, api API, path string, body any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	for {
		err := api.Do(ctx, http.MethodPost, path, body, nil)
		if err == nil {
			return
		}
		if !Is(err, http.StatusMethodNotAllowed) || ctx.Err() != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}
