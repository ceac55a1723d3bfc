// The first process of the node's own pid, mount and network namespaces. It makes them fit, starts the components, and reports
// to the supervisor on standard output: one line `ready`, or `failed` and why. When it ends, the kernel ends all in there.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const startLimit = 90 * time.Second

// inside reads its plan from standard input, which the supervisor writes when the link between the namespaces is there.
func inside(_ []string) error {
	var p plan
	if err := json.NewDecoder(os.Stdin).Decode(&p); err != nil {
		// The supervisor was killed, or gave up, before the node had begun.
		return fmt.Errorf("no plan: %w", err)
	}
	n := &node{plan: p, processes: newProcesses(p.in("log"))}
	failed := make(chan error, 1)
	go func() {
		if err := n.begin(); err != nil {
			failed <- err
			return
		}
		fmt.Println("ready")
	}()
	var err error
	select {
	case err = <-failed:
	case err = <-n.processes.died:
	}
	fmt.Printf("failed\n%s\n", err)
	return exitCode(1)
}

// node is the plan and what runs of it.
type node struct {
	plan      plan
	processes *processes
}

func (n *node) begin() error {
	for _, step := range []func() error{
		func() error { return isolate(n.plan) },
		func() error { return connectInside(n.plan) },
		func() error { return writeSettings(n.plan) },
		n.startAll,
		n.listen,
		n.publish,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// isolate gives the namespace a /proc of its own and private places for all that the components write outside of the state
// folder: pod logs, the kubelet's and the network plugins' folders, sockets, and the pods' network namespaces in /run/netns.
func isolate(p plan) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// Shared among the node's own containers, as volumes that pass mounts on demand it; nothing leads back to the machine.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make mounts shared: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("run", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	for folder, over := range map[string]string{"var-lib": "/var/lib", "var-log": "/var/log"} {
		if err := os.MkdirAll(p.in(folder), 0o755); err != nil {
			return err
		}
		if err := unix.Mount(p.in(folder), over, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", over, err)
		}
	}
	return nil
}

// checkState refuses folders that `isolate` hides, and those whose sockets' names would be too long for the kernel.
func checkState(state string) error {
	for _, hidden := range []string{"/run", "/var/run", "/var/lib", "/var/log", "/proc", "/sys"} {
		if strings.HasPrefix(state+"/", hidden+"/") {
			return fmt.Errorf("the state folder %s cannot be in %s; choose another one with --state", state, hidden)
		}
	}
	if socket := filepath.Join(state, "containerd.sock.ttrpc"); len(socket) > 107 {
		return fmt.Errorf("the path %s is too long for a socket; choose a shorter one with --state", socket)
	}
	return nil
}
