package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// freed returns an address that nothing listens on.
func freed(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func probe(t *testing.T, args ...string) (code int, result map[string]any) {
	t.Helper()
	var out, messages bytes.Buffer
	code = run(args, &out, &messages)
	if code != wrongUsage {
		if err := json.Unmarshal(out.Bytes(), &result); err != nil {
			t.Fatalf("%v printed %q: %v", args, out.String(), err)
		}
	}
	return code, result
}

func TestConnect(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if code, result := probe(t, "connect", server.Listener.Addr().String()); code != reachable || result["reachable"] != true {
		t.Errorf("open port: code %d, %v", code, result)
	}
	if code, result := probe(t, "connect", freed(t), "--timeout", "1s"); code != notReachable || result["error"] == nil {
		t.Errorf("closed port: code %d, %v", code, result)
	}
}

func TestHTTPReportsTheStatus(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	if code, result := probe(t, "http", server.URL, "--insecure"); code != reachable || result["status"] != 404.0 {
		t.Errorf("code %d, %v", code, result)
	}
	if code, _ := probe(t, "http", server.URL); code != notReachable {
		t.Errorf("an unknown certificate was accepted: code %d", code)
	}
}

func TestResolve(t *testing.T) {
	if code, result := probe(t, "resolve", "localhost"); code != reachable || result["addresses"] == nil {
		t.Errorf("code %d, %v", code, result)
	}
}

func TestWindowOfAnOpenPort(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	code, result := probe(t, "window", server.Listener.Addr().String(), "--for", "50ms")
	if code != reachable || result["openAtEnd"] != true || result["firstRefusedMs"] != nil {
		t.Errorf("code %d, %v", code, result)
	}
	if result["successes"] != result["attempts"] || result["attempts"].(float64) < 2 {
		t.Errorf("attempts: %v", result)
	}
}

func TestWindowThatCloses(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // takes a few connections, then closes the port
		for range 5 {
			connection, err := listener.Accept()
			if err != nil {
				break
			}
			connection.Close()
		}
		listener.Close()
	}()
	code, result := probe(t, "window", listener.Addr().String(), "--for", "300ms")
	if code != notReachable || result["openAtEnd"] != false {
		t.Fatalf("code %d, %v", code, result)
	}
	last, refused := result["lastSuccessMs"], result["firstRefusedMs"]
	if last == nil || refused == nil || refused.(float64) <= result["firstSuccessMs"].(float64) {
		t.Errorf("success until %v, refused from %v", last, refused)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"connect"}, {"dance", "x"}, {"connect", "a:1", "b:2"}, {"connect", "a:1", "--timeout", "soon"},
	} {
		if code, _ := probe(t, args...); code != wrongUsage {
			t.Errorf("%v: code %d", args, code)
		}
	}
}

func TestServeSaysWhyItCannot(t *testing.T) {
	if code, result := probe(t, "serve", "256.0.0.1:1"); code != notReachable || result["event"] != "failed" {
		t.Errorf("code %d, %v", code, result)
	}
}
