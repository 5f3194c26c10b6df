package tools

import (
	"slices"
	"testing"
)

func TestMissingNamesEachPackageOnce(t *testing.T) {
	none := missing(func(string) bool { return true })
	if len(none) != 0 {
		t.Errorf("missing = %v although all is there", none)
	}
	got := missing(func(program string) bool { return program != "ctr" && program != "containerd" && program != "caddy" })
	if want := []string{"containerd", "caddy"}; !slices.Equal(got, want) {
		t.Errorf("missing = %v, want %v", got, want)
	}
}
