// Makes the test bed's images from Debian packages and this machine's node, without any registry: OCI image archives that
// containerd imports and that the host can read as they are. It knows nothing of Kubernetes; `node` imports what it makes.
//
//	images OUT     makes what is missing or out of date in the folder OUT and prints the archives' paths, one a line
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// A child is told of its parent's end when the *thread* that made it ends; the main thread lasts as long as the process.
func init() { runtime.LockOSThread() }

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: images OUT")
		os.Exit(2)
	}
	if err := makeAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// makeAll builds each image whose inputs have changed. Two runs at once wait for each other.
func makeAll(out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(out, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if err := removeKilled(out); err != nil {
		return err
	}
	images, err := recipes()
	if err != nil {
		return err
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	for _, image := range images {
		path := filepath.Join(out, fmt.Sprintf("%s-%s.tar", image.file, key(self, image)))
		if _, err := os.Stat(path); err != nil {
			fmt.Fprintf(os.Stderr, "making the image %s\n", image.name)
			if err := makeOne(out, path, image); err != nil {
				return fmt.Errorf("%s: %w", image.name, err)
			}
		}
		fmt.Println(path)
	}
	return nil
}

// removeKilled removes the working folders of runs that were killed; the lock says that no other run is alive.
func removeKilled(out string) error {
	folders, err := filepath.Glob(filepath.Join(out, "making-*"))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}

// makeOne writes the archive under a name of its own first, so that a killed run leaves no half archive behind.
func makeOne(out, path string, image recipe) error {
	old, err := filepath.Glob(filepath.Join(out, image.file+"-*.tar"))
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(out, "making-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	layers, err := image.layers(work)
	if err != nil {
		return err
	}
	archive := filepath.Join(work, "archive.tar")
	if err := writeArchive(archive, image.name, image.config, layers); err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return os.Rename(archive, path)
}

// key names an image by everything that decides its content: this program (which holds the recipes) and the host's files.
func key(self []byte, image recipe) string {
	sum := sha256.New()
	sum.Write(self)
	sum.Write([]byte(strings.Join(image.inputs, "\x00")))
	return hex.EncodeToString(sum.Sum(nil))[:16]
}
