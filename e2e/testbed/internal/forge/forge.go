// Package forge runs the test bed's forge, a real Gitea, and provisions it: an
// organisation with the factory repository in it, a bot account that may do
// what the controller needs and no more, branch protection, and a webhook.
//
// Everything is stated as it should be and compared with what is there, so
// Ensure also heals what somebody removed or changed.
package forge

import (
	"context"
	"fmt"
	"net/http"
	"os/user"
	"strings"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

const (
	// URL is the forge's address, for browsers, git and the API alike.
	URL = "http://" + bed.ForgeIP + ":3000/"
	// Org owns the factory repository.
	Org = "prim"
	// Repo is the factory repository's name.
	Repo = "factory"
	// Branch is the factory's base branch.
	Branch = "main"
	// Bot is the controller's account.
	Bot = "flywheel-bot"
	// Admin is the account that provisions the forge and looks deeper for
	// `flywheel doctor`.
	Admin = "flywheel-admin"
	// Label marks the pull requests that agents' changes become.
	Label = "agent-pr"
	// StatusContext is the commit status without which nothing is merged.
	StatusContext = "flywheel/gate"

	// WebhookIP is the fixed cluster address of the controller's webhook Service.
	WebhookIP = "10.96.0.20"
	// WebhookURL is where the forge delivers its events.
	WebhookURL = "http://" + WebhookIP + ":9443/webhook/flywheel/prim"
)

// Events are the webhook's: whatever may change what the controller should do
// next. In Gitea's API "pull_request" stands for every kind of pull request event.
var Events = []string{"create", "delete", "push", "status", "issue_comment", "pull_request"}

// BotScopes are the least that the controller's token needs:
//   - write:repository: branches, commits, pull requests, merges, commit statuses
//   - write:issue: comments and labels; to Gitea a pull request's are an issue's
//   - read:user: asking whose token this is, the first thing a diagnosis needs
var BotScopes = []string{"read:user", "write:issue", "write:repository"}

// Files of the part below the bed's state directory, each with one value.
const (
	FileURL           = "forge/url"
	FileAdminToken    = "forge/admin-token"
	FileAdminPassword = "forge/admin-password"
	FileBotToken      = "forge/bot-token"
	FileBotPassword   = "forge/bot-password"
	FileWebhookSecret = "forge/webhook-secret"
)

// AccessLog is the log, below the state directory, with one line for every
// request that the forge answered, in the common format with the user's name.
const AccessLog = "logs/forge-access.log"

// Ensure runs the forge from the given binary (built from e2e/forge) and
// provisions it. The note says what it had to do.
func Ensure(ctx context.Context, b *bed.Bed, binary string) (note string, err error) {
	static, err := ensureStatic(ctx, b)
	if err != nil {
		return "", err
	}
	runAs, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("forge: who runs it: %w", err)
	}
	config, err := writeConfig(b, static, runAs.Username)
	if err != nil {
		return "", err
	}
	started, err := proc.Ensure(ctx, b, proc.Spec{
		Name: "forge",
		// Gitea makes its database and repositories readable for everybody else.
		Argv:   []string{"sh", "-c", `umask 077; exec "$0" "$@"`, binary, "web", "--config", config},
		Env:    []string{"USER=" + runAs.Username, "GITEA_WORK_DIR=" + b.Path("forge")},
		Dir:    b.Path("forge"),
		Config: []string{config},
		Ready:  ready,
		// The first start creates the database.
		ReadyWithin: time.Minute,
	})
	if err != nil {
		return "", err
	}
	if err := secretfile.Write(b.Path(FileURL), URL); err != nil {
		return "", err
	}
	p := provisioner{bed: b, cli: cli{bed: b, binary: binary, config: config, user: runAs.Username}}
	if err := p.run(ctx); err != nil {
		return "", fmt.Errorf("forge: provision: %w", err)
	}
	var notes []string
	if started {
		notes = append(notes, "started")
	}
	return strings.Join(append(notes, p.changed...), ", "), nil
}

// ready asks Gitea for its own view of its health, which includes the database.
func ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, URL+"api/healthz", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%sapi/healthz answers %s", URL, response.Status)
	}
	return nil
}
