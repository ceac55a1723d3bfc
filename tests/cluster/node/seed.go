// The images as containerd keeps them, imported and unpacked once: importing takes longer than everything else at a node's
// start, so each node begins with a copy that shares the files by hard links. What is linked is never written again:
// blobs are named by their content, and a container's changes go to a layer of its own.
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// imageSeed gives the folder with these images, made when it is missing or when an archive has changed.
func imageSeed(cache string, images []string) (string, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(cache, "seed.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, image := range images {
		info, err := os.Stat(image)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, image, info.Size(), info.ModTime().UnixNano())
	}
	seed := filepath.Join(cache, fmt.Sprintf("seed-%x", sum.Sum(nil)[:8]))
	if _, err := os.Stat(seed); err == nil {
		return seed, nil
	}
	fmt.Fprintln(os.Stderr, "node: importing the images, once")
	making := filepath.Join(cache, "making-seed")
	if err := os.RemoveAll(making); err != nil {
		return "", err
	}
	if err := os.Mkdir(making, 0o755); err != nil {
		return "", err
	}
	defer os.RemoveAll(making)
	if err := importImages(making, images); err != nil {
		return "", err
	}
	old, err := filepath.Glob(filepath.Join(cache, "seed-*"))
	if err != nil {
		return "", err
	}
	for _, path := range old {
		if err := os.RemoveAll(path); err != nil {
			return "", err
		}
	}
	return seed, os.Rename(filepath.Join(making, "root"), seed)
}

// importImages fills the folder `root` by means of a containerd that runs for this alone.
func importImages(folder string, images []string) error {
	settings := fmt.Sprintf(`version = 2
root = "%[1]s/root"
state = "%[1]s/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "%[1]s/sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "%[1]s/opt"
`, folder)
	if err := os.WriteFile(filepath.Join(folder, "toml"), []byte(settings), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	daemon := exec.Command("containerd", "--config", filepath.Join(folder, "toml"))
	daemon.Stdout, daemon.Stderr = log, log
	// Its mounts are its own, so that none is left when it is killed.
	daemon.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL, Setsid: true, Unshareflags: syscall.CLONE_NEWNS,
	}
	if err := daemon.Start(); err != nil {
		return err
	}
	defer daemon.Process.Kill()
	socket := filepath.Join(folder, "sock")
	ctr := func(args ...string) error {
		text, err := exec.Command("ctr", append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ctr %s: %s: %w", args[0], text, err)
		}
		return nil
	}
	deadline := time.Now().Add(20 * time.Second)
	for err := ctr("version"); err != nil; err = ctr("version") {
		if time.Now().After(deadline) {
			return fmt.Errorf("containerd does not start: %w; the end of its log:\n%s", err, tail(log.Name(), 15))
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, image := range images {
		if err := ctr("images", "import", "--snapshotter", "overlayfs", image); err != nil {
			return fmt.Errorf("%s: %w", image, err)
		}
	}
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := daemon.Wait(); err != nil {
		return fmt.Errorf("containerd: %w; the end of its log:\n%s", err, tail(log.Name(), 15))
	}
	return nil
}

// Files that never change: blobs, and the content of unpacked layers.
var immutable = regexp.MustCompile(`^(io\.containerd\.content\.v1\.content/blobs/|io\.containerd\.snapshotter\.v1\.overlayfs/snapshots/[0-9]+/fs/)`)

// copySeed makes a containerd folder from the seed: links to what never changes, copies of the rest.
func copySeed(seed, to string) error {
	return filepath.WalkDir(seed, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(seed, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			return copyFolder(path, target)
		}
		if immutable.MatchString(relative) {
			err := os.Link(path, target)
			if !errors.Is(err, unix.EXDEV) {
				return err
			}
			return errors.New("the state folder must be on the same file system as the cache: " + to)
		}
		return copyFile(path, target)
	})
}

func copyFolder(from, to string) error {
	var info unix.Stat_t
	if err := unix.Lstat(from, &info); err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	if err := os.Chown(to, int(info.Uid), int(info.Gid)); err != nil {
		return err
	}
	// Not os.Chmod, which knows the special bits under other numbers.
	if err := unix.Chmod(to, info.Mode&0o7777); err != nil {
		return err
	}
	return copyOpaque(from, to)
}

// copyOpaque keeps the mark of a folder that hides those of the layers below.
func copyOpaque(from, to string) error {
	const mark = "trusted.overlay.opaque"
	value := make([]byte, 8)
	n, err := unix.Lgetxattr(from, mark, value)
	if errors.Is(err, unix.ENODATA) {
		return nil
	}
	if err != nil {
		return err
	}
	return unix.Lsetxattr(to, mark, value[:n], 0)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}
