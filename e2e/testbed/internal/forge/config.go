package forge

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

// appIni is Gitea's configuration. Its secrets are files that it names: Gitea
// writes those that are missing into app.ini itself, and then the file would
// never be what was rendered.
var appIni = template.Must(template.New("app.ini").Parse(`APP_NAME = Flywheel test forge
RUN_USER = {{.User}}
RUN_MODE = prod
WORK_PATH = {{.Dir}}
{{- if eq .User "root"}}
; The bed's namespace needs root, and its state may lie in root's home, where no
; other user can go. Nothing outside the namespace reaches this forge.
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
{{- end}}

[server]
PROTOCOL = http
HTTP_ADDR = {{.IP}}
HTTP_PORT = 3000
DOMAIN = {{.IP}}
ROOT_URL = {{.URL}}
LOCAL_ROOT_URL = {{.URL}}
DISABLE_SSH = true
LFS_START_SERVER = false
OFFLINE_MODE = true
STATIC_ROOT_PATH = {{.Static}}
APP_DATA_PATH = {{.Dir}}/data

[database]
DB_TYPE = sqlite3
PATH = {{.Dir}}/gitea.db
SQLITE_JOURNAL_MODE = WAL

[security]
INSTALL_LOCK = true
SECRET_KEY_URI = file:{{.Dir}}/secret-key
INTERNAL_TOKEN_URI = file:{{.Dir}}/internal-token
PASSWORD_COMPLEXITY = off

[oauth2]
ENABLED = false
JWT_SECRET_URI = file:{{.Dir}}/jwt-secret

[service]
DISABLE_REGISTRATION = true
DEFAULT_ALLOW_CREATE_ORGANIZATION = false
ENABLE_NOTIFY_MAIL = false

[openid]
ENABLE_OPENID_SIGNIN = false
ENABLE_OPENID_SIGNUP = false

[mailer]
ENABLED = false

[repository]
ROOT = {{.Dir}}/repositories
DEFAULT_BRANCH = main

[webhook]
; Pods, services and the node: the controller, wherever it runs.
ALLOWED_HOST_LIST = {{.Hooks}}
DELIVER_TIMEOUT = 5

[actions]
; Switched on per repository, where there is a runner.
ENABLED = true

[packages]
ENABLED = false

[indexer]
ISSUE_INDEXER_TYPE = db

[picture]
DISABLE_GRAVATAR = true

[i18n]
LANGS = en-US
NAMES = English

[cron.update_checker]
ENABLED = false

[log]
MODE = console
LEVEL = Info
ROOT_PATH = {{.Logs}}
logger.access.MODE = access-file

[log.console]
COLORIZE = false

[log.access-file]
MODE = file
FILE_NAME = {{.AccessLog}}
; One file, so that whoever counts the calls to the forge finds all of them.
LOG_ROTATE = false
`))

// renderConfig is app.ini for a bed.
func renderConfig(b *bed.Bed, static, user string) ([]byte, error) {
	var out bytes.Buffer
	err := appIni.Execute(&out, map[string]string{
		"User":      user,
		"Dir":       b.Path("forge"),
		"Logs":      b.Path("logs"),
		"AccessLog": b.Path(AccessLog),
		"IP":        bed.ForgeIP,
		"URL":       URL,
		"Static":    static,
		"Hooks":     fmt.Sprintf("%s,%s,%s/32", bed.PodCIDR, bed.ServiceCIDR, bed.NodeIP),
	})
	return out.Bytes(), err
}

// writeConfig writes app.ini and the secrets it names, and returns its path.
func writeConfig(b *bed.Bed, static, user string) (string, error) {
	for _, secret := range []struct {
		name     string
		generate func() string
	}{
		{"secret-key", secretfile.Random},
		{"internal-token", secretfile.Random},
		{"jwt-secret", func() string { return base64.RawURLEncoding.EncodeToString(secretfile.Bytes(32)) }},
	} {
		if _, err := secretfile.Ensure(b.Path("forge", secret.name), secret.generate); err != nil {
			return "", err
		}
	}
	config, err := renderConfig(b, static, user)
	if err != nil {
		return "", fmt.Errorf("forge: render app.ini: %w", err)
	}
	path := b.Path("forge", "app.ini")
	if err := os.MkdirAll(filepath.Dir(b.Path(AccessLog)), 0o755); err != nil {
		return "", fmt.Errorf("forge: %w", err)
	}
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return "", fmt.Errorf("forge: %w", err)
	}
	return path, nil
}
