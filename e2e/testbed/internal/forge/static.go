package forge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

// Prepare does what needs the outer network, where Ensure has none.
func Prepare(ctx context.Context, b *bed.Bed) error {
	if _, err := Build(ctx, b); err != nil {
		return err
	}
	_, err := ensureStatic(ctx, b)
	return err
}

// ensureStatic returns a directory with the templates and locales that Gitea
// reads at run time. Gitea's module carries them beside its sources; they are
// copied once per version, because Go's module cache may be cleaned while the
// built binary is still good.
func ensureStatic(ctx context.Context, b *bed.Bed) (string, error) {
	module := filepath.Join(b.Repo, "e2e", "forge")
	goMod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("forge: %w", err)
	}
	sum := sha256.Sum256(goMod)
	const prefix = "gitea-static-"
	share := filepath.Join(b.Cache, "share")
	path := filepath.Join(share, prefix+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}

	source, err := moduleDir(ctx, module)
	if err != nil {
		return "", fmt.Errorf("forge: find Gitea's module: %w", err)
	}
	if err := os.MkdirAll(share, 0o755); err != nil {
		return "", fmt.Errorf("forge: %w", err)
	}
	// A copy that was cut short must not pass for a whole one: it gets its name
	// only at the end.
	partial, err := os.MkdirTemp(share, prefix+"partial-")
	if err != nil {
		return "", fmt.Errorf("forge: %w", err)
	}
	for _, dir := range []string{"options", "templates"} {
		if err := os.CopyFS(filepath.Join(partial, dir), os.DirFS(filepath.Join(source, dir))); err != nil {
			return "", fmt.Errorf("forge: copy Gitea's %s: %w", dir, err)
		}
	}
	old, err := filepath.Glob(filepath.Join(share, prefix+"*"))
	if err != nil {
		return "", fmt.Errorf("forge: %w", err)
	}
	for _, dir := range old {
		if dir != partial {
			if err := os.RemoveAll(dir); err != nil {
				return "", fmt.Errorf("forge: remove the files of another version: %w", err)
			}
		}
	}
	if err := os.Rename(partial, path); err != nil {
		return "", fmt.Errorf("forge: %w", err)
	}
	return path, nil
}

// moduleDir is where Go keeps the sources of the Gitea that the module in dir
// requires; it downloads them when they are not there.
func moduleDir(ctx context.Context, dir string) (string, error) {
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", "code.gitea.io/gitea")
	command.Dir = dir
	out, err := command.Output()
	var module struct{ Dir, Error string }
	if decoded := json.Unmarshal(out, &module); err == nil {
		err = decoded
	}
	if module.Error != "" {
		err = errors.New(module.Error)
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(failed.Stderr)))
	}
	return module.Dir, err
}
