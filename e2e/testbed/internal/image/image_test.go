package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tree makes a directory with the same contents but, by variant, other modes,
// times and order of creation.
func tree(t *testing.T, umask os.FileMode, when time.Time, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755&^umask); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(name, "bin/") {
			mode = 0o755
		}
		if err := os.WriteFile(file, []byte("contents of "+name), mode&^umask); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("bin/tool", filepath.Join(dir, "tool")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func example(dir string) (Config, Layer) {
	var layer Layer
	layer.Tree("/opt/example", dir, func(file string) bool { return file != "left.out" })
	layer.Data("/etc/passwd", []byte("root:x:0:0::/:\n"), 0o644)
	layer.Dir("/tmp", 0o1777)
	return Config{
		Name: "localhost/flywheel/example", Tags: []string{"one", "dev"}, User: "65532:65532",
		Entrypoint: []string{"/opt/example/bin/tool"}, Labels: map[string]string{"b": "2", "a": "1"},
	}, layer
}

func TestEqualContentsMakeEqualArchives(t *testing.T) {
	first := tree(t, 0, time.Unix(1, 0), "bin/tool", "lib/a/b.txt", "left.out")
	second := tree(t, 0o077, time.Now(), "left.out", "lib/a/b.txt", "bin/tool")
	var digests []string
	var archives [][]byte
	for _, dir := range []string{first, second} {
		cfg, layer := example(dir)
		dst := filepath.Join(t.TempDir(), "image.tar")
		digest, err := Write(dst, cfg, layer)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(dst)
		if err != nil {
			t.Fatal(err)
		}
		digests, archives = append(digests, digest), append(archives, data)
	}
	if digests[0] != digests[1] {
		t.Errorf("digests differ: %v", digests)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the archives differ")
	}
}

func TestContentsChangeTheDigest(t *testing.T) {
	dir := tree(t, 0, epoch, "bin/tool")
	cfg, layer := example(dir)
	before, err := Write(filepath.Join(t.TempDir(), "i.tar"), cfg, layer)
	if err != nil {
		t.Fatal(err)
	}
	cfg.User = "0"
	after, err := Write(filepath.Join(t.TempDir(), "i.tar"), cfg, layer)
	if err != nil || after == before {
		t.Errorf("another user: digest %s, was %s, error %v", after, before, err)
	}
}

func TestLayerOrderModesAndOwners(t *testing.T) {
	_, layer := example(tree(t, 0o077, time.Now(), "bin/tool", "lib/x"))
	var out bytes.Buffer
	if err := layer.writeTo(&out); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"etc/ 755", "etc/passwd 644", "opt/ 755", "opt/example/ 755", "opt/example/bin/ 755",
		"opt/example/bin/tool 755", "opt/example/lib/ 755", "opt/example/lib/x 644",
		"opt/example/tool 777 -> bin/tool", "tmp/ 1777",
	}
	var got []string
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(epoch) {
			t.Errorf("%s: owner %d:%d %q, time %s", h.Name, h.Uid, h.Gid, h.Uname, h.ModTime)
		}
		line := h.Name + " " + octal(h.Mode)
		if h.Linkname != "" {
			line += " -> " + h.Linkname
		}
		got = append(got, line)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func octal(mode int64) string {
	const digits = "01234567"
	text := ""
	for ; mode > 0; mode >>= 3 {
		text = string(digits[mode&7]) + text
	}
	return text
}

func TestTheIndexNamesEveryTag(t *testing.T) {
	cfg, layer := example(tree(t, 0, epoch, "bin/tool"))
	dst := filepath.Join(t.TempDir(), "image.tar")
	digest, err := Write(dst, cfg, layer)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(dst)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var index struct{ Manifests []descriptor }
	for r := tar.NewReader(file); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatal("no index.json: ", err)
		}
		if h.Name == "index.json" {
			if err := json.NewDecoder(r).Decode(&index); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	for i, tag := range cfg.Tags {
		got := index.Manifests[i]
		if got.Digest != digest || got.Annotations["io.containerd.image.name"] != cfg.Name+":"+tag {
			t.Errorf("tag %s: %+v", tag, got)
		}
	}
}

func TestMistakesAreReported(t *testing.T) {
	for what, make := range map[string]func(*Layer){
		"two files for /a":  func(l *Layer) { l.Data("/a", nil, 0); l.Data("a", nil, 0) },
		"no such file":      func(l *Layer) { l.File("/a", "/does/not/exist", 0) },
		"/a is a file, and": func(l *Layer) { l.Data("/a", nil, 0); l.Data("/a/b", nil, 0) },
	} {
		var layer Layer
		make(&layer)
		_, err := Write(filepath.Join(t.TempDir(), "i.tar"), Config{Name: "x"}, layer)
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want an error with %q, got %v", what, err)
		}
	}
}

func TestHistoryKeepsTheLastImports(t *testing.T) {
	h := history{}
	for _, ref := range []string{"a", "b", "c", "b"} {
		if old := h.add("runtime", ref); len(old) > 0 {
			t.Errorf("%s: removed %v too early", ref, old)
		}
	}
	if old := h.add("runtime", "d"); len(old) != 1 || old[0] != "a" {
		t.Errorf("removed %v, want a", old)
	}
}
