// Command external-dns is one sync of external-dns over RFC 2136: its provider,
// its TXT registry and its planner, around one wanted record instead of a
// cluster's Services. It shows how external-dns reads and treats records that
// Flywheel made, and makes one of its own where asked to.
//
//	external-dns -server ADDR:PORT -zone ZONE -owner ID -name NAME [-target IP] [-apply]
//
// The TSIG secret comes on standard input. Printed is what it took for owner and
// resource of the name, and what it would change, as JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"sigs.k8s.io/external-dns/endpoint"
	"sigs.k8s.io/external-dns/pkg/apis/externaldns"
	"sigs.k8s.io/external-dns/plan"
	"sigs.k8s.io/external-dns/provider/rfc2136"
	"sigs.k8s.io/external-dns/registry/txt"
)

// seen is what a sync made of the name.
type seen struct {
	Owner    string   `json:"owner"`
	Resource string   `json:"resource"`
	Targets  []string `json:"targets"`
	Create   int      `json:"create"`
	Update   int      `json:"update"`
	Delete   int      `json:"delete"`
}

func main() {
	server := flag.String("server", "", "address and port of the name server")
	zone := flag.String("zone", "", "zone")
	key := flag.String("key", "flywheel", "name of the TSIG key")
	owner := flag.String("owner", "", "owner id that this sync acts for")
	name := flag.String("name", "", "name that the sync is about")
	target := flag.String("target", "", "address that is wanted; none wants no record")
	apply := flag.Bool("apply", false, "make the changes")
	flag.Parse()
	result, err := sync(context.Background(), *server, *zone, *key, *owner, *name, *target, *apply)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "external-dns:", err)
		os.Exit(1)
	}
}

func sync(ctx context.Context, server, zone, key, owner, name, target string, apply bool) (*seen, error) {
	secret, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return nil, err
	}
	filter := endpoint.NewDomainFilter([]string{name})
	config := externaldns.NewConfig()
	config.RFC2136Host, config.RFC2136Zone = []string{host}, []string{zone}
	if config.RFC2136Port, err = strconv.Atoi(port); err != nil {
		return nil, err
	}
	config.RFC2136TSIGKeyName, config.RFC2136TSIGSecret = key, strings.TrimSpace(string(secret))
	config.RFC2136TSIGSecretAlg, config.RFC2136TAXFR = "hmac-sha256", true
	config.RFC2136BatchChangeSize = 50
	config.TXTOwnerID = owner
	config.ManagedDNSRecordTypes = []string{endpoint.RecordTypeA, endpoint.RecordTypeAAAA, endpoint.RecordTypeCNAME}
	// The record of a name's mark is beside it in the zone.
	provider, err := rfc2136.New(ctx, config, endpoint.NewDomainFilter([]string{zone}))
	if err != nil {
		return nil, err
	}
	registry, err := txt.New(config, provider)
	if err != nil {
		return nil, err
	}
	current, err := registry.Records(ctx)
	if err != nil {
		return nil, err
	}
	result := &seen{}
	for _, record := range current {
		if record.DNSName == name && record.RecordType == endpoint.RecordTypeA {
			result.Owner = record.Labels[endpoint.OwnerLabelKey]
			result.Resource = record.Labels[endpoint.ResourceLabelKey]
			result.Targets = record.Targets
		}
	}
	var desired []*endpoint.Endpoint
	if target != "" {
		wanted := endpoint.NewEndpointWithTTL(name, endpoint.RecordTypeA, 60, target)
		wanted.Labels[endpoint.ResourceLabelKey] = "service/shop/front"
		if desired, err = registry.AdjustEndpoints([]*endpoint.Endpoint{wanted}); err != nil {
			return nil, err
		}
	}
	planned := (&plan.Plan{
		Policies:       []plan.Policy{plan.Policies["sync"]},
		Current:        current,
		Desired:        desired,
		DomainFilter:   endpoint.MatchAllDomainFilters{filter},
		ManagedRecords: config.ManagedDNSRecordTypes,
		OwnerID:        registry.OwnerID(),
	}).Calculate()
	result.Create, result.Update, result.Delete = len(planned.Changes.Create), len(planned.Changes.UpdateNew), len(planned.Changes.Delete)
	if apply && planned.Changes.HasChanges() {
		return result, registry.ApplyChanges(ctx, planned.Changes)
	}
	return result, nil
}
