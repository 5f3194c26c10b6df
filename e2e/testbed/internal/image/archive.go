package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Media types of the OCI image format. Layers stay uncompressed: they are only
// moved within this machine, and a compressor's version would be in the digest.
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar"
)

// Config is what an image says about itself.
type Config struct {
	// Name is the repository, such as localhost/flywheel/runtime.
	Name string
	// Tags are the names the archive gives the image.
	Tags       []string
	User       string
	Entrypoint []string
	Env        []string
	WorkingDir string
	Labels     map[string]string
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// blob is one content-addressed member of the archive.
type blob struct {
	descriptor
	write func(io.Writer) error
}

// Write makes the archive dst: an OCI image layout, as `ctr images import`
// reads it, with the file that lets `docker load` and `podman load` read it
// too. Equal input makes an equal file. It returns the manifest's digest.
func Write(dst string, cfg Config, layers ...Layer) (digest string, err error) {
	var blobs []blob
	for i := range layers {
		layer, err := newBlob(typeLayer, layers[i].writeTo)
		if err != nil {
			return "", fmt.Errorf("layer %d: %w", i+1, err)
		}
		blobs = append(blobs, layer)
	}
	config, err := jsonBlob(typeConfig, cfg.document(blobs))
	if err != nil {
		return "", err
	}
	var descriptors []descriptor
	for _, layer := range blobs {
		descriptors = append(descriptors, layer.descriptor)
	}
	manifest, err := jsonBlob(typeManifest, map[string]any{
		"schemaVersion": 2,
		"mediaType":     typeManifest,
		"config":        config.descriptor,
		"layers":        descriptors,
	})
	if err != nil {
		return "", err
	}
	members, err := cfg.members(manifest, config, blobs)
	if err != nil {
		return "", err
	}
	if err := writeArchive(dst, members); err != nil {
		return "", fmt.Errorf("write %s: %w", dst, err)
	}
	return manifest.Digest, nil
}

// document is the image's configuration in the OCI format.
func (cfg Config) document(layers []blob) any {
	ids := []string{}
	history := []any{}
	for _, layer := range layers {
		ids = append(ids, layer.Digest)
		history = append(history, map[string]string{"created": epoch.Format("2006-01-02T15:04:05Z")})
	}
	return map[string]any{
		"created":      epoch.Format("2006-01-02T15:04:05Z"),
		"architecture": architecture,
		"os":           "linux",
		"config": map[string]any{
			"User": cfg.User, "Entrypoint": cfg.Entrypoint, "Env": cfg.Env,
			"WorkingDir": cfg.WorkingDir, "Labels": cfg.Labels,
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": ids},
		"history": history,
	}
}

// member is one file of the archive.
type member struct {
	name  string
	size  int64
	write func(io.Writer) error
}

func (cfg Config) members(manifest, config blob, layers []blob) ([]member, error) {
	var refs []string
	var named []descriptor
	for _, tag := range cfg.Tags {
		ref := cfg.Name + ":" + tag
		refs = append(refs, ref)
		d := manifest.descriptor
		d.Annotations = map[string]string{
			"io.containerd.image.name":          ref,
			"org.opencontainers.image.ref.name": tag,
		}
		named = append(named, d)
	}
	files := map[string]any{
		"oci-layout": map[string]string{"imageLayoutVersion": "1.0.0"},
		"index.json": map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": named},
	}
	var paths []string
	byPath := map[string]member{}
	for _, b := range append([]blob{manifest, config}, layers...) {
		m := member{b.path(), b.Size, b.write}
		byPath[m.name] = m // equal layers are one member
	}
	for _, layer := range layers {
		paths = append(paths, layer.path())
	}
	files["manifest.json"] = []any{map[string]any{"Config": config.path(), "RepoTags": refs, "Layers": paths}}
	for name, value := range files {
		b, err := jsonBlob("", value)
		if err != nil {
			return nil, err
		}
		byPath[name] = member{name, b.Size, b.write}
	}
	var members []member
	for _, m := range byPath {
		members = append(members, m)
	}
	sort.Slice(members, func(i, j int) bool { return members[i].name < members[j].name })
	return members, nil
}

func (b blob) path() string { return "blobs/" + strings.Replace(b.Digest, ":", "/", 1) }

func jsonBlob(mediaType string, value any) (blob, error) {
	data, err := json.Marshal(value) // sorts the keys of maps
	if err != nil {
		return blob{}, err
	}
	return newBlob(mediaType, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// newBlob runs write once for the digest. Writing a second time into the
// archive costs less than keeping hundreds of megabytes in between.
func newBlob(mediaType string, write func(io.Writer) error) (blob, error) {
	hash := sha256.New()
	var size counter
	if err := write(io.MultiWriter(hash, &size)); err != nil {
		return blob{}, err
	}
	digest := "sha256:" + hex.EncodeToString(hash.Sum(nil))
	return blob{descriptor{MediaType: mediaType, Digest: digest, Size: int64(size)}, write}, nil
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// writeArchive writes beside dst and moves it there whole: whoever sees dst
// sees all of it.
func writeArchive(dst string, members []member) (err error) {
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(dst), ".unfinished-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // gone already when all went well
	defer file.Close()
	archive := tar.NewWriter(file)
	for _, m := range members {
		header := tar.Header{Typeflag: tar.TypeReg, Name: m.name, Mode: 0o644, Size: m.size, ModTime: epoch}
		if err := archive.WriteHeader(&header); err != nil {
			return err
		}
		hash := sha256.New()
		if err := m.write(io.MultiWriter(archive, hash)); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		sum := hex.EncodeToString(hash.Sum(nil))
		if strings.HasPrefix(m.name, "blobs/") && !strings.HasSuffix(m.name, sum) {
			return fmt.Errorf("%s: a file changed while the image was made: run it again", m.name)
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if err := file.Chmod(0o644); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), dst)
}
