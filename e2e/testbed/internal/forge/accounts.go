package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

// cli runs Gitea's own commands, which work on its database directly. They are
// the only way in while there is no account, or its password is lost.
type cli struct {
	bed                  *bed.Bed
	binary, config, user string
}

// run returns standard output. It may hold a secret, so errors quote only
// standard error.
func (c cli) run(ctx context.Context, args ...string) (string, error) {
	argv := append([]string{c.binary, "--config", c.config}, args...)
	command := proc.Command(ctx, c.bed, argv...)
	command.Dir = c.bed.Path("forge")
	command.Env = append(command.Env, "USER="+c.user, "GITEA_WORK_DIR="+c.bed.Path("forge"))
	out, err := command.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(failed.Stderr)))
		}
		return "", fmt.Errorf("gitea %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

// account is what provisioning reads and states of a user.
type account struct {
	Login      string `json:"login"`
	IsAdmin    bool   `json:"is_admin"`
	Restricted bool   `json:"restricted"`
}

// ensureAdmin makes the admin account and its token, and sets p.api.
func (p *provisioner) ensureAdmin(ctx context.Context) error {
	file := p.bed.Path(FileAdminPassword)
	password, err := secretfile.Read(file)
	if err != nil {
		return err
	}
	if password != "" {
		err = WithPassword(Admin, password).Get(ctx, "user", nil)
		if err != nil && !Is(err, http.StatusUnauthorized) {
			return err
		}
	}
	if password == "" || err != nil {
		if password, err = p.adminPassword(ctx); err != nil {
			return err
		}
		if err := secretfile.Write(file, password); err != nil {
			return err
		}
	}
	token, err := p.ensureToken(ctx, Admin, password, FileAdminToken, []string{"all"})
	p.api = WithToken(token)
	return err
}

// adminPassword gives the admin account, which it makes when there is none, a
// new password. Gitea's command line can set one only by an argument, which
// every process of the machine may read; so the first one is Gitea's choice,
// and a later one goes through the API.
func (p *provisioner) adminPassword(ctx context.Context) (string, error) {
	exists, err := API{}.Exists(ctx, "users/"+Admin)
	if err != nil {
		return "", err
	}
	if !exists {
		out, err := p.cli.run(ctx, "admin", "user", "create", "--admin", "--username", Admin,
			"--email", Admin+"@noreply.localhost", "--must-change-password=false",
			"--random-password", "--random-password-length", "40")
		if err != nil {
			return "", err
		}
		p.changed = append(p.changed, "admin account made")
		return quoted(out)
	}
	out, err := p.cli.run(ctx, "admin", "user", "generate-access-token", "--raw",
		"--username", Admin, "--scopes", "all", "--token-name", "recovery-"+secretfile.Random()[:8])
	if err != nil {
		return "", err
	}
	words := strings.Fields(out) // log lines may come before the token
	if len(words) == 0 {
		return "", errors.New("gitea admin user generate-access-token printed no token")
	}
	token := words[len(words)-1]
	password := secretfile.Random()
	p.changed = append(p.changed, "admin password reset")
	return password, WithToken(token).setAccount(ctx, Admin, true, password)
}

// quoted is the password in the line that Gitea prints for a new account.
func quoted(output string) (string, error) {
	for line := range strings.Lines(output) {
		if _, rest, found := strings.Cut(line, "random password is '"); found {
			if password := strings.TrimSuffix(strings.TrimRight(rest, "\n"), "'"); password != "" {
				return password, nil
			}
		}
	}
	return "", errors.New("gitea admin user create: no password in what it printed")
}

// setAccount states everything about an account that can be stated. An empty
// password leaves the present one.
func (a API) setAccount(ctx context.Context, name string, admin bool, password string) error {
	settings := map[string]any{
		"login_name": name, "source_id": 0, // required; 0 is Gitea's own accounts
		"active": true, "prohibit_login": false, "must_change_password": false,
		"admin": admin, "restricted": !admin,
		"allow_git_hook": false, "allow_import_local": false, "allow_create_organization": false,
		"max_repo_creation": 0,
	}
	if admin {
		settings["allow_create_organization"] = true
		settings["max_repo_creation"] = -1
	}
	if password != "" {
		settings["password"] = password
	}
	return a.Do(ctx, http.MethodPatch, "admin/users/"+name, settings, nil)
}

// ensureBot makes the controller's account: restricted, so that it sees only
// what it was given, and unable to make anything of its own.
func (p *provisioner) ensureBot(ctx context.Context) error {
	password, err := secretfile.Ensure(p.bed.Path(FileBotPassword), secretfile.Random)
	if err != nil {
		return err
	}
	var bot account
	err = p.api.Get(ctx, "users/"+Bot, &bot)
	switch {
	case Is(err, http.StatusNotFound):
		err = p.api.Do(ctx, http.MethodPost, "admin/users", map[string]any{
			"username": Bot, "email": Bot + "@noreply.localhost", "full_name": "Flywheel",
			"password": password, "must_change_password": false, "restricted": true,
		}, nil)
		p.changed = append(p.changed, "bot account made")
	case err == nil && (bot.IsAdmin || !bot.Restricted):
		p.changed = append(p.changed, "bot account restricted again")
	}
	if err != nil {
		return err
	}
	set := ""
	err = WithPassword(Bot, password).Get(ctx, "user", nil)
	if Is(err, http.StatusUnauthorized) {
		set = password
		p.changed = append(p.changed, "bot password reset")
	}
	// Any other refusal is repaired by stating the account anew, next: whether it
	// may log in, for instance, can't be read.
	return p.api.setAccount(ctx, Bot, false, set)
}

// accessToken is a token as its owner sees it.
type accessToken struct {
	ID     int64    `json:"id"`
	Name   string   `json:"name"`
	Value  string   `json:"sha1"` // only in the answer that made it
	Last   string   `json:"token_last_eight"`
	Scopes []string `json:"scopes"`
}

// ensureToken makes file hold a token of user with exactly these scopes, and
// that token the only one the account has: one that was lost is one that
// somebody may have found.
func (p *provisioner) ensureToken(ctx context.Context, user, password, file string, scopes []string) (string, error) {
	const name = "flywheel"
	owner, path := WithPassword(user, password), "users/"+user+"/tokens"
	value, err := secretfile.Read(p.bed.Path(file))
	if err != nil {
		return "", err
	}
	var tokens []accessToken
	if err := owner.Get(ctx, path+"?limit=50", &tokens); err != nil {
		return "", err
	}
	good := false
	for _, token := range tokens {
		slices.Sort(token.Scopes)
		if value != "" && strings.HasSuffix(value, token.Last) && slices.Equal(token.Scopes, scopes) &&
			WithToken(value).Get(ctx, "user", nil) == nil {
			good = true
			continue
		}
		if err := owner.Do(ctx, http.MethodDelete, fmt.Sprintf("%s/%d", path, token.ID), nil, nil); err != nil {
			return "", err
		}
	}
	if good {
		return value, nil
	}
	var made accessToken
	err = owner.Do(ctx, http.MethodPost, path, map[string]any{"name": name, "scopes": scopes}, &made)
	if err != nil {
		return "", err
	}
	p.changed = append(p.changed, "token for "+user+" made")
	return made.Value, secretfile.Write(p.bed.Path(file), made.Value)
}
