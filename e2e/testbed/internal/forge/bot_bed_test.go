//go:build bed

package forge

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

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
