// The components as processes of the namespace's first process, which is also the parent of every orphan in it: it reaps
// them all, and knows its own by their pids. Nothing is ever restarted by itself; a component that ends is an error.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sort"
	"strings"
	"sync"
	"syscall"
)

// processes are the running components by name.
type processes struct {
	logs string
	mu   sync.Mutex
	pids map[string]int
	// stopped holds those that were stopped on request; each channel closes when its process has been reaped.
	stopped map[int]chan struct{}
	// died gets the error of the first component that ended by itself.
	died chan error
}

func newProcesses(logs string) *processes {
	p := &processes{logs: logs, pids: map[string]int{}, stopped: map[int]chan struct{}{}, died: make(chan error, 1)}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		for range ended {
			p.reap()
		}
	}()
	return p
}

// start runs a program with its output in the component's log. The lock keeps the reaper away until the pid is known.
func (p *processes) start(name, program string, args ...string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(p.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, running := p.pids[name]; running {
		return fmt.Errorf("%s is running", name)
	}
	pid, err := syscall.ForkExec(path, append([]string{program}, args...), &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p.pids[name] = pid
	return nil
}

// stop kills a component and waits until it is gone. It is not asked politely: this is for tests of what happens without it.
func (p *processes) stop(name string) error {
	p.mu.Lock()
	pid, running := p.pids[name]
	if !running {
		p.mu.Unlock()
		return fmt.Errorf("%s is not running", name)
	}
	gone := make(chan struct{})
	p.stopped[pid] = gone
	err := syscall.Kill(pid, syscall.SIGKILL)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	<-gone
	return nil
}

// reap collects every process that has ended, its own and orphans alike.
func (p *processes) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		for name, running := range p.pids {
			if running != pid {
				continue
			}
			delete(p.pids, name)
			if gone, requested := p.stopped[pid]; requested {
				delete(p.stopped, pid)
				close(gone)
				break
			}
			select {
			case p.died <- p.death(name, status):
			default:
			}
		}
	}
}

// death says how a component ended, with the last that it wrote.
func (p *processes) death(name string, status syscall.WaitStatus) error {
	how := fmt.Sprintf("with code %d", status.ExitStatus())
	if status.Signaled() {
		how = "by the signal " + status.Signal().String()
	}
	return fmt.Errorf("%s ended %s; the end of its log:\n%s", name, how, tail(p.log(name), 15))
}

// status lists the components, those that were stopped among them.
func (p *processes) status(known []string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for _, name := range known {
		state := "stopped"
		if pid, running := p.pids[name]; running {
			state = fmt.Sprintf("running %d", pid)
		}
		lines = append(lines, name+" "+state)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func (p *processes) log(name string) string { return p.logs + "/" + name + ".log" }

const longestLine = 240

// tail gives the last lines of a file, cut where they grow longer than anyone reads.
func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	last := all[max(0, len(all)-lines):]
	for i, line := range last {
		if len(line) > longestLine {
			last[i] = line[:longestLine] + "…"
		}
	}
	return strings.Join(last, "\n")
}
