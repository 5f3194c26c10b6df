package image

import (
	"testing"
	"time"
)

func TestAnAnswerIsRememberedWhileItHolds(t *testing.T) {
	b := repoBed(t)
	b.Cache = t.TempDir()
	asked := 0
	ask := func(on string, within time.Duration) {
		t.Helper()
		value, err := remembered(b, "test", on, within, func() (string, error) {
			asked++
			return "answer", nil
		})
		if err != nil || value != "answer" {
			t.Fatalf("%q, %v", value, err)
		}
	}
	for _, c := range []struct {
		on     string
		within time.Duration
		asked  int
	}{{"a", time.Hour, 1}, {"a", time.Hour, 1}, {"b", time.Hour, 2}, {"b", 0, 3}} {
		if ask(c.on, c.within); asked != c.asked {
			t.Errorf("on %s within %s: asked %d times, want %d", c.on, c.within, asked, c.asked)
		}
	}
}
