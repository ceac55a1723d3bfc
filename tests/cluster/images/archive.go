// Writes an OCI image archive (image-layout in a tar) whose bytes depend on nothing but its content.
package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// The time stamp of everything that is made here, and the epoch mmdebstrap is told.
var epoch = time.Unix(1700000000, 0).UTC()

// config is the part of an image's configuration that these images use.
type config struct {
	Env        []string `json:"Env,omitempty"`
	Entrypoint []string `json:"Entrypoint,omitempty"`
	Cmd        []string `json:"Cmd,omitempty"`
	WorkingDir string   `json:"WorkingDir,omitempty"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

// writeArchive packs the layers (uncompressed tar files) as the image `name`. Layers stay uncompressed because importing an
// image into a node on the same machine is then a plain copy.
func writeArchive(path, name string, config config, layers []string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := tar.NewWriter(file)
	var described []descriptor
	var diffs []string
	// Buildah refuses an image whose history doesn't tell of every layer.
	var history []map[string]any
	for _, layer := range layers {
		blob, err := addLayer(out, layer)
		if err != nil {
			return err
		}
		described = append(described, blob)
		diffs = append(diffs, blob.Digest)
		history = append(history, map[string]any{"created": epoch, "created_by": "tests/cluster/images"})
	}
	configBlob, err := addJSON(out, configType, map[string]any{
		"created": epoch, "architecture": runtime.GOARCH, "os": "linux", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs}, "history": history,
	})
	if err != nil {
		return err
	}
	manifest, err := addJSON(out, manifestType, map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": configBlob, "layers": described,
	})
	if err != nil {
		return err
	}
	manifest.Annotations = map[string]string{
		"io.containerd.image.name":          name,
		"org.opencontainers.image.ref.name": name[strings.LastIndex(name, ":")+1:],
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifest}})
	if err != nil {
		return err
	}
	if err := addFile(out, "index.json", index); err != nil {
		return err
	}
	if err := addFile(out, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return file.Close()
}

// addLayer copies a layer's file into the archive under its digest.
func addLayer(out *tar.Writer, path string) (descriptor, error) {
	file, err := os.Open(path)
	if err != nil {
		return descriptor{}, err
	}
	defer file.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	if err != nil {
		return descriptor{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return descriptor{}, err
	}
	hash := fmt.Sprintf("%x", sum.Sum(nil))
	if err := out.WriteHeader(header("blobs/sha256/"+hash, size)); err != nil {
		return descriptor{}, err
	}
	if _, err := io.Copy(out, file); err != nil {
		return descriptor{}, err
	}
	return descriptor{MediaType: layerType, Digest: "sha256:" + hash, Size: size}, nil
}

func addJSON(out *tar.Writer, mediaType string, value any) (descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, err
	}
	hash := fmt.Sprintf("%x", sha256.Sum256(text))
	return descriptor{MediaType: mediaType, Digest: "sha256:" + hash, Size: int64(len(text))},
		addFile(out, "blobs/sha256/"+hash, text)
}

func addFile(out *tar.Writer, name string, content []byte) error {
	if err := out.WriteHeader(header(name, int64(len(content)))); err != nil {
		return err
	}
	_, err := out.Write(content)
	return err
}

func header(name string, size int64) *tar.Header {
	return &tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: epoch, Format: tar.FormatPAX}
}
