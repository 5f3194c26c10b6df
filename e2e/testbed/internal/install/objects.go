package install

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/dns"
	"flywheel.prim.sh/e2e/testbed/internal/edge"
	"flywheel.prim.sh/e2e/testbed/internal/forge"
	"flywheel.prim.sh/e2e/testbed/internal/image"
	"flywheel.prim.sh/e2e/testbed/internal/kube"
	"flywheel.prim.sh/e2e/testbed/internal/payments"
)

const (
	secretForge = "flywheel-forge"
	secretDNS   = "flywheel-dns"
	secretEdge  = "flywheel-edge"
	// Only scenarios that have a model write documents make it.
	secretModel = "flywheel-model"

	factoryNamespace = "flywheel"
	factoryName      = "prim"
)

// object is one Kubernetes object.
type object map[string]any

// Credentials states the release's namespace, and in it what the Factory needs
// to use the bed's forge, zone and edge.
func Credentials(ctx context.Context, b *bed.Bed, client *kube.Client) error {
	namespace := object{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": object{"name": Namespace, "labels": object{"pod-security.kubernetes.io/enforce": "restricted"}},
	}
	if err := apply(ctx, client, "/api/v1/namespaces/"+Namespace, namespace); err != nil {
		return err
	}
	for _, secret := range []struct {
		name, kind, server string
		keys               map[string]string // key → file below the bed's state
	}{
		{secretForge, "Opaque", strings.TrimSuffix(forge.URL, "/"), map[string]string{"token": forge.FileBotToken, "webhookSecret": forge.FileWebhookSecret}},
		{secretDNS, "Opaque", "dns://" + dns.Server, map[string]string{"keyName": dns.FileName, "algorithm": dns.FileAlgorithm, "secret": dns.FileSecret}},
		{secretEdge, "kubernetes.io/tls", edge.AdminURL, map[string]string{"tls.crt": edge.FileClientCert, "tls.key": edge.FileClientKey}},
	} {
		data := map[string]string{}
		for key, file := range secret.keys {
			content, err := os.ReadFile(b.Path(file))
			if err != nil {
				return err
			}
			data[key] = strings.TrimSpace(string(content))
		}
		stated := object{
			"apiVersion": "v1", "kind": "Secret", "type": secret.kind,
			"metadata": object{
				"name": secret.name, "namespace": Namespace,
				"annotations": object{
					"flywheel.prim.sh/allowed-factories": factoryNamespace + "/" + factoryName,
					"flywheel.prim.sh/allowed-servers":   secret.server,
				},
			},
			"stringData": data,
		}
		if err := apply(ctx, client, "/api/v1/namespaces/"+Namespace+"/secrets/"+secret.name, stated); err != nil {
			return err
		}
	}
	return nil
}

// payTo is who primitives are paid to. Nobody has this address' key.
const payTo = "0x000000000000000000000000000000000000dEaD"

// Factory is the Factory of this bed's forge, zone and edge, as JSON. The address
// book is all it has: the credentials are in Secrets.
func Factory(b *bed.Bed) ([]byte, error) {
	adminCA, err := os.ReadFile(b.Path(edge.FileAdminCA))
	if err != nil {
		return nil, fmt.Errorf("the test bed is not up: %w", err)
	}
	ca, err := os.ReadFile(b.Path(edge.FileCA))
	if err != nil {
		return nil, fmt.Errorf("the test bed is not up: %w", err)
	}
	secret := func(name string) object { return object{"name": name, "namespace": Namespace} }
	return json.MarshalIndent(object{
		"apiVersion": "flywheel.prim.sh/v1alpha1",
		"kind":       "Factory",
		"metadata":   object{"name": factoryName, "namespace": factoryNamespace},
		"spec": object{
			"repository": object{
				"forge": "Gitea", "url": strings.TrimSuffix(forge.URL, "/"), "owner": forge.Org, "name": forge.Repo,
				"credentials": secret(secretForge),
			},
			// A commit of its own after each merge: the journeys count what primitives do.
			"policy": object{"aggregates": false},
			"dns": object{
				"zone": bed.Zone, "ownerId": "prim", "provider": "Rfc2136",
				"rfc2136": object{"server": dns.Server, "credentials": secret(secretDNS)},
			},
			"deploy": object{
				"edge": object{
					"adminUrl": edge.AdminURL, "adminServerName": edge.AdminName, "adminCaBundle": string(adminCA),
					"credentials": secret(secretEdge), "address": bed.EdgeIP, "caBundle": string(ca),
				},
				"image": image.Latest(image.Runtime),
				// Where and to whom primitives are paid, under the names that documents use,
				// and who settles it.
				"env": object{
					"X402_NETWORK": payments.Network, "X402_PAY_TO": payTo, "X402_FACILITATOR_URL": payments.Bed.FacilitatorURL(),
					"PRIM_NETWORK": payments.Network, "PRIM_PAY_TO": payTo, "REVENUE_WALLET": payTo,
				},
			},
		},
	}, "", "  ")
}

func apply(ctx context.Context, client *kube.Client, path string, o object) error {
	content, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return client.Apply(ctx, path, content)
}
