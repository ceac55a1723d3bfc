// The node's own control group, so that two nodes on one machine do not share the kubelet's default one.
package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// cgroupRoots are the mount points of all hierarchies: one with version 2, one per controller with version 1.
func cgroupRoots() []string {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil
	}
	var roots []string
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			roots = append(roots, fields[1])
		}
	}
	return roots
}

// makeCgroups makes the group in every hierarchy. What a hierarchy lacks is passed over: the kubelet says which it needs.
func makeCgroups(name string) error {
	for _, root := range cgroupRoots() {
		path := filepath.Join(root, name)
		enableControllers(root)
		if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		enableControllers(path)
		// A version 1 cpuset starts empty and takes no process until it has processors and memory.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if value, err := os.ReadFile(filepath.Join(root, file)); err == nil {
				if err := os.WriteFile(filepath.Join(path, file), value, 0o644); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// enableControllers passes a version 2 group's controllers on to its children, one by one: some kernels refuse some of them.
func enableControllers(group string) {
	controllers, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	if err != nil {
		return
	}
	for _, name := range strings.Fields(string(controllers)) {
		_ = os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+"+name), 0o644)
	}
}
