package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/cluster"
	"flywheel.prim.sh/e2e/testbed/internal/dns"
	"flywheel.prim.sh/e2e/testbed/internal/doubles"
	"flywheel.prim.sh/e2e/testbed/internal/edge"
	"flywheel.prim.sh/e2e/testbed/internal/forge"
	"flywheel.prim.sh/e2e/testbed/internal/netns"
	"flywheel.prim.sh/e2e/testbed/internal/payments"
)

// variable is one line of `testbed env`.
type variable struct{ name, value string }

// env prints export lines for whatever exists in the bed's mode.
func env(ctx context.Context, b *bed.Bed, _ []string) error {
	if b.Mode == bed.Kubeconfig {
		if err := contextAnswers(ctx); err != nil {
			return err
		}
	} else if _, err := os.Stat(cluster.KubeconfigPath(b)); err != nil {
		return fmt.Errorf("this test bed is not up: run `testbed up` (make up) with CLUSTER=%s", b.Mode)
	}
	for _, v := range variables(b, os.Getenv) {
		fmt.Printf("export %s=%s\n", v.name, quote(v.value))
	}
	return nil
}

func variables(b *bed.Bed, getenv func(string) string) []variable {
	all := []variable{{"CLUSTER", string(b.Mode)}, {"FLYWHEEL_CACHE", b.Cache}}
	if b.Mode == bed.Kubeconfig {
		if files := getenv("KUBECONFIG"); files != "" {
			all = append(all, variable{"KUBECONFIG", files})
		}
		return all
	}
	all = append(all,
		// What bed.New reads: the directory of this mode lies in it.
		variable{"FLYWHEEL_STATE", filepath.Dir(b.State)},
		variable{"KUBECONFIG", cluster.KubeconfigPath(b)},
		variable{"PATH", withFirst(getenv("PATH"), binDir(b))},
		variable{"AUDIT_LOG", cluster.AuditLog(b)},
	)
	if !b.Mode.Servers() {
		return all
	}
	if b.Mode == bed.NoNode {
		// Whoever uses what follows runs inside: nsenter --net=$BED_NETNS.
		all = append(all, variable{"BED_NETNS", netns.OwnPath(b)})
	}
	for _, v := range payments.Bed.Variables(b) {
		all = append(all, variable{v[0], v[1]})
	}
	all = append(all, variable{"MODEL_URL", doubles.ModelURL}, variable{"MODEL_NAME", doubles.ModelName}, variable{"VENDOR_URL", doubles.VendorURL})
	return append(all,
		variable{"FORGE_URL", forge.URL},
		variable{"FORGE_TOKEN_FILE", b.Path(forge.FileAdminToken)},
		variable{"FORGE_BOT_TOKEN_FILE", b.Path(forge.FileBotToken)},
		variable{"FORGE_WEBHOOK_SECRET_FILE", b.Path(forge.FileWebhookSecret)},
		variable{"DNS_SERVER", dns.Server},
		variable{"DNS_ZONE", bed.Zone},
		variable{"DNS_TSIG_FILE", b.Path(dns.FileKey)},
		variable{"EDGE_ADDRESS", bed.EdgeIP},
		variable{"EDGE_CA_FILE", b.Path(edge.FileCA)},
		variable{"EDGE_ADMIN_URL", edge.AdminURL},
		variable{"EDGE_ADMIN_CA_FILE", b.Path(edge.FileAdminCA)},
		variable{"EDGE_ADMIN_CERT_FILE", b.Path(edge.FileClientCert)},
		variable{"EDGE_ADMIN_KEY_FILE", b.Path(edge.FileClientKey)},
	)
}

// withFirst puts dir at the front of a search path, once.
func withFirst(path, dir string) string {
	kept := []string{dir}
	for _, d := range filepath.SplitList(path) {
		if d != dir {
			kept = append(kept, d)
		}
	}
	return strings.Join(kept, string(filepath.ListSeparator))
}

// quote writes s so that a POSIX shell reads it back unchanged.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
