// Package dns runs the test bed's name server, a real BIND 9, authoritative for
// the one zone: it answers nothing else, and only a holder of the TSIG key
// changes the zone (RFC 2136) or copies it (AXFR). CoreDNS forwards the zone
// here, so pods see the names too.
package dns

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

// The TSIG key's name and algorithm, as RFC 8945 spells them.
const (
	KeyName      = "flywheel."
	KeyAlgorithm = "hmac-sha256"
	// ObserverName is a second key, which may read the whole zone and change
	// nothing.
	ObserverName = "observer."
)

// Server is where the zone is served, over UDP and TCP.
const Server = bed.DNSIP + ":53"

// Files of the part below the bed's state directory. FileKey is in BIND's
// format, as nsupdate and dig take it by -k; the others hold one value each.
const (
	FileKey       = "dns/tsig.key"
	FileName      = "dns/tsig-name"
	FileAlgorithm = "dns/tsig-algorithm"
	FileSecret    = "dns/tsig-secret"
	FileZone      = "dns/zone"

	FileObserverKey    = "dns/observer.key"
	FileObserverSecret = "dns/observer-secret"
)

// Its own user (-u) would be of no use: named resolves its files to absolute
// paths, and the state may lie in root's home, where no other user can go. Once
// it listens, named drops every capability but the one for its port anyway.
var namedConf = template.Must(template.New("named.conf").Parse(`include "{{.Dir}}/tsig.key";
include "{{.Dir}}/observer.key";

options {
	directory "{{.Dir}}";
	pid-file none;
	lock-file none;
	session-keyfile "{{.Dir}}/session.key";
	listen-on port 53 { {{.IP}}; };
	listen-on-v6 { none; };
	recursion no;
	dnssec-validation no;
	empty-zones-enable no;
	notify no;
	allow-transfer { none; };
	minimal-responses yes;
	version none;
	hostname none;
};

// No rndc: this server is changed by its configuration and by updates alone.
controls { };

zone "{{.Zone}}" {
	type primary;
	file "{{.Dir}}/{{.Zone}}.zone";
	allow-transfer { key "{{.Key}}"; key "{{.Observer}}"; };
	update-policy {
		// The server's own name and the edge's are not the controller's to change.
		deny {{.Key}} name ns1.{{.Zone}}. ANY;
		deny {{.Key}} name edge.{{.Zone}}. ANY;
		grant {{.Key}} zonesub A AAAA TXT CNAME;
	};
	max-journal-size 16m;
};
`))

// The zone before anybody changed it. Its times are short: a name that was just
// made must be seen soon, also by those who asked for it too early.
var zoneFile = template.Must(template.New("zone").Parse(`$ORIGIN {{.Zone}}.
$TTL 60
@	IN SOA	ns1.{{.Zone}}. hostmaster.{{.Zone}}. 1 3600 600 86400 5
@	IN NS	ns1.{{.Zone}}.
ns1	IN A	{{.IP}}
edge	IN A	{{.Edge}}
`))

// keyFile is a key in BIND's format.
func keyFile(name, secret string) string {
	return fmt.Sprintf("key %q {\n\talgorithm %s;\n\tsecret %q;\n};\n", name, KeyAlgorithm, secret)
}

// Ensure runs the name server. The note says what it had to do.
func Ensure(ctx context.Context, b *bed.Bed) (note string, err error) {
	if err := writeFiles(b); err != nil {
		return "", fmt.Errorf("dns: %w", err)
	}
	named, err := ensureNamed(b)
	if err != nil {
		return "", fmt.Errorf("dns: %w", err)
	}
	config := b.Path("dns", "named.conf")
	started, err := proc.Ensure(ctx, b, proc.Spec{
		Name: "dns",
		// -g stays in the foreground and logs to standard error, -n 1 is one thread.
		Argv:   []string{named, "-g", "-n", "1", "-c", config},
		Dir:    b.Path("dns"),
		Config: []string{config, b.Path(FileKey), b.Path(FileObserverKey)},
		Ready:  func(ctx context.Context) error { return querySOA(ctx, Server, bed.Zone) },
	})
	if err != nil {
		return "", err
	}
	if started {
		note = "started"
	}
	return note, nil
}

// values are what the templates name.
func values(b *bed.Bed) map[string]string {
	return map[string]string{
		"Dir": b.Path("dns"), "IP": bed.DNSIP, "Zone": bed.Zone, "Edge": bed.EdgeIP,
		"Key": KeyName, "Observer": ObserverName,
	}
}

// writeFiles writes keys, configuration and, when there is none, the zone.
func writeFiles(b *bed.Bed) error {
	for _, key := range []struct{ name, file, secret string }{
		{KeyName, FileKey, FileSecret}, {ObserverName, FileObserverKey, FileObserverSecret},
	} {
		secret, err := secretfile.Ensure(b.Path(key.secret), func() string {
			return base64.StdEncoding.EncodeToString(secretfile.Bytes(32))
		})
		if err != nil {
			return err
		}
		if err := secretfile.Write(b.Path(key.file), keyFile(key.name, secret)); err != nil {
			return err
		}
	}
	for file, value := range map[string]string{FileName: KeyName, FileAlgorithm: KeyAlgorithm, FileZone: bed.Zone} {
		if err := secretfile.Write(b.Path(file), value); err != nil {
			return err
		}
	}
	data := values(b)
	var config, zone bytes.Buffer
	if err := errors.Join(namedConf.Execute(&config, data), zoneFile.Execute(&zone, data)); err != nil {
		return err
	}
	if err := os.WriteFile(b.Path("dns", "named.conf"), config.Bytes(), 0o644); err != nil {
		return err
	}
	// BIND owns the zone's file from here on: it writes updates to a journal
	// beside it, replays that after a crash, and folds it in from time to time.
	f, err := os.OpenFile(b.Path("dns", bed.Zone+".zone"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(zone.Bytes())
	return errors.Join(err, f.Close())
}

// ensureNamed copies named into the state directory. AppArmor's profile, where
// Debian loads it, goes by the path /usr/sbin/named and confines that program to
// /etc/bind and /var; the copy may read and write the bed's state.
func ensureNamed(b *bed.Bed) (string, error) {
	system, err := lookNamed()
	if err != nil {
		return "", err
	}
	program, err := os.ReadFile(system)
	if err != nil {
		return "", err
	}
	path := b.Path("dns", "named")
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, program) {
		return path, nil
	}
	// Renaming, not writing: the old one may be running.
	if err := os.WriteFile(path+".new", program, 0o755); err != nil {
		return "", err
	}
	return path, os.Rename(path+".new", path)
}

// lookNamed finds named also where sbin is not on the user's path.
func lookNamed() (string, error) {
	if path, err := exec.LookPath("named"); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, "named")); err == nil {
			return path, nil
		}
	}
	return "", errors.New("BIND's named is missing: install the package bind9")
}
