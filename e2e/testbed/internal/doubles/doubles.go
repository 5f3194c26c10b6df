// Package doubles runs what has no local original, and says so in each of its
// answers: a SCRIPTED model, which uses services by rules and has no language model
// behind it, and a SCRIPTED vendor, which stands behind the example lookup.
package doubles

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/build"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

const (
	// ModelPort and VendorPort are where the two listen.
	ModelPort, VendorPort = 8080, 8081
	// ModelName is what the Factory asks the model for.
	ModelName = "scripted"

	answersWithin = 5 * time.Second
)

// Where they are. The model's is the base of OpenAI's API.
var (
	Model     = net.JoinHostPort(bed.DoublesIP, strconv.Itoa(ModelPort))
	Vendor    = net.JoinHostPort(bed.DoublesIP, strconv.Itoa(VendorPort))
	ModelURL  = "http://" + Model + "/v1"
	VendorURL = "http://" + Vendor
)

var crate = build.Crate{
	Name: "doubles", Dir: "e2e/doubles", Programs: []string{"scripted-model", "scripted-upstream"}, About: "about 20 s",
}

// Build builds both programs, as far as they are not cached, and returns their directory.
func Build(ctx context.Context, b *bed.Bed) (dir string, err error) {
	return build.EnsureCrate(ctx, b, crate)
}

// Ensure runs both. The note says what it had to do.
func Ensure(ctx context.Context, b *bed.Bed, dir string) (note string, err error) {
	for _, part := range []struct{ name, listen string }{{"scripted-model", Model}, {"scripted-upstream", Vendor}} {
		started, err := proc.Ensure(ctx, b, proc.Spec{
			Name:  part.name,
			Argv:  []string{filepath.Join(dir, part.name), "--listen", part.listen},
			Ready: func(ctx context.Context) error { return answers(ctx, "http://"+part.listen+"/") },
		})
		if err != nil {
			return "", err
		}
		if started {
			note = "started"
		}
	}
	return note, nil
}

func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return nil
}
