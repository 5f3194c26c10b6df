// Package edge runs the test bed's edge, a real Caddy: the one address where
// the zone's names are served over TLS, with certificates of a CA of its own.
// Which host goes where is the controller's to say, through Caddy's admin API.
//
// # The admin API
//
// It is served at AdminURL with mutual TLS. The client shows FileClientCert with
// FileClientKey and trusts FileAdminCA, which is not the CA of the served names.
// The server's certificates are for AdminName and for the address, so either
// works as the server name (SNI; with the address there is none). Without a
// client certificate, or with another one, the handshake fails. Other paths than
// those below answer 403.
//
// The list is what the object RoutesID, a subroute, has as its "routes". One entry
// of it:
//
//	{"@id": "route-<owner>-<prim>",
//	 "match": [{"host": ["<id>.prim.sh"]}],
//	 "handle": [{"handler": "reverse_proxy",
//	             "upstreams": [{"dial": "<cluster IP>:<port>"}]}],
//	 "terminal": true}
//
// The calls, all with Content-Type application/json:
//
//	GET    /id/flywheel-routes          the object with the list in it
//	GET    /id/flywheel-routes/routes   the list
//	PATCH  /id/flywheel-routes/routes   replaces the list
//	POST   /id/flywheel-routes/routes   appends an entry
//	GET    /id/route-x                  one entry; 404 when there is none
//	PATCH  /id/route-x                  replaces it
//	DELETE /id/route-x                  removes it; 404 when there is none
//
// The simplest safe way is declarative: GET the list, compute the whole of it,
// and PATCH it with If-Match when it differs. That is also one reload for any
// number of changes. Caddy keeps the list over restarts.
//
// What to know of Caddy 2.6.2:
//
//   - POST always appends, and nothing refuses an "@id" or a host that is there
//     already. Of two entries with one id, /id finds either. So read before.
//   - PATCH with an entry that lacks its "@id" succeeds, and the id is gone.
//     PUT on an entry inserts one more before it.
//   - /id is resolved to a place in the list before the list is locked: between
//     two writers a change may hit a neighbour. One writer, one call at a time,
//     or If-Match.
//   - If-Match works, on writes: 412 when the list moved on. GET sends the Etag
//     as a trailer, which many clients don't show, but it can be computed:
//     `"<path> <hash>"` with the quotes, where path is RoutesPath (not the /id
//     form) and hash is the FNV-1a 32 of the body's bytes in hexadecimal.
//   - A list or entry that Caddy can't load answers 500, with the reason in
//     "error", and changes nothing. 500 is no reason to try the same again.
//   - An index beyond the list's end answers 400 to GET and 500 to DELETE.
//   - DELETE of the whole list leaves null, on which PATCH answers 500; PUT []
//     makes a list of it again. Rather PATCH the list to [].
//   - Each change reloads Caddy, 10 to 20 ms, and replaces its sockets, the admin
//     API's too. A client should not keep the connection for the next change.
package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

const (
	// Address serves the names over HTTPS.
	Address = bed.EdgeIP + ":443"
	// AdminURL is the admin API.
	AdminURL = "https://" + bed.EdgeIP + ":2021"
	// AdminName is a name in the admin API's certificate.
	AdminName = "edge." + bed.Zone
	// RoutesID is the "@id" of the object whose "routes" are the controller's.
	RoutesID = "flywheel-routes"
	// RoutesPath is where the list is in the configuration.
	RoutesPath = objectPath + "/routes"

	objectPath = "/config/apps/http/servers/flywheel/routes/0/handle/0"
)

// Files of the part below the bed's state directory, all PEM.
const (
	// FileCA is the CA of the served names.
	FileCA = "edge/ca.crt"
	// FileAdminCA is the CA of the admin API's certificate.
	FileAdminCA = "edge/admin-ca.crt"
	// FileClientCert and FileClientKey are what the admin API's client shows.
	FileClientCert = "edge/admin-client.crt"
	FileClientKey  = "edge/admin-client.key"
)

// Ensure runs the edge. The note says what it had to do.
func Ensure(ctx context.Context, b *bed.Bed) (note string, err error) {
	client, err := ensureClientCert(b)
	if err != nil {
		return "", fmt.Errorf("edge: %w", err)
	}
	base, note, err := prepareConfig(b, client)
	if err != nil {
		return "", fmt.Errorf("edge: %w", err)
	}
	if err := keepConnections(ctx, b); err != nil {
		return "", fmt.Errorf("edge: %w", err)
	}
	spec := proc.Spec{
		Name:   "edge",
		Argv:   []string{"caddy", "run", "--resume"},
		Env:    []string{"XDG_CONFIG_HOME=" + b.Path("edge", "config"), "XDG_DATA_HOME=" + b.Path("edge", "data")},
		Dir:    b.Path("edge"),
		Config: []string{base},
		Ready:  func(ctx context.Context) error { return ready(ctx, b) },
	}
	started, err := proc.Ensure(ctx, b, spec)
	if err != nil && ctx.Err() == nil {
		// A certificate that Caddy could not make at its start it makes a minute
		// later, and until then refuses every handshake: a new start is sooner.
		started, err = proc.Ensure(ctx, b, spec)
	}
	if err != nil {
		return "", err
	}
	if started {
		note = strings.TrimSuffix("started, "+note, ", ")
	}
	return note, nil
}

// ready asks the admin API for the routes and the edge for a certificate. It
// also puts the CAs, which Caddy makes at its first start, where others look.
func ready(ctx context.Context, b *bed.Bed) error {
	for authority, file := range map[string]string{"local": FileCA, "admin": FileAdminCA} {
		if err := publishCA(b, authority, file); err != nil {
			return err
		}
	}
	admin, err := NewAdmin(b)
	if err != nil {
		return err
	}
	if _, err := admin.Routes(ctx); err != nil {
		return err
	}
	roots, err := readPool(b.Path(FileCA))
	if err != nil {
		return err
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: AdminName}}
	conn, err := dialer.DialContext(ctx, "tcp", Address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// keepConnections makes the kernel hand connections that nobody accepted yet to
// the new socket when a reload closes the old one. Without it each reload resets
// some: here 21 of 2546 requests during 500 reloads, with it none.
func keepConnections(ctx context.Context, b *bed.Bed) error {
	const setting = "/proc/sys/net/ipv4/tcp_migrate_req" // the namespace's own
	out, err := proc.Command(ctx, b, "sh", "-c", "echo 1 > "+setting).CombinedOutput()
	if err != nil {
		return fmt.Errorf("set %s: %w: %s", setting, err, out)
	}
	return nil
}

// publishCA copies the root certificate of one of Caddy's CAs to file.
func publishCA(b *bed.Bed, authority, file string) error {
	root, err := os.ReadFile(b.Path("edge", "data", "caddy", "pki", "authorities", authority, "root.crt"))
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(b.Path(file)); err == nil && string(have) == string(root) {
		return nil
	}
	partial := b.Path(file) + ".new"
	if err := os.WriteFile(partial, root, 0o644); err != nil {
		return err
	}
	return os.Rename(partial, b.Path(file))
}

func readPool(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New(filepath.Base(path) + " holds no certificate")
	}
	return pool, nil
}
