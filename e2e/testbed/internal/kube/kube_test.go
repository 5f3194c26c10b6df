package kube

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"flywheel.prim.sh/e2e/testbed/internal/pki"
)

// serve runs handler over mutual TLS and returns access to it.
func serve(t *testing.T, handler http.HandlerFunc) Access {
	t.Helper()
	store := pki.Store{Dir: t.TempDir()}
	ca, err := store.Authority("ca")
	if err != nil {
		t.Fatal(err)
	}
	server, err := store.Certificate("ca", "server", pki.Request{CommonName: "server", IPs: []string{"127.0.0.1"}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	client, err := store.Certificate("ca", "client", pki.Request{CommonName: "client", Client: true})
	if err != nil {
		t.Fatal(err)
	}
	config, err := TLS(ca.Cert, server.Cert, server.Key)
	if err != nil {
		t.Fatal(err)
	}
	config.ClientCAs, config.ClientAuth = config.RootCAs, tls.RequireAndVerifyClientCert
	s := httptest.NewUnstartedServer(handler)
	s.TLS = config
	s.StartTLS()
	t.Cleanup(s.Close)
	return Access{Server: s.URL, CA: ca.Cert, Cert: client.Cert, Key: client.Key}
}

func newClient(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	c, err := New(serve(t, handler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestApplyStatesTheObjectAsThisManager(t *testing.T) {
	var request, body string
	c := newClient(t, func(_ http.ResponseWriter, r *http.Request) {
		request = fmt.Sprint(r.Method, " ", r.URL, " ", r.Header.Get("Content-Type"))
		data, _ := io.ReadAll(r.Body) // what is missing shows below
		body = string(data)
	})
	if err := c.Apply(t.Context(), "/api/v1/namespaces/n", []byte("kind: Namespace")); err != nil {
		t.Fatal(err)
	}
	want := "PATCH /api/v1/namespaces/n?force=true&fieldManager=flywheel-test-bed application/apply-patch+yaml"
	if request != want || body != "kind: Namespace" {
		t.Errorf("sent %s with %q, want %s", request, body, want)
	}
}

func TestAnErrorCarriesTheServersMessage(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"kind": "Status", "message": "it exists"}`)
	})
	err := c.Create(t.Context(), "/api/v1/persistentvolumes", struct{}{})
	if !Conflict(err) || NotFound(err) || err.Error() != "POST /api/v1/persistentvolumes: 409: it exists" {
		t.Errorf("error = %v", err)
	}
}

func TestDeletingWhatIsGoneIsNoError(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	if err := c.Delete(t.Context(), "/api/v1/persistentvolumes/v"); err != nil {
		t.Error(err)
	}
}

func TestWatchTellsEveryEvent(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `{"type": "ADDED"}`)
		fmt.Fprintln(w, `{"type": "DELETED"}`)
	})
	events := 0
	if err := c.Watch(t.Context(), "/api/v1/persistentvolumes", func() { events++ }); err != nil || events != 2 {
		t.Errorf("%d events, %v; want 2", events, err)
	}
}

func TestAKubeconfigHoldsItsKeysAndIsPrivate(t *testing.T) {
	access := serve(t, func(http.ResponseWriter, *http.Request) {})
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := WriteConfig(path, "bed", access); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v; want 0600", info.Mode(), err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Users []struct {
			User struct {
				Key []byte `json:"client-key-data"`
			}
		}
	}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(access.Key)
	if err != nil || len(config.Users) != 1 || string(config.Users[0].User.Key) != string(key) {
		t.Errorf("the key is not in the file: %v", err)
	}
}
