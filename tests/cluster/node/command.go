// The command that a node is started for: a test suite, a shell. It sees the node by its environment, runs in a process group
// of its own, and ends before the node does.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
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
		"KUBECONFIG="+l.Kubeconfig, "MWCTL_TEST_KUBECONFIG="+l.Kubeconfig, "MWCTL_TEST_STATE="+l.State)
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

// endCommand ends what is left of the command's process group: asked first, then killed.
func endCommand(l lease, ended <-chan error) error {
	if l.Command.Pid == 0 {
		return nil
	}
	if l.Command.alive() {
		_ = unix.Kill(-l.Command.Pid, unix.SIGTERM)
		select {
		case <-ended:
		case <-time.After(commandGrace):
			fmt.Fprintln(os.Stderr, "node: the command did not end when told to; it is killed")
		}
	}
	if err := unix.Kill(-l.Command.Pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}
