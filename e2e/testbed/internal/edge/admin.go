package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

// Admin is a client of the admin API, doing what the controller does.
type Admin struct{ client *http.Client }

// NewAdmin reads the client's certificate and the CA from the bed's state.
func NewAdmin(b *bed.Bed) (*Admin, error) {
	roots, err := readPool(b.Path(FileAdminCA))
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(b.Path(FileClientCert), b.Path(FileClientKey))
	if err != nil {
		return nil, err
	}
	return &Admin{client: &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			// Each change of the configuration replaces the admin server.
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		},
	}}, nil
}

// Routes is the list of routes and the Etag that a change of it may give.
type Routes struct {
	List []json.RawMessage
	Etag string
}

// Routes reads the list.
func (a *Admin) Routes(ctx context.Context) (Routes, error) {
	status, body, err := a.Do(ctx, http.MethodGet, "/id/"+RoutesID+"/routes", nil, "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the edge's routes: status %d: %s", status, body)
	}
	if err != nil {
		return Routes{}, err
	}
	routes := Routes{Etag: etag(RoutesPath, body)}
	if err := json.Unmarshal(body, &routes.List); err != nil {
		return Routes{}, fmt.Errorf("the edge's routes: %w", err)
	}
	return routes, nil
}

// Replace puts list in the place of the one that had this Etag.
func (a *Admin) Replace(ctx context.Context, list []json.RawMessage, etag string) error {
	if list == nil {
		list = []json.RawMessage{} // null would be no list at all
	}
	status, body, err := a.Do(ctx, http.MethodPatch, "/id/"+RoutesID+"/routes", list, etag)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("replace the edge's routes: status %d: %s", status, body)
	}
	return err
}

// Do makes one call. ifMatch may be empty.
func (a *Admin) Do(ctx context.Context, method, path string, in any, ifMatch string) (status int, body []byte, err error) {
	var content io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return 0, nil, err
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, AdminURL+path, content)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if ifMatch != "" {
		request.Header.Set("If-Match", ifMatch)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// etag is what Caddy sends after the body, in a trailer.
func etag(path string, body []byte) string {
	sum := fnv.New32a()
	_, _ = sum.Write(body) // a hash never fails
	return fmt.Sprintf(`"%s %x"`, path, sum.Sum(nil))
}
