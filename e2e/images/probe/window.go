package main

import (
	"net"
	"sync"
	"time"
)

// started is as close to the process's first instruction as a program gets.
var started = time.Now()

// openWindow is what window prints. Times are milliseconds from the first
// attempt to the moment an attempt began; null where there was none.
type openWindow struct {
	Target             string         `json:"target"`
	StartUnixNs        int64          `json:"startUnixNs"`
	FirstAttemptUnixNs int64          `json:"firstAttemptUnixNs"`
	Attempts           int            `json:"attempts"`
	Successes          int            `json:"successes"`
	FirstSuccessMs     *float64       `json:"firstSuccessMs"`
	LastSuccessMs      *float64       `json:"lastSuccessMs"`
	FirstRefusedMs     *float64       `json:"firstRefusedMs"`
	OpenAtEnd          bool           `json:"openAtEnd"`
	Errors             map[string]int `json:"errors,omitempty"`
}

// window begins an attempt every so often, whether or not the ones before have
// ended: a dropped packet must not hide what the next one would have found. A
// network that is still being set up may refuse first and let through later,
// so the last success tells how long the window was, not the first refusal.
func window(target string, length, every, timeout time.Duration) (any, bool) {
	result := openWindow{Target: target, StartUnixNs: started.UnixNano(), Errors: map[string]int{}}
	var mu sync.Mutex
	var attempts sync.WaitGroup
	lastAttempt := -1.0
	first := time.Now()
	result.FirstAttemptUnixNs = first.UnixNano()
	begin := func(at float64) {
		defer attempts.Done()
		err := touch(target, timeout)
		mu.Lock()
		defer mu.Unlock()
		if at > lastAttempt {
			lastAttempt, result.OpenAtEnd = at, err == nil
		}
		if err != nil {
			result.Errors[kind(err)]++
			result.FirstRefusedMs = earlier(result.FirstRefusedMs, at)
			return
		}
		result.Successes++
		result.FirstSuccessMs = earlier(result.FirstSuccessMs, at)
		if result.LastSuccessMs == nil || at > *result.LastSuccessMs {
			result.LastSuccessMs = &at
		}
	}
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for since := time.Duration(0); since < length; since = time.Since(first) {
		result.Attempts++
		attempts.Add(1)
		go begin(millis(since))
		<-ticks.C
	}
	attempts.Wait()
	return result, result.OpenAtEnd
}

// touch connects and resets the connection, which leaves no state behind.
func touch(target string, timeout time.Duration) error {
	connection, err := net.DialTimeout("tcp", target, timeout)
	if err != nil {
		return err
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a plain close will do where it is not possible
	}
	return connection.Close()
}

func earlier(known *float64, at float64) *float64 {
	if known != nil && *known <= at {
		return known
	}
	return &at
}

// kind is the error without the addresses and ports that make each one unique.
func kind(err error) string {
	if e, ok := err.(net.Error); ok && e.Timeout() {
		return "timeout"
	}
	if e, ok := err.(*net.OpError); ok {
		return e.Err.Error()
	}
	return err.Error()
}
