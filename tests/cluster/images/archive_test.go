// The promise of the archives: the same content gives the same bytes, and containerd finds the image's name.
package main

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
)

func archive(t *testing.T, content string) []byte {
	t.Helper()
	folder := t.TempDir()
	l := newLayer(filepath.Join(folder, "layer.tar"))
	l.text("usr/local/bin/hello", content, 0o755)
	l.link("usr/local/bin/hi", "hello")
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "image.tar")
	if err := writeArchive(path, "docker.io/library/hello:1", config{Cmd: []string{"hello"}}, []string{l.file.Name()}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheSameContentGivesTheSameArchive(t *testing.T) {
	if !bytes.Equal(archive(t, "hello"), archive(t, "hello")) {
		t.Error("two archives of the same content differ")
	}
	if bytes.Equal(archive(t, "hello"), archive(t, "good bye")) {
		t.Error("two archives of different content are the same")
	}
}

// entries are the archive's files by their names.
func entries(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if found[head.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheIndexNamesTheImage(t *testing.T) {
	text := entries(t, archive(t, "hello"))["index.json"]
	if want := `"io.containerd.image.name":"docker.io/library/hello:1"`; !strings.Contains(string(text), want) {
		t.Errorf("%s is not in %q", want, text)
	}
}

func TestTheHistoryTellsOfEachLayer(t *testing.T) {
	for _, text := range entries(t, archive(t, "hello")) {
		var config struct {
			Rootfs struct {
				DiffIDs []string `json:"diff_ids"`
			}
			History []any
		}
		if json.Unmarshal(text, &config) != nil || config.Rootfs.DiffIDs == nil {
			continue
		}
		if len(config.History) != len(config.Rootfs.DiffIDs) {
			t.Errorf("%d entries for %d layers", len(config.History), len(config.Rootfs.DiffIDs))
		}
		return
	}
	t.Error("there is no configuration")
}

func TestFoldersComeBeforeWhatIsInThemAndOnlyOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "layer.tar")
	l := newLayer(path)
	l.text("a/b/one", "1", 0o644)
	l.text("a/b/two", "2", 0o644)
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var names []string
	for in := tar.NewReader(file); ; {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, head.Name)
	}
	if got, want := strings.Join(names, " "), "a/ a/b/ a/b/one a/b/two"; got != want {
		t.Errorf("got %q, not %q", got, want)
	}
}
