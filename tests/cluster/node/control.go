// The control socket: how a test stops a component of the running node and brings it back.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
)

// listen serves the socket `control` in the state folder: one command a connection, answered with `ok`, the status, or an error.
func (n *node) listen() error {
	socket, err := net.Listen("unix", n.plan.in("control"))
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				line, err := bufio.NewReader(conn).ReadString('\n')
				if err != nil {
					return
				}
				fmt.Fprintln(conn, n.obey(strings.Fields(line)))
			}()
		}
	}()
	return nil
}

func (n *node) obey(words []string) string {
	var err error
	switch {
	case len(words) == 1 && words[0] == "status":
		return n.processes.status(names)
	case len(words) == 2 && words[0] == "stop":
		err = n.processes.stop(words[1])
	case len(words) == 2 && words[0] == "start":
		if err = n.start(words[1]); err == nil && words[1] == "apiserver" {
			err = n.answers(startLimit)
		}
	default:
		err = errors.New("say: status, stop COMPONENT or start COMPONENT")
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return "ok"
}

// ctl sends one command to a running node.
func ctl(args []string) error {
	flags := flag.NewFlagSet("ctl", flag.ContinueOnError)
	state := flags.String("state", "", "the node's state folder")
	if err := flags.Parse(args); err != nil {
		return exitCode(2)
	}
	conn, err := net.Dial("unix", filepath.Join(*state, "control"))
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, strings.Join(flags.Args(), " ")); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if text, failed := strings.CutPrefix(string(answer), "error: "); failed {
		return errors.New(strings.TrimSpace(text))
	}
	fmt.Print(string(answer))
	return nil
}
