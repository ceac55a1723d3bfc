// The supervisor: takes what the node needs of this machine, starts it in namespaces of its own, and takes all down again,
// when told to, when its command or its caller ends, or when the node fails.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the arguments of `node up`.
type options struct {
	images                            []string
	coredns, cache, state, kubeconfig string
	untilEOF                          bool
	command                           []string
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	images := flags.String("images", "", "image archives to import, separated by commas")
	flags.StringVar(&o.coredns, "coredns", "", "the CoreDNS program")
	flags.StringVar(&o.cache, "cache", "/var/tmp/mwctl-test", "what is kept between runs")
	flags.StringVar(&o.state, "state", "", "the node's files, removed at the end (default: a folder in the cache)")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "where to write the kubeconfig (default: in the state folder)")
	flags.BoolVar(&o.untilEOF, "until-eof", false, "take the node down at the end of standard input")
	if err := flags.Parse(args); err != nil {
		return o, exitCode(2)
	}
	if *images == "" || o.coredns == "" {
		return o, errors.New("say which --images and which --coredns")
	}
	o.images, o.command = strings.Split(*images, ","), flags.Args()
	for _, path := range []*string{&o.coredns, &o.cache, &o.state, &o.kubeconfig} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return o, err
		}
		if strings.ContainsAny(absolute, " \t\n\"") {
			return o, fmt.Errorf("%q: a path with a space in it does not work here", absolute)
		}
		*path = absolute
	}
	return o, nil
}

func up(args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("this needs root")
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	seed, err := imageSeed(o.cache, o.images)
	if err != nil {
		return err
	}
	l, err := takeLease(o)
	if err != nil {
		return err
	}
	err = supervise(o, &l, seed, signals)
	var code exitCode
	failed := err != nil && !errors.As(err, &code)
	if releaseErr := release(l, failed); releaseErr != nil {
		err = errors.Join(err, releaseErr)
	}
	if failed {
		fmt.Fprintf(os.Stderr, "node: the logs are kept in %s\n", filepath.Join(l.State, "log"))
	}
	return err
}

// takeLease takes down what killed nodes left and reserves a free place on this machine.
func takeLease(o options) (lease, error) {
	l := lease{Supervisor: identify(os.Getpid())}
	err := withLeases(func(all []lease) error {
		if err := reap(all); err != nil {
			return err
		}
		var live []lease
		for _, other := range all {
			if other.Supervisor.alive() {
				live = append(live, other)
				l.Forwarding = other.Forwarding
			}
		}
		if len(live) == 0 {
			text, err := os.ReadFile(forwardingFile)
			if err != nil {
				return err
			}
			l.Forwarding = strings.TrimSpace(string(text)) == "1"
		}
		slot, err := freeSlot(live)
		if err != nil {
			return err
		}
		l.Slot = slot
		if l.State = o.state; l.State == "" {
			l.State = filepath.Join(o.cache, "state", l.id())
		}
		if err := checkState(l.State); err != nil {
			return err
		}
		if o.state == "" {
			// The folder is this place's alone, so what is in it is from before the machine's last start.
			err = os.RemoveAll(l.State)
		} else {
			err = checkEmpty(l.State)
		}
		if err != nil {
			return err
		}
		if err := os.MkdirAll(l.State, 0o755); err != nil {
			return err
		}
		if l.Kubeconfig = o.kubeconfig; l.Kubeconfig == "" {
			l.Kubeconfig = filepath.Join(l.State, "kubeconfig")
		}
		return l.write()
	})
	return l, err
}

// checkEmpty refuses a folder that may be somebody's, since all in it is removed at the end.
func checkEmpty(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("the state folder %s is not empty; choose another one with --state", path)
	}
	return nil
}

// supervise runs the node until something ends it. It gives no error when it was told to end.
func supervise(o options, l *lease, seed string, signals <-chan os.Signal) error {
	begun := time.Now()
	watched, err := startWatchdog(*l)
	if err != nil {
		return err
	}
	defer watched.Close()
	if err := copySeed(seed, filepath.Join(l.State, "containerd")); err != nil {
		return err
	}
	if err := makeCgroups(l.id()); err != nil {
		return err
	}
	reports, err := startInside(o, l)
	if err != nil {
		return err
	}
	select {
	case report := <-reports:
		if report != nil {
			return report
		}
	case received := <-signals:
		return exitCode(128 + int(received.(syscall.Signal)))
	}
	fmt.Fprintf(os.Stderr, "node: %s is ready after %.1f s\n", l.id(), time.Since(begun).Seconds())
	ended := make(chan error, 1)
	if len(o.command) == 0 {
		fmt.Printf("KUBECONFIG=%s\n", l.Kubeconfig)
	} else {
		if err := runCommand(o.command, l, ended); err != nil {
			return err
		}
	}
	if o.untilEOF {
		go func() {
			_, err := io.Copy(io.Discard, os.Stdin)
			ended <- err
		}()
	}
	select {
	case err = <-ended:
	case err = <-reports:
	case received := <-signals:
		if len(o.command) > 0 {
			err = exitCode(128 + int(received.(syscall.Signal)))
		}
	}
	endCommand(*l, ended)
	return err
}

// startInside makes the namespaces with their first process, joins them with this machine, and tells that process to begin.
// The channel gets nothing but `nil` once the node is ready, and the error when it fails.
func startInside(o options, l *lease) (<-chan error, error) {
	command := exec.Command("/proc/self/exe", "inside")
	command.Stderr = os.Stderr
	// Setsid: an interrupt on the terminal is for the supervisor, which then takes the rest down.
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL, Setsid: true,
	}
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start the node's namespaces: %w", err)
	}
	l.Inside = identify(command.Process.Pid)
	if err := l.write(); err != nil {
		return nil, err
	}
	mtu, err := connect(*l, command.Process.Pid)
	if err != nil {
		return nil, err
	}
	servers := nameServers()
	if len(servers) == 0 {
		fmt.Fprintln(os.Stderr, "node: no name server of this machine can be reached from pods: they resolve the cluster's names only")
	}
	err = json.NewEncoder(in).Encode(plan{
		ID: l.id(), State: l.State, Kubeconfig: l.Kubeconfig, HostAddress: l.hostAddress(), NodeAddress: l.nodeAddress(),
		MTU: mtu, NameServers: servers, CoreDNS: o.coredns,
	})
	if err != nil {
		return nil, err
	}
	reports := make(chan error, 2)
	go func() {
		lines := bufio.NewReader(out)
		first, _ := lines.ReadString('\n')
		if first == "ready\n" {
			reports <- nil
			first, _ = lines.ReadString('\n')
		}
		rest, _ := io.ReadAll(lines)
		err := command.Wait()
		if first == "failed\n" {
			err = errors.New(strings.TrimSpace(string(rest)))
		}
		reports <- fmt.Errorf("the node failed: %w", err)
	}()
	return reports, nil
}

// startWatchdog starts the process that takes the node down if this one is killed. It holds on to nothing that a caller could
// wait for, and to a pipe whose other end only this process has.
func startWatchdog(l lease) (io.Closer, error) {
	command := exec.Command("/proc/self/exe", "watchdog", l.path())
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.Dir = "/"
	// Without this one's environment: a node that is started by the command of another one must not take its mark along.
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	pipe, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	return pipe, command.Start()
}
