// Probe says from inside a pod what the pod's network lets through. Every
// command prints one JSON object a line.
//
//	probe connect HOST:PORT [--timeout 2s]      can a TCP connection be made?
//	probe resolve NAME [--timeout 2s]           does the pod's DNS know the name?
//	probe http URL [--timeout 2s] [--insecure]  what does a GET answer?
//	probe window IP:PORT [--for 20s]            until when after the start can it be reached?
//	probe serve :PORT                           answers every HTTP request until SIGTERM
//
// Exit code 0: reachable; 1: not reachable; 2: wrong usage.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	reachable    = 0
	notReachable = 1
	wrongUsage   = 2
)

const usage = `usage: probe connect HOST:PORT [--timeout 2s]
       probe resolve NAME [--timeout 2s]
       probe http URL [--timeout 2s] [--insecure]
       probe window IP:PORT [--for 20s] [--every 2ms] [--timeout 500ms]
       probe serve :PORT
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, errors io.Writer) int {
	if len(args) < 2 {
		fmt.Fprint(errors, usage)
		return wrongUsage
	}
	command, target := args[0], args[1]
	flags := flag.NewFlagSet("probe "+command, flag.ContinueOnError)
	flags.SetOutput(errors)
	timeout := 2 * time.Second
	var work func() (result any, ok bool)
	switch command {
	case "connect":
		work = func() (any, bool) { return connect(target, timeout) }
	case "resolve":
		work = func() (any, bool) { return resolve(target, timeout) }
	case "http":
		insecure := flags.Bool("insecure", false, "accept any certificate: only reachability is asked")
		work = func() (any, bool) { return get(target, timeout, *insecure) }
	case "window":
		timeout = 500 * time.Millisecond
		length := flags.Duration("for", 20*time.Second, "how long to try")
		every := flags.Duration("every", 2*time.Millisecond, "time between two attempts")
		work = func() (any, bool) { return window(target, *length, *every, timeout) }
	case "serve":
		work = func() (any, bool) { return serve(target, out) }
	default:
		fmt.Fprint(errors, usage)
		return wrongUsage
	}
	if command != "serve" {
		flags.DurationVar(&timeout, "timeout", timeout, "how long one attempt may take")
	}
	if err := flags.Parse(args[2:]); err != nil || flags.NArg() > 0 {
		fmt.Fprint(errors, usage)
		return wrongUsage
	}
	result, ok := work()
	print(out, result)
	if !ok {
		return notReachable
	}
	return reachable
}

func print(out io.Writer, result any) {
	line, err := json.Marshal(result)
	if err != nil {
		panic(err) // all results are plain structs
	}
	fmt.Fprintf(out, "%s\n", line)
}

// answer is what connect, resolve and http print.
type answer struct {
	Target    string   `json:"target"`
	Reachable bool     `json:"reachable"`
	Millis    float64  `json:"ms"`
	Addresses []string `json:"addresses,omitempty"`
	Status    int      `json:"status,omitempty"`
	Error     string   `json:"error,omitempty"`
}

func try(target string, timeout time.Duration, f func(context.Context, *answer) error) (any, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	result := answer{Target: target}
	begin := time.Now()
	err := f(ctx, &result)
	result.Millis = millis(time.Since(begin))
	result.Reachable = err == nil
	if err != nil {
		result.Error = err.Error()
	}
	return result, err == nil
}

func connect(target string, timeout time.Duration) (any, bool) {
	return try(target, timeout, func(ctx context.Context, _ *answer) error {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", target)
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

func resolve(name string, timeout time.Duration) (any, bool) {
	return try(name, timeout, func(ctx context.Context, result *answer) (err error) {
		result.Addresses, err = net.DefaultResolver.LookupHost(ctx, name)
		return err
	})
}

// get counts every answer as reachable, whatever its status.
func get(url string, timeout time.Duration, insecure bool) (any, bool) {
	client := http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: insecure}},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the question is about this address
		},
	}
	return try(url, timeout, func(ctx context.Context, result *answer) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		result.Status = response.StatusCode
		return response.Body.Close()
	})
}

// serve answers with who asked, until it is told to stop.
func serve(address string, out io.Writer) (any, bool) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	type served struct {
		Event   string `json:"event"`
		Address string `json:"address"`
		Error   string `json:"error,omitempty"`
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return served{"failed", address, err.Error()}, false
	}
	print(out, served{"listening", listener.Addr().String(), ""})
	server := http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("content-type", "application/json")
			fmt.Fprintf(w, "{\"status\":\"ok\",\"remote\":%q}\n", r.RemoteAddr)
		}),
	}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return served{"failed", address, err.Error()}, false
	}
	return served{"stopped", address, ""}, true
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
