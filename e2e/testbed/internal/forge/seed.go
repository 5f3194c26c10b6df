package forge

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// templateDir is the directory, in the checkout, of the files that a new factory
// repository starts with.
const templateDir = "src/scaffold/factory"

// ensureSeed gives an empty repository its first commit. A repository that has
// a base branch is never touched: what is in it is the factory's truth.
func (p *provisioner) ensureSeed(ctx context.Context) error {
	seeded, err := p.seeded(ctx)
	if err != nil || seeded {
		return err
	}
	dir, err := os.MkdirTemp("", "flywheel-seed-")
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	defer os.RemoveAll(dir)
	seed := seed{git: filepath.Join(dir, "git"), files: filepath.Join(p.bed.Repo, filepath.FromSlash(templateDir))}
	if err := seed.commit(ctx); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if err := seed.push(ctx, p.api.token); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	p.changed = append(p.changed, "repository seeded")
	return p.waitSeeded(ctx)
}

// seeded reports whether the repository has its base branch. It asks for the
// branch only once there is any: Gitea 1.26 answers 500 when asked for a branch
// of an empty repository.
func (p *provisioner) seeded(ctx context.Context) (bool, error) {
	var repo struct {
		Empty bool `json:"empty"`
	}
	if err := p.api.Get(ctx, repoPath, &repo); err != nil || repo.Empty {
		return false, err
	}
	return p.api.Exists(ctx, repoPath+"/branches/"+Branch)
}

// waitSeeded waits until the forge knows of the push: it takes note of one in
// some moments after git was told that it arrived.
func (p *provisioner) waitSeeded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		if seeded, err := p.seeded(ctx); err != nil || seeded {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the forge does not show branch %s 15 s after the push", Branch)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// seed is a commit of a directory's files, made in a git directory elsewhere so
// that the checkout's own is left alone.
type seed struct{ git, files string }

// commit makes the one commit. Author, date and message are fixed: the same
// files make the same commit on every machine.
func (s seed) commit(ctx context.Context) error {
	if entries, err := os.ReadDir(s.files); err != nil {
		return fmt.Errorf("the factory's template: %w", err)
	} else if len(entries) == 0 {
		return fmt.Errorf("the factory's template %s is empty", s.files)
	}
	// An empty template directory leaves the machine's hooks and excludes out.
	if err := s.run(ctx, nil, "init", "--quiet", "--template=", "--initial-branch="+Branch); err != nil {
		return err
	}
	exclude := filepath.Join(s.git, "info", "exclude")
	if err := os.MkdirAll(filepath.Dir(exclude), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(exclude, []byte("node_modules/\n"), 0o644); err != nil {
		return err
	}
	if err := s.run(ctx, nil, "add", "--all"); err != nil {
		return err
	}
	const who, mail, when = "Flywheel", "flywheel@noreply.localhost", "2026-01-01T00:00:00Z"
	identity := []string{
		"GIT_AUTHOR_NAME=" + who, "GIT_AUTHOR_EMAIL=" + mail, "GIT_AUTHOR_DATE=" + when,
		"GIT_COMMITTER_NAME=" + who, "GIT_COMMITTER_EMAIL=" + mail, "GIT_COMMITTER_DATE=" + when,
	}
	return s.run(ctx, identity, "commit", "--quiet", "--message=Start the factory repository")
}

// push sends the commit to the forge. The token goes through the environment,
// which only this user can read.
func (s seed) push(ctx context.Context, token string) error {
	auth := []string{
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=http.extraHeader",
		"GIT_CONFIG_VALUE_0=Authorization: token " + token,
	}
	return s.run(ctx, auth, "push", "--quiet", URL+Org+"/"+Repo+".git", "HEAD:refs/heads/"+Branch)
}

func (s seed) run(ctx context.Context, env []string, args ...string) error {
	command := exec.CommandContext(ctx, "git", append([]string{"--git-dir=" + s.git, "--work-tree=" + s.files}, args...)...)
	command.Dir = s.files
	// None of the user's configuration: it may sign commits, rewrite line ends,
	// ask for a password or go through a proxy.
	command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(s.git), "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
	}, env...)
	out, err := command.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return err
}
