// Package kube speaks to the test bed's API server: the few requests that a
// start needs, without a client library.
package kube

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// fieldManager owns what Apply writes.
const fieldManager = "flywheel-test-bed"

// Access is what a kubeconfig file holds: where the API server is and how to
// prove who one is.
type Access struct {
	Server        string // https://host:port
	CA, Cert, Key string // files
}

// Client sends requests with one identity.
type Client struct {
	server string
	http   *http.Client
}

// StatusError is an answer that is not a success.
type StatusError struct {
	Code    int
	Request string
	Message string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d: %s", e.Request, e.Code, e.Message)
}

// NotFound says whether err is the API server's answer 404.
func NotFound(err error) bool { return hasCode(err, http.StatusNotFound) }

// Conflict says whether err is the API server's answer 409.
func Conflict(err error) bool { return hasCode(err, http.StatusConflict) }

func hasCode(err error, code int) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == code
}

// New makes a client of a. The files are read now.
func New(a Access) (*Client, error) {
	config, err := TLS(a.CA, a.Cert, a.Key)
	if err != nil {
		return nil, err
	}
	return &Client{server: a.Server, http: &http.Client{Transport: &http.Transport{
		TLSClientConfig:       config,
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
		MaxIdleConnsPerHost:   4,
	}}}, nil
}

// TLS is a client's side of mutual TLS from files in PEM.
func TLS(ca, cert, key string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// Ready is nil when the API server calls itself ready.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodGet, "/readyz", "", nil)
	return err
}

// Get reads the object or list at path into v.
func (c *Client) Get(ctx context.Context, path string, v any) error {
	body, err := c.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, v)
}

// Apply states the object at path as it should be (server-side apply), in YAML
// or JSON. Stating the same again changes nothing.
func (c *Client) Apply(ctx context.Context, path string, object []byte) error {
	_, err := c.do(ctx, http.MethodPatch, path+"?force=true&fieldManager="+fieldManager, "application/apply-patch+yaml", object)
	return err
}

// Create makes a new object in the collection at path.
func (c *Client) Create(ctx context.Context, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPost, path, "application/json", body)
	return err
}

// Delete removes the object at path; that it is gone already is no error.
func (c *Client) Delete(ctx context.Context, path string) error {
	_, err := c.do(ctx, http.MethodDelete, path, "", nil)
	if NotFound(err) {
		return nil
	}
	return err
}

// Watch calls changed for every event of the collection at path, from now on,
// until the server ends the stream, which it does every few minutes.
func (c *Client) Watch(ctx context.Context, path string, changed func()) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server+path+"?watch=true", nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return statusError(request, response)
	}
	events := bufio.NewReader(response.Body)
	for {
		// One event a line. What it says does not matter: who is called reads the
		// present state itself.
		if _, err := events.ReadBytes('\n'); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		changed()
	}
}

func (c *Client) do(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return nil, statusError(request, response)
	}
	return io.ReadAll(response.Body)
}

func statusError(request *http.Request, response *http.Response) error {
	// Enough for a message; a failure that cannot be read is still a failure.
	text, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	var status struct {
		Message string `json:"message"`
	}
	message := strings.TrimSpace(string(text))
	if json.Unmarshal(text, &status) == nil && status.Message != "" {
		message = status.Message
	}
	return &StatusError{Code: response.StatusCode, Request: request.Method + " " + request.URL.Path, Message: message}
}
