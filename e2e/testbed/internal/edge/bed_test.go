//go:build bed

package edge

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/bedtest"
)

// These tests have a host of their own, where nothing but the edge runs.
func TestMain(m *testing.M) {
	bedtest.PartMain(m, func(context.Context, *bed.Bed) error { return nil })
}

func setup(t *testing.T) (*bed.Bed, func(*testing.T) string) {
	t.Helper()
	return bedtest.Part(t, Ensure)
}

func newAdmin(t *testing.T, b *bed.Bed) *Admin {
	t.Helper()
	admin, err := NewAdmin(b)
	if err != nil {
		t.Fatal(err)
	}
	return admin
}

// call makes one call of the admin API that must be answered with status.
func call(t *testing.T, a *Admin, method, path string, in any, ifMatch string, status int) string {
	t.Helper()
	got, body, err := a.Do(context.Background(), method, path, in, ifMatch)
	if err != nil {
		t.Fatal(err)
	}
	if got != status {
		t.Errorf("%s %s: status %d, want %d: %s", method, path, got, status, body)
	}
	return string(body)
}

// upstream answers with its name, on an address that the edge can reach.
func upstream(t *testing.T, name string) (dial string) {
	t.Helper()
	listener, err := net.Listen("tcp", bed.HostIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s for %s", name, r.Host)
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().String()
}

func route(id, host, dial string) object {
	return object{
		"@id":      id,
		"match":    []any{object{"host": []any{host}}},
		"handle":   []any{object{"handler": "reverse_proxy", "upstreams": []any{object{"dial": dial}}}},
		"terminal": true,
	}
}

// get asks the edge for a host as its clients do.
func get(t *testing.T, b *bed.Bed, host string) (int, string) {
	t.Helper()
	roots, err := readPool(b.Path(FileCA))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, Address)
		},
	}}
	response, err := client.Get("https://" + host + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// keepRoutes puts the routes back as they were when the test ends.
func keepRoutes(t *testing.T, a *Admin) {
	t.Helper()
	before, err := a.Routes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Replace(context.Background(), before.List, ""); err != nil {
			t.Error(err)
		}
	})
}

func TestOnlyTheClientsCertificateIsLetIn(t *testing.T) {
	b, _ := setup(t)
	roots, err := readPool(b.Path(FileAdminCA))
	if err != nil {
		t.Fatal(err)
	}
	other := &bed.Bed{Mode: bed.Full, State: t.TempDir()}
	if _, err := ensureClientCert(other); err != nil {
		t.Fatal(err)
	}
	wrong, err := tls.LoadX509KeyPair(other.Path(FileClientCert), other.Path(FileClientKey))
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]*tls.Config{
		"no certificate":    {RootCAs: roots},
		"wrong certificate": {RootCAs: roots, Certificates: []tls.Certificate{wrong}},
	} {
		a := &Admin{client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}}
		_, _, err := a.Do(context.Background(), http.MethodGet, "/id/"+RoutesID+"/routes", nil, "")
		if err == nil || !strings.Contains(err.Error(), "remote error: tls") {
			t.Errorf("%s: %v", name, err)
		}
	}

	admin := newAdmin(t, b)
	call(t, admin, http.MethodGet, "/id/"+RoutesID, nil, "", http.StatusOK)
	call(t, admin, http.MethodGet, "/id/"+RoutesID+"/routes", nil, "", http.StatusOK)
	for _, path := range []string{"/config/", "/config/admin", "/pki/ca/local", "/stop", "/load"} {
		call(t, admin, http.MethodGet, path, nil, "", http.StatusForbidden)
	}
	call(t, admin, http.MethodPost, "/stop", nil, "", http.StatusForbidden)
	call(t, admin, http.MethodPost, "/load", object{}, "", http.StatusForbidden)

	// By name as well as by address.
	conn, err := tls.Dial("tcp", bed.EdgeIP+":2021", &tls.Config{RootCAs: roots, ServerName: AdminName})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestRoutesBecomeHosts(t *testing.T) {
	b, ensure := setup(t)
	admin := newAdmin(t, b)
	keepRoutes(t, admin)
	id := fmt.Sprintf("route-try-%d", time.Now().UnixNano())
	host := strings.TrimPrefix(id, "route-") + "." + bed.Zone
	first, second := upstream(t, "first"), upstream(t, "second")
	list, entry := "/id/"+RoutesID+"/routes", "/id/"+id

	if status, body := get(t, b, host); status != http.StatusNotFound {
		t.Errorf("an unknown host: %d %s", status, body)
	}
	call(t, admin, http.MethodGet, entry, nil, "", http.StatusNotFound)
	call(t, admin, http.MethodDelete, entry, nil, "", http.StatusNotFound)
	call(t, admin, http.MethodPost, list, route(id, host, first), "", http.StatusOK)
	if status, body := get(t, b, host); status != http.StatusOK || body != "first for "+host {
		t.Errorf("the new host: %d %s", status, body)
	}
	call(t, admin, http.MethodPatch, entry, route(id, host, second), "", http.StatusOK)
	if _, body := get(t, b, host); body != "second for "+host {
		t.Errorf("the changed host: %s", body)
	}
	refused := call(t, admin, http.MethodPatch, entry, object{"handle": 1}, "", http.StatusInternalServerError)
	if !strings.Contains(refused, "loading new config") {
		t.Errorf("a broken route is refused with %s", refused)
	}
	if _, body := get(t, b, host); body != "second for "+host {
		t.Errorf("after a refused change: %s", body)
	}

	// The list's Etag guards a change of it.
	routes, err := admin.Routes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.Replace(context.Background(), slices.Concat(routes.List, []json.RawMessage{[]byte(`{"@id":"route-more"}`)}), routes.Etag); err != nil {
		t.Error(err)
	}
	if err := admin.Replace(context.Background(), routes.List, routes.Etag); err == nil || !strings.Contains(err.Error(), "status 412") {
		t.Errorf("with an old Etag: %v", err)
	}

	// Routes outlive the process.
	bedtest.Kill(t, b, "edge")
	if note := ensure(t); note != "started" {
		t.Errorf("the note is %q", note)
	}
	if status, body := get(t, b, host); status != http.StatusOK || body != "second for "+host {
		t.Errorf("after a kill: %d %s", status, body)
	}
	if note := ensure(t); note != "" {
		t.Errorf("a further Ensure did something: %s", note)
	}
	call(t, admin, http.MethodDelete, entry, nil, "", http.StatusOK)
	if status, _ := get(t, b, host); status != http.StatusNotFound {
		t.Errorf("after its removal: %d", status)
	}
}
