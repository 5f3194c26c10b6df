package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client goes straight to the forge: a proxy that the environment names could
// not reach the bed's addresses.
var client = &http.Client{
	Timeout:   30 * time.Second,
	Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 2},
}

// API is Gitea's HTTP API as one identity sees it. The zero identity is
// anonymous.
type API struct {
	token          string
	user, password string
}

// WithToken is the API with an access token.
func WithToken(token string) API { return API{token: token} }

// WithPassword is the API with a name and password; Gitea lets only these
// manage access tokens.
func WithPassword(user, password string) API { return API{user: user, password: password} }

// StatusError is an answer other than 2xx.
type StatusError struct {
	Method, Path string
	Status       int
	Message      string // the forge's own words
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: the forge answers %d: %s", e.Method, e.Path, e.Status, e.Message)
}

// Is reports whether err is an answer of the forge with that status.
func Is(err error, status int) bool {
	var answer *StatusError
	return errors.As(err, &answer) && answer.Status == status
}

// Get reads path, which is relative to /api/v1/, into out.
func (a API) Get(ctx context.Context, path string, out any) error {
	return a.Do(ctx, http.MethodGet, path, nil, out)
}

// Exists reports whether path can be read.
func (a API) Exists(ctx context.Context, path string) (bool, error) {
	err := a.Get(ctx, path, nil)
	if Is(err, http.StatusNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Text reads path, whose answer is no JSON.
func (a API) Text(ctx context.Context, path string) (string, error) {
	data, err := a.send(ctx, http.MethodGet, path, nil)
	return string(data), err
}

// Do sends in (when not nil) as JSON and reads the answer into out (when not
// nil). An answer other than 2xx is a *StatusError.
func (a API) Do(ctx context.Context, method, path string, in, out any) error {
	data, err := a.send(ctx, method, path, in)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: the answer is not what was expected: %w", method, path, err)
	}
	return nil
}

func (a API) send(ctx context.Context, method, path string, in any) ([]byte, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, URL+"api/v1/"+path, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "flywheel-testbed")
	switch {
	case a.token != "":
		request.Header.Set("Authorization", "token "+a.token)
	case a.user != "":
		request.SetBasicAuth(a.user, a.password)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode/100 != 2 {
		var problem struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(data, &problem) != nil || problem.Message == "" {
			problem.Message = http.StatusText(response.StatusCode)
		}
		return nil, &StatusError{Method: method, Path: path, Status: response.StatusCode, Message: problem.Message}
	}
	return data, nil
}
