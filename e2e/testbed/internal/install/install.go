// Package install puts Flywheel itself into the test bed: builds the program,
// gives the controller the credentials of the bed's own forge, zone and edge, and
// installs the chart. It makes no Factory; Factory says what one looks like here.
package install

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/doubles"
	"flywheel.prim.sh/e2e/testbed/internal/forge"
	"flywheel.prim.sh/e2e/testbed/internal/image"
	"flywheel.prim.sh/e2e/testbed/internal/kube"
	"flywheel.prim.sh/e2e/testbed/internal/payments"
)

const (
	// Namespace is the release's, the controller's and its credentials'.
	Namespace = "flywheel-system"
	release   = "flywheel"
	chart     = "charts/flywheel"
	// digestFile says which chart and values were installed last.
	digestFile = "install/digest"
)

// Build compiles the program as the tests do: the same profile, the same target
// directory and, for the sake of the examples, the same features of dependencies,
// so that one build serves both.
func Build(ctx context.Context, b *bed.Bed) (path string, err error) {
	target := os.Getenv("CARGO_TARGET_DIR")
	if target == "" {
		target = filepath.Join(b.Cache, "target")
	}
	cmd := exec.CommandContext(ctx, "cargo", "build", "--locked", "--bins", "--examples")
	cmd.Dir = b.Repo
	cmd.Env = append(os.Environ(), "CARGO_TARGET_DIR="+target)
	// Cargo shows its progress itself.
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("cargo build: %w", err)
	}
	return filepath.Join(target, "debug", "flywheel"), nil
}

// Ensure states the credentials and installs or upgrades the release, unless the
// same chart and values are installed and the controller is available.
func Ensure(ctx context.Context, b *bed.Bed, client *kube.Client, helm, kubeconfig string, images []image.Image) (note string, err error) {
	values, err := values(images)
	if err != nil {
		return "", err
	}
	if err := Credentials(ctx, b, client); err != nil {
		return "", err
	}
	digest, err := digest(filepath.Join(b.Repo, chart), values)
	if err != nil {
		return "", err
	}
	installed, err := os.ReadFile(b.Path(digestFile))
	if err == nil && string(installed) == digest && available(ctx, client) {
		return "there", nil
	}
	if err := crds(ctx, b, client); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, helm, "upgrade", "--install", release, filepath.Join(b.Repo, chart),
		"--namespace", Namespace, "--skip-crds", "--values", "-", "--wait", "--timeout", "90s")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	cmd.Stdin = bytes.NewReader(values)
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("helm upgrade: %w\n%s%s", err, output, why(ctx, client))
	}
	if err := os.MkdirAll(filepath.Dir(b.Path(digestFile)), 0o755); err != nil {
		return "", err
	}
	return "installed", os.WriteFile(b.Path(digestFile), []byte(digest), 0o644)
}

// values are the chart's for this bed. The resync is short, so that whoever
// breaks something on purpose sees it soon.
func values(images []image.Image) ([]byte, error) {
	for _, i := range images {
		if i.Name != image.Controller {
			continue
		}
		repository, tag, found := strings.Cut(i.Ref, ":")
		if !found {
			return nil, fmt.Errorf("image %s has no tag", i.Ref)
		}
		return json.Marshal(map[string]any{
			"image": map[string]any{"repository": repository, "tag": tag, "pullPolicy": "Never"},
			"controller": map[string]any{
				"secrets":       []string{secretForge, secretDNS, secretEdge, secretModel},
				"resyncSeconds": 30,
			},
			"webhook": map[string]any{
				// By its route, the forge's deliveries leave from the node's address.
				"allowedCIDRs": []string{bed.NodeIP + "/32", bed.ForgeIP + "/32"},
				"service":      map[string]any{"clusterIP": forge.WebhookIP},
			},
			"edge": map[string]any{
				"cidrs":        []string{bed.NodeIP + "/32", bed.EdgeIP + "/32"},
				"serviceCIDRs": []string{bed.EdgeIP + "/32"},
			},
			"gates": map[string]any{
				"model": map[string]any{"cidrs": []string{bed.DoublesIP + "/32"}, "ports": []int{doubles.ModelPort}},
				"money": map[string]any{
					"cidrs": []string{bed.FacilitatorIP + "/32", bed.ChainIP + "/32"},
					"ports": []int{payments.FacilitatorPort, payments.ChainPort},
				},
			},
			"networkPolicy": map[string]any{"workloadCIDRs": []string{bed.DoublesIP + "/32"}},
			"payments":      map[string]any{"facilitatorCIDRs": []string{bed.FacilitatorIP + "/32"}, "facilitatorPort": payments.FacilitatorPort},
			"runtimeClass":  map[string]any{"create": false},
		})
	}
	return nil, fmt.Errorf("no image named %s", image.Controller)
}

// crds states them: Helm installs a chart's CRDs once and never upgrades them.
func crds(ctx context.Context, b *bed.Bed, client *kube.Client) error {
	files, err := filepath.Glob(filepath.Join(b.Repo, "crds", "*s.yaml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		// The file's name is the plural, which begins the object's.
		name := strings.TrimSuffix(filepath.Base(file), ".yaml") + ".flywheel.prim.sh"
		if err := client.Apply(ctx, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"+name, content); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// available is whether the controller's Deployment has its pod.
func available(ctx context.Context, client *kube.Client) bool {
	var deployment struct {
		Metadata struct{ Generation int64 }
		Status   struct{ ObservedGeneration, AvailableReplicas int64 }
	}
	err := client.Get(ctx, "/apis/apps/v1/namespaces/"+Namespace+"/deployments/flywheel-controller", &deployment)
	return err == nil && deployment.Status.AvailableReplicas > 0 && deployment.Status.ObservedGeneration == deployment.Metadata.Generation
}

// why says in Kubernetes' words what keeps the controller's pods from running.
func why(ctx context.Context, client *kube.Client) string {
	var pods struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct {
				Phase             string
				ContainerStatuses []struct {
					State struct {
						Waiting, Terminated *struct{ Reason, Message string }
					}
				}
			}
		}
	}
	if err := client.Get(ctx, "/api/v1/namespaces/"+Namespace+"/pods", &pods); err != nil {
		return ""
	}
	var text strings.Builder
	for _, pod := range pods.Items {
		fmt.Fprintf(&text, "pod %s: %s\n", pod.Metadata.Name, pod.Status.Phase)
		for _, c := range pod.Status.ContainerStatuses {
			if c.State.Waiting != nil {
				fmt.Fprintf(&text, "  waits: %s %s\n", c.State.Waiting.Reason, c.State.Waiting.Message)
			}
			if c.State.Terminated != nil {
				fmt.Fprintf(&text, "  ended: %s %s\n", c.State.Terminated.Reason, c.State.Terminated.Message)
			}
		}
	}
	return text.String()
}

// digest is of every file of the chart, and the values.
func digest(dir string, values []byte) (string, error) {
	hash := sha256.New()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(hash, "%s %d\n", path, len(content))
		hash.Write(content)
		return nil
	})
	hash.Write(values)
	return hex.EncodeToString(hash.Sum(nil)), err
}
