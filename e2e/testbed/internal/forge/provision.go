package forge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

const repoPath = "repos/" + Org + "/" + Repo

// provisioner brings a running forge to the state that the bed promises.
type provisioner struct {
	bed     *bed.Bed
	cli     cli
	api     API      // as admin, from ensureAdmin on
	changed []string // what had to be done, for people
}

func (p *provisioner) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		p.ensureAdmin,
		p.ensureOrg,
		p.ensureRepo,
		p.ensureSeed, // before the protection, which lets nobody push
		p.ensureActions,
		p.ensureBot,
		p.ensureBotAccess,
		p.ensureProtection,
		p.ensureLabel,
		p.ensureWebhook,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *provisioner) ensureOrg(ctx context.Context) error {
	exists, err := p.api.Exists(ctx, "orgs/"+Org)
	if err != nil || exists {
		return err
	}
	p.changed = append(p.changed, "organisation made")
	return p.api.Do(ctx, http.MethodPost, "orgs", map[string]any{"username": Org}, nil)
}

// repoSettings are the repository's: squash merges only, one commit on main for
// each pull request, whose branch goes with it. What is merged already may be noted.
func repoSettings() map[string]any {
	return map[string]any{
		"private":                           true, // so that every read needs the bot's token
		"default_branch":                    Branch,
		"has_issues":                        true, // labels and comments of pull requests belong to it
		"has_pull_requests":                 true,
		"has_wiki":                          false,
		"has_projects":                      false,
		"has_releases":                      false,
		"has_packages":                      false,
		"allow_squash_merge":                true,
		"allow_merge_commits":               false,
		"allow_rebase":                      false,
		"allow_rebase_explicit":             false,
		"allow_fast_forward_only_merge":     false,
		"allow_manual_merge":                true,
		"autodetect_manual_merge":           false,
		"default_merge_style":               "squash",
		"default_delete_branch_after_merge": true,
	}
}

func (p *provisioner) ensureRepo(ctx context.Context) error {
	var have map[string]any
	err := p.api.Get(ctx, repoPath, &have)
	if Is(err, http.StatusNotFound) {
		p.changed = append(p.changed, "repository made")
		err = p.api.Do(ctx, http.MethodPost, "orgs/"+Org+"/repos", map[string]any{
			"name": Repo, "private": true, "default_branch": Branch, "auto_init": false,
		}, &have)
		if err == nil {
			// Not among the settings: the first push is no reason to run anything.
			err = p.api.Do(ctx, http.MethodPatch, repoPath, map[string]any{"has_actions": false}, nil)
		}
	}
	if err != nil {
		return err
	}
	if matches(have, repoSettings()) {
		return nil
	}
	p.changed = append(p.changed, "repository settings")
	return p.api.Do(ctx, http.MethodPatch, repoPath, repoSettings(), nil)
}

// ensureBotAccess gives the bot write access to this one repository, and a
// token for it.
func (p *provisioner) ensureBotAccess(ctx context.Context) error {
	var have struct {
		Permission string `json:"permission"`
	}
	err := p.api.Get(ctx, repoPath+"/collaborators/"+Bot+"/permission", &have)
	if err != nil {
		return err
	}
	if have.Permission != "write" {
		p.changed = append(p.changed, "bot's access to the repository")
		err = p.api.Do(ctx, http.MethodPut, repoPath+"/collaborators/"+Bot, map[string]any{"permission": "write"}, nil)
		if err != nil {
			return err
		}
	}
	password, err := secretfile.Read(p.bed.Path(FileBotPassword))
	if err != nil {
		return err
	}
	_, err = p.ensureToken(ctx, Bot, password, FileBotToken, BotScopes)
	return err
}

// protection of the base branch: nobody pushes, the bot alone merges, and only
// what the gate passed on top of the present main. Admins are no exception.
func protection() map[string]any {
	return map[string]any{
		"rule_name":                         Branch,
		"enable_push":                       false,
		"enable_force_push":                 false,
		"enable_merge_whitelist":            true,
		"merge_whitelist_usernames":         []any{Bot},
		"merge_whitelist_teams":             []any{},
		"enable_status_check":               true,
		"status_check_contexts":             []any{StatusContext},
		"required_approvals":                0,
		"block_on_rejected_reviews":         true,
		"block_on_official_review_requests": false,
		"block_on_outdated_branch":          true,
		"dismiss_stale_approvals":           false,
		"block_admin_merge_override":        true,
	}
}

func (p *provisioner) ensureProtection(ctx context.Context) error {
	path := repoPath + "/branch_protections"
	var have map[string]any
	err := p.api.Get(ctx, path+"/"+Branch, &have)
	switch {
	case Is(err, http.StatusNotFound):
		p.changed = append(p.changed, "branch protection made")
		return p.api.Do(ctx, http.MethodPost, path, protection(), nil)
	case err != nil || matches(have, protection()):
		return err
	}
	p.changed = append(p.changed, "branch protection restored")
	return p.api.Do(ctx, http.MethodPatch, path+"/"+Branch, protection(), nil)
}

func (p *provisioner) ensureLabel(ctx context.Context) error {
	var labels []struct {
		Name string `json:"name"`
	}
	if err := p.api.Get(ctx, repoPath+"/labels?limit=50", &labels); err != nil {
		return err
	}
	for _, label := range labels {
		if label.Name == Label {
			return nil
		}
	}
	p.changed = append(p.changed, "label made")
	return p.api.Do(ctx, http.MethodPost, repoPath+"/labels", map[string]any{
		"name": Label, "color": "1d76db", "description": "A change that an agent made",
	}, nil)
}

// hook is a webhook as the API shows it: without its secret.
type hook struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Active bool   `json:"active"`
	Config struct {
		URL         string `json:"url"`
		ContentType string `json:"content_type"`
	} `json:"config"`
	Events []string `json:"events"`
}

// hookName names the hook after its secret. The API neither shows a hook's
// secret nor changes it, so this is how a replaced secret is noticed. The few
// digits say nothing useful about 256 random bits.
func hookName(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "flywheel " + hex.EncodeToString(sum[:4])
}

// good reports whether the hook is as it should be. Events may be more than
// those asked for, since Gitea spells out what "pull_request" stands for.
func (h hook) good(name string) bool {
	for _, event := range Events {
		if !slices.Contains(h.Events, event) {
			return false
		}
	}
	return h.Active && h.Name == name && h.Config.URL == WebhookURL && h.Config.ContentType == "json"
}

// ensureWebhook leaves exactly one good hook to the controller.
func (p *provisioner) ensureWebhook(ctx context.Context) error {
	secret, err := secretfile.Ensure(p.bed.Path(FileWebhookSecret), secretfile.Random)
	if err != nil {
		return err
	}
	path, name := repoPath+"/hooks", hookName(secret)
	var hooks []hook
	if err := p.api.Get(ctx, path+"?limit=50", &hooks); err != nil {
		return err
	}
	found := false
	for _, h := range hooks {
		if h.Config.URL != WebhookURL {
			continue // somebody else's
		}
		if !found && h.good(name) {
			found = true
			continue
		}
		if err := p.api.Do(ctx, http.MethodDelete, fmt.Sprintf("%s/%d", path, h.ID), nil, nil); err != nil {
			return err
		}
	}
	if found {
		return nil
	}
	p.changed = append(p.changed, "webhook made")
	return p.api.Do(ctx, http.MethodPost, path, map[string]any{
		"type": "gitea", "name": name, "active": true, "events": Events,
		"config": map[string]any{"url": WebhookURL, "content_type": "json", "secret": secret},
	}, nil)
}

// matches reports whether every setting in want is what have says, once both
// are JSON: numbers have one type there, and nil is an empty list.
func matches(have, want map[string]any) bool {
	data, err := json.Marshal(want)
	if err != nil {
		return false
	}
	var plain map[string]any
	if json.Unmarshal(data, &plain) != nil {
		return false
	}
	for key, value := range plain {
		if list, ok := value.([]any); ok && len(list) == 0 {
			if rest, ok := have[key].([]any); have[key] == nil || ok && len(rest) == 0 {
				continue
			}
		}
		if !reflect.DeepEqual(have[key], value) {
			return false
		}
	}
	return true
}
