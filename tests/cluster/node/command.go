// The command that a node is started for: a test suite, a shell. It sees the node by its environment, runs in a process group
// of its own, and ends before the node does. All that descends from it carries a mark, by which it is found when it stays.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How long a command that was told to end may take before it is killed with all that it started.
const commandGrace = 10 * time.Second

// runCommand starts it; `ended` gets its exit code.
func runCommand(argv []string, l *lease, ended chan<- error) error {
	command := exec.Command(argv[0], argv[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(),
		"KUBECONFIG="+l.Kubeconfig, "MWCTL_TEST_KUBECONFIG="+l.Kubeconfig, "MWCTL_TEST_STATE="+l.State, l.mark())
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// On a terminal the command gets the keyboard: a shell needs it, and an interrupt then ends it like any other command.
	if _, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS); err == nil {
		command.SysProcAttr.Foreground, command.SysProcAttr.Ctty = true, int(os.Stdin.Fd())
	}
	if err := command.Start(); err != nil {
		return err
	}
	l.Command = identify(command.Process.Pid)
	if err := l.write(); err != nil {
		return err
	}
	go func() {
		err := command.Wait()
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit) && exit.Exited():
			ended <- exitCode(exit.ExitCode())
		case errors.As(err, &exit):
			ended <- exitCode(128 + int(exit.Sys().(syscall.WaitStatus).Signal()))
		default:
			ended <- err
		}
	}()
	return nil
}

// endCommand asks the command's process group to end. What does not is killed when the lease is released.
func endCommand(l lease, ended <-chan error) {
	if !l.Command.alive() {
		return
	}
	_ = unix.Kill(-l.Command.Pid, unix.SIGTERM)
	select {
	case <-ended:
	case <-time.After(commandGrace):
		fmt.Fprintln(os.Stderr, "node: the command did not end when told to; it is killed")
	}
}

// mark is a variable in the environment of the command and of all that it starts. Process groups and sessions can be left,
// as a service that a test starts may do; this cannot by accident.
func (l lease) mark() string {
	return fmt.Sprintf("MWCTL_TEST_LEASE=%d-%s", l.Supervisor.Pid, l.Supervisor.Started)
}

// killMarked kills what is left of the command, again and again, because a process may start another before it is killed.
func killMarked(l lease) error {
	for {
		environments, err := filepath.Glob("/proc/[0-9]*/environ")
		if err != nil {
			return err
		}
		found := false
		for _, path := range environments {
			pid, err := strconv.Atoi(strings.Split(path, "/")[2])
			if err != nil || pid == os.Getpid() {
				continue
			}
			marked := identify(pid)
			text, err := os.ReadFile(path)
			if err != nil || !strings.Contains("\x00"+string(text), "\x00"+l.mark()+"\x00") {
				continue
			}
			found = true
			if err := marked.kill(); err != nil {
				return err
			}
		}
		if !found {
			return nil
		}
	}
}
