// Giving back what a lease names. Each step can be repeated, and none stops the others, because a killed node may have
// taken any part of it.
package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// release takes down all that belongs to a node. Only its logs stay, if they are to be kept.
func release(l lease, keepLogs bool) error {
	return withLeases(func(all []lease) error { return releaseLocked(l, all, keepLogs) })
}

func releaseLocked(l lease, all []lease, keepLogs bool) error {
	// The order matters: control groups and the link are free only once no process is left in them.
	errs := []error{killMarked(l), l.Inside.kill(), removeLink(l.link()), removeTable(l.id()), removeCgroups(l.id())}
	last := true
	for _, other := range all {
		last = last && (other.Slot == l.Slot || !other.Supervisor.alive())
	}
	if last && !l.Forwarding {
		errs = append(errs, os.WriteFile(forwardingFile, []byte("0"), 0o644))
	}
	errs = append(errs, removeState(l, keepLogs))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := os.Remove(l.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// reap takes down what killed nodes left.
func reap(all []lease) error {
	var errs []error
	for _, l := range all {
		if !l.Supervisor.alive() {
			errs = append(errs, releaseLocked(l, all, false))
		}
	}
	return errors.Join(errs...)
}

func removeLink(name string) error {
	link, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return err
	}
	// The namespace's end may take the link at the same moment.
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return err
	}
	return nil
}

func removeTable(name string) error {
	tables, err := exec.Command("nft", "list", "tables").Output()
	if err != nil {
		return err
	}
	if !strings.Contains("\n"+string(tables), "\ntable ip "+name+"\n") {
		return nil
	}
	return exec.Command("nft", "delete", "table", "ip", name).Run()
}

// removeCgroups removes the group in every hierarchy, the deepest first. A killed process leaves its group a moment after it
// has ended, hence the second tries.
func removeCgroups(name string) error {
	var errs []error
	for _, top := range cgroupRoots() {
		var groups []string
		err := filepath.WalkDir(filepath.Join(top, name), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return nil
		})
		errs = append(errs, err)
		for i := len(groups) - 1; i >= 0; i-- {
			errs = append(errs, removeCgroup(groups[i]))
		}
	}
	return errors.Join(errs...)
}

func removeCgroup(path string) error {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Rmdir(path)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return &fs.PathError{Op: "rmdir", Path: path, Err: err}
		}
	}
}

func removeState(l lease, keepLogs bool) error {
	if l.Kubeconfig != "" {
		if err := os.Remove(l.Kubeconfig); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	entries, err := os.ReadDir(l.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if keepLogs && entry.Name() == "log" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(l.State, entry.Name())); err != nil {
			return err
		}
	}
	if keepLogs {
		return nil
	}
	return os.Remove(l.State)
}

// watchdog outlives a killed supervisor, whose end it sees as the end of its standard input, and takes its node down.
func watchdog(args []string) error {
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return withLeases(func(all []lease) error {
		for _, l := range all {
			if l.path() != args[0] || l.Supervisor.alive() {
				continue
			}
			return releaseLocked(l, all, false)
		}
		return nil
	})
}
