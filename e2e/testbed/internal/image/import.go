package image

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
)

// namespace is the one the kubelet's images live in.
const namespace = "k8s.io"

// containerd is a containerd reached by its socket.
type containerd struct{ socket string }

// keepImported builds of each image stay in containerd: a pod of the one before
// must be able to start again until its Deployment has rolled.
const keepImported = 3

// Import brings the images into the containerd that listens on socket, as far
// as it doesn't have them, and removes builds that are long superseded.
func Import(ctx context.Context, b *bed.Bed, socket string, images []Image) (note string, err error) {
	c := containerd{socket}
	have, err := c.images(ctx)
	if err != nil {
		return "", err
	}
	imported, removed := 0, 0
	history := readHistory(b)
	for _, image := range images {
		if have[image.Ref] != image.Digest || have[image.Latest()] != image.Digest {
			if _, err := c.ctr(ctx, "images", "import", image.Archive); err != nil {
				return "", fmt.Errorf("import image %s: %w", image.Name, err)
			}
			imported++
		}
		for _, old := range history.add(image.Name, image.Ref) {
			if have[old] == "" {
				continue
			}
			if _, err := c.ctr(ctx, "images", "rm", old); err != nil {
				return "", fmt.Errorf("remove image %s: %w", old, err)
			}
			removed++
		}
	}
	if err := history.write(b); err != nil {
		return "", err
	}
	if imported == 0 && removed == 0 {
		return fmt.Sprintf("%d images, all there", len(images)), nil
	}
	return fmt.Sprintf("%d images, %d imported, %d old removed", len(images), imported, removed), nil
}

// history is what was imported, by image, newest first. Containerd doesn't say
// which of its images is older.
type history map[string][]string

func historyPath(b *bed.Bed) string { return b.Path("images.json") }

// readHistory takes a missing or broken file for an empty history: then old
// images stay, which costs only disk.
func readHistory(b *bed.Bed) history {
	h := history{}
	data, err := os.ReadFile(historyPath(b))
	if err != nil || json.Unmarshal(data, &h) != nil {
		return history{}
	}
	return h
}

// add notes an import and returns the names that are superseded by it.
func (h history) add(name, ref string) (old []string) {
	refs := []string{ref}
	for _, known := range h[name] {
		if known != ref {
			refs = append(refs, known)
		}
	}
	keep := min(keepImported, len(refs))
	h[name] = refs[:keep]
	return refs[keep:]
}

func (h history) write(b *bed.Bed) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.State, 0o700); err != nil {
		return err
	}
	return os.WriteFile(historyPath(b), data, 0o644)
}

// images are the digests of all images by their names.
func (c containerd) images(ctx context.Context) (map[string]string, error) {
	out, err := c.ctr(ctx, "images", "ls")
	if err != nil {
		return nil, fmt.Errorf("list the images of containerd: %w", err)
	}
	all := map[string]string{}
	for _, fields := range rows(out) {
		if len(fields) >= 3 { // REF TYPE DIGEST …
			all[fields[0]] = fields[2]
		}
	}
	return all, nil
}

func (c containerd) ctr(ctx context.Context, args ...string) ([]byte, error) {
	return run(ctx, "", "ctr", append([]string{"--address", c.socket, "--namespace", namespace}, args...)...)
}

// rows are the fields of each line after the heading.
func rows(table []byte) [][]string {
	var all [][]string
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		all = append(all, strings.Fields(lines.Text()))
	}
	if len(all) == 0 {
		return nil
	}
	return all[1:]
}
