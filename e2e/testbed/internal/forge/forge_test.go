package forge

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

func TestConfigHoldsNoSecretAndNamesEveryDirectoryBelowTheState(t *testing.T) {
	b := &bed.Bed{Mode: bed.Full, State: "/state", Cache: "/cache"}
	config, err := renderConfig(b, "/cache/share/gitea-static", "root")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"HTTP_ADDR = 10.203.77.3\n",
		"ROOT_URL = http://10.203.77.3:3000/\n",
		"SECRET_KEY_URI = file:/state/forge/secret-key\n",
		"ALLOWED_HOST_LIST = 10.244.0.0/24,10.96.0.0/16,10.203.77.2/32\n",
		"FILE_NAME = /state/logs/forge-access.log\n",
		"I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true\n",
	} {
		if !strings.Contains(string(config), want) {
			t.Errorf("app.ini lacks %q", want)
		}
	}
	config, err = renderConfig(b, "/cache/share/gitea-static", "someone")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(config), "UNSAFE") {
		t.Error("app.ini allows root although another user runs it")
	}
}

func TestSameFilesMakeTheSameCommit(t *testing.T) {
	commit := func() string {
		dir := t.TempDir()
		files := filepath.Join(dir, "files")
		for name, content := range map[string]string{
			"package.json": "{}\n", ".gitignore": "dist/\n",
			"dist/built.js": "no\n", "node_modules/x/index.js": "no\n", "kit/index.ts": "\n",
		} {
			path := filepath.Join(files, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s := seed{git: filepath.Join(dir, "git"), files: files}
		if err := s.commit(context.Background()); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("git", "--git-dir="+s.git, "log", "--format=%H", "--name-only").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	first := commit()
	if second := commit(); first != second {
		t.Errorf("two commits of the same files differ:\n%s\n%s", first, second)
	}
	if !strings.HasSuffix(first, "\n\n.gitignore\nkit/index.ts\npackage.json\n") {
		t.Errorf("the commit holds:\n%s", first)
	}
}

func TestEmptyTemplateIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := seed{git: filepath.Join(t.TempDir(), "git"), files: dir}
	if err := s.commit(context.Background()); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("got %v", err)
	}
}

func TestMatchesComparesAsJSON(t *testing.T) {
	want := map[string]any{"on": true, "count": 0, "names": []any{"a"}, "none": []any{}}
	have := map[string]any{"on": true, "count": float64(0), "names": []any{"a"}, "none": nil, "more": 1}
	if !matches(have, want) {
		t.Error("equal settings do not match")
	}
	for key, other := range map[string]any{"on": false, "count": float64(1), "names": []any{"a", "b"}, "none": []any{"x"}} {
		old := have[key]
		have[key] = other
		if matches(have, want) {
			t.Errorf("matches although %s differs", key)
		}
		have[key] = old
	}
}

func TestHookIsGoodOnlyAsAWhole(t *testing.T) {
	whole := func() hook {
		h := hook{Name: hookName("s"), Active: true, Events: append([]string{"pull_request_sync"}, Events...)}
		h.Config.URL, h.Config.ContentType = WebhookURL, "json"
		return h
	}
	if !whole().good(hookName("s")) {
		t.Fatal("a whole hook is not good")
	}
	for name, spoil := range map[string]func(*hook){
		"inactive":      func(h *hook) { h.Active = false },
		"other secret":  func(h *hook) { h.Name = hookName("t") },
		"form encoded":  func(h *hook) { h.Config.ContentType = "form" },
		"event missing": func(h *hook) { h.Events = h.Events[:len(h.Events)-1] },
	} {
		h := whole()
		spoil(&h)
		if h.good(hookName("s")) {
			t.Errorf("good although %s", name)
		}
	}
}

func TestQuotedPassword(t *testing.T) {
	const out = "2026/01/01 some log line\ngenerated random password is 'a'b'\nNew user 'x' has been successfully created!\n"
	if got, err := quoted(out); got != "a'b" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := quoted("New user\n"); err == nil {
		t.Error("no password and no error")
	}
}
