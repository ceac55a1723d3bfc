// Leases: what a running node holds of the machine, written down so that its watchdog, or the next start, can give it back
// after a kill. A lease is a file in /run, so it ends with the machine's boot like everything it names.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const leaseDir = "/run/mwctl-test"

// process names a process for good: a pid alone may be another's by now.
type process struct {
	Pid     int    `json:"pid"`
	Started string `json:"started"`
}

type lease struct {
	Slot       int     `json:"slot"`
	State      string  `json:"state"`
	Kubeconfig string  `json:"kubeconfig"`
	Supervisor process `json:"supervisor"`
	// Inside is the first process of the node's namespaces; killing it makes the kernel kill all the others.
	Inside process `json:"inside"`
	// Command is the process of the command that the node was started for, and its process group's leader.
	Command process `json:"command"`
	// Forwarding is whether this machine forwarded packets before the first node was started.
	Forwarding bool `json:"forwarding"`
}

// id is the name of the node, its kubeconfig context, its firewall table and its control group.
func (l lease) id() string { return fmt.Sprintf("mwctl-test-%d", l.Slot) }

func (l lease) path() string { return filepath.Join(leaseDir, fmt.Sprintf("%d.json", l.Slot)) }

func (l lease) write() error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	next := l.path() + ".new"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	return os.Rename(next, l.path())
}

func readLease(path string) (lease, error) {
	var l lease
	text, err := os.ReadFile(path)
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// withLeases calls `do` with all leases while no other node can take or give back one.
func withLeases(do func([]lease) error) error {
	if err := os.MkdirAll(leaseDir, 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(leaseDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(leaseDir, "*.json"))
	if err != nil {
		return err
	}
	var leases []lease
	for _, path := range paths {
		l, err := readLease(path)
		if err != nil {
			return err
		}
		leases = append(leases, l)
	}
	return do(leases)
}

// identify gives the process that has this pid now.
func identify(pid int) process { return process{Pid: pid, Started: startTime(pid)} }

// alive tells whether it is still the same process, and not only its remains that wait for a parent.
func (p process) alive() bool { return p.Pid != 0 && p.Started != "" && startTime(p.Pid) == p.Started }

// startTime is field 22 of /proc/PID/stat, or nothing for a process that has ended. The name in field 2 may hold anything.
func startTime(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

// kill ends the process and waits until it, and for the first process of a namespace all others in it, are gone.
func (p process) kill() error {
	if !p.alive() {
		return nil
	}
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !p.alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(20 * time.Second); ; {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("process %d does not end", p.Pid)
		}
		n, err := unix.Poll(polled, int(left.Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n == 1 {
			return nil
		}
	}
}
