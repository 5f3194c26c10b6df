package image

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/bun"
)

const checkout = "../../../.."

func repoBed(t *testing.T) *bed.Bed {
	t.Helper()
	repo, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bed.New(bed.Full, repo)
	if err != nil {
		t.Fatal(err)
	}
	b.State = t.TempDir()
	return b
}

// The runtime image is made of everything that could differ from build to
// build: packages from two registries, and the files of an installer.
func TestTheRuntimeImageIsReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it fetches packages; run without -short")
	}
	for _, tool := range []string{"apt-get", "dpkg-deb", "npm", "strip"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: the image can't be assembled here: %v", err)
		}
	}
	program, err := os.Executable() // any program will do
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string]string{"flywheel": program, "gitleaks": program}
	var digests []string
	for i := range 2 {
		r, err := recipeFor(t.Context(), repoBed(t), Runtime, programs)
		if err != nil {
			t.Fatal(err)
		}
		scratch := filepath.Join(t.TempDir(), strings.Repeat("deeper/", i))
		if err := os.MkdirAll(scratch, 0o755); err != nil {
			t.Fatal(err)
		}
		cfg, layers, err := r.cook(t.Context(), scratch)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Name, cfg.Tags = repository+Runtime, []string{"test"}
		digest, err := Write(filepath.Join(t.TempDir(), "runtime.tar"), cfg, layers...)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("two builds, two digests: %v", digests)
	}
}

func TestOneBunVersionEverywhere(t *testing.T) {
	var root struct {
		PackageManager string `json:"packageManager"`
	}
	if err := json.Unmarshal([]byte(read(t, templateDir+"/package.json")), &root); err != nil {
		t.Fatal(err)
	}
	if root.PackageManager != "bun@"+bun.Version {
		t.Errorf("package.json asks for %s, the images hold bun %s", root.PackageManager, bun.Version)
	}
	for _, workflow := range []string{"ci.yml", "gate.yml"} {
		wants(t, templateDir+"/.github/workflows/"+workflow, "BUN_VERSION: "+bun.Version+"\n")
	}
	wants(t, templateDir+"/README.md", bun.Version)
}

func TestTheLockfileNamesNoRegistry(t *testing.T) {
	if lock := read(t, templateDir+"/bun.lock"); strings.Contains(lock, "://") {
		t.Error("bun.lock names a registry: install with the default one and write it again")
	}
}

func TestTheContainerfileHasTheSameContents(t *testing.T) {
	const file = "e2e/images/Containerfile"
	stages := strings.Split(read(t, file), "FROM scratch AS ")
	if len(stages) != 3 {
		t.Fatalf("%s: want two images from scratch", file)
	}
	for i, cfg := range []Config{controllerConfig("any"), runtimeConfig("any", "any")} {
		var lines []string
		for _, variable := range cfg.Env {
			name, value, _ := strings.Cut(variable, "=")
			if name == "FLYWHEEL_LOCKFILE_DIGEST" {
				value = "${LOCKFILE_DIGEST}"
			}
			lines = append(lines, fmt.Sprintf("ENV %s=%s", name, value))
		}
		lines = append(lines, "USER "+cfg.User, "WORKDIR "+cfg.WorkingDir,
			fmt.Sprintf("ENTRYPOINT [%q]", cfg.Entrypoint[0]))
		for _, line := range lines {
			if !strings.Contains(stages[i+1], line+"\n") {
				t.Errorf("%s, image %d: no line %q", file, i+1, line)
			}
		}
	}
	wants(t, file, Gitleaks.Install, Gitleaks.Ldflags, "@oven/bun-linux-x64@"+bun.Version,
		"--no-install-recommends "+strings.Join(basePackages, " ")+";")
	for _, name := range rootFiles {
		wants(t, file, "src/scaffold/factory/"+name)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(checkout, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func wants(t *testing.T, name string, texts ...string) {
	t.Helper()
	contents := read(t, name)
	for _, text := range texts {
		if !strings.Contains(contents, text) {
			t.Errorf("%s lacks %q", name, text)
		}
	}
}

// fakeCtr puts a ctr on the PATH that keeps its images in a file.
func fakeCtr(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	script := `#!/bin/sh
shift 4 # --address SOCKET --namespace NAMESPACE
case "$1 $2" in
"images ls") echo "REF TYPE DIGEST"; cat "$FAKE_CTR_IMAGES" ;;
"images import") cat "$3" >> "$FAKE_CTR_IMAGES" ;;
"images rm") grep -v "^$3 " "$FAKE_CTR_IMAGES" > "$FAKE_CTR_IMAGES.new"; mv "$FAKE_CTR_IMAGES.new" "$FAKE_CTR_IMAGES" ;;
*) echo "unknown command $*" >&2; exit 1 ;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "ctr"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	images := filepath.Join(dir, "images")
	if err := os.WriteFile(images, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("FAKE_CTR_IMAGES", images)
}

func TestImportBringsWhatIsMissingAndRemovesWhatIsOld(t *testing.T) {
	fakeCtr(t)
	b := repoBed(t)
	build := func(tag string) Image {
		made := Image{Name: Pause, Ref: repository + Pause + ":" + tag, Digest: "sha256:" + tag}
		made.Archive = filepath.Join(t.TempDir(), "archive")
		listing := fmt.Sprintf("%s manifest %s\n%s manifest %s\n", made.Ref, made.Digest, made.Latest(), made.Digest)
		if err := os.WriteFile(made.Archive, []byte(listing), 0o644); err != nil {
			t.Fatal(err)
		}
		return made
	}
	first := build("a")
	for _, step := range []struct {
		image Image
		want  string
	}{
		{first, "1 images, 1 imported, 0 old removed"},
		{first, "1 images, all there"},
		{build("b"), "1 images, 1 imported, 0 old removed"},
		{build("c"), "1 images, 1 imported, 0 old removed"},
		{build("d"), "1 images, 1 imported, 1 old removed"},
	} {
		note, err := Import(context.Background(), b, "/run/socket", []Image{step.image})
		if err != nil {
			t.Fatal(err)
		}
		if note != step.want {
			t.Errorf("importing %s: %q, want %q", step.image.Ref, note, step.want)
		}
	}
	have, err := containerd{"/run/socket"}.images(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if have[first.Ref] != "" || have[repository+Pause+":b"] == "" {
		t.Errorf("left in containerd: %v", have)
	}
}
