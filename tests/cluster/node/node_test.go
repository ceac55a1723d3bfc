// The parts of the supervisor that can be wrong without any node: who is alive, which addresses are free, what a kubeconfig says.
package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
	"k8s.io/client-go/tools/clientcmd"
)

func TestAProcessIsAliveUntilItIsKilled(t *testing.T) {
	command := exec.Command("sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := identify(command.Process.Pid)
	if !p.alive() {
		t.Error("a running process is not alive")
	}
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	if p.alive() {
		t.Error("a killed process that nobody has waited for is alive")
	}
	if err := command.Wait(); err == nil {
		t.Error("the process ended by itself")
	}
}

func TestAnotherProcessWithTheSamePidIsNotTheSame(t *testing.T) {
	if (process{Pid: os.Getpid(), Started: "1"}).alive() {
		t.Error("a pid alone was enough")
	}
	if (process{}).alive() {
		t.Error("no process is alive")
	}
}

func TestAnAddressIsTakenByARouteButNotByTheDefaultRoute(t *testing.T) {
	route := func(text string) netlink.Route {
		_, to, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		return netlink.Route{Dst: to}
	}
	address := net.ParseIP("10.230.7.2")
	for text, want := range map[string]bool{"0.0.0.0/0": false, "10.230.8.0/24": false, "10.230.0.0/16": true, "10.0.0.0/8": true} {
		if got := routed([]netlink.Route{{}, route(text)}, address); got != want {
			t.Errorf("%s: %v, not %v", text, got, want)
		}
	}
}

func TestWhatIsLinkedIsNeverWrittenAgain(t *testing.T) {
	for path, want := range map[string]bool{
		"io.containerd.content.v1.content/blobs/sha256/ab":                      true,
		"io.containerd.snapshotter.v1.overlayfs/snapshots/12/fs/usr/bin/node":   true,
		"io.containerd.snapshotter.v1.overlayfs/metadata.db":                    false,
		"io.containerd.metadata.v1.bolt/meta.db":                                false,
		"io.containerd.content.v1.content/ingest/x/data":                        false,
		"io.containerd.snapshotter.v1.overlayfs/snapshots/new-1/work/something": false,
	} {
		if got := immutable.MatchString(path); got != want {
			t.Errorf("%s: %v, not %v", path, got, want)
		}
	}
}

func TestTheStateFolderCannotBeWhereTheNodeHidesTheMachine(t *testing.T) {
	for path, want := range map[string]bool{"/var/lib/x": false, "/run/x": false, "/var/library": true, "/home/me/.cache/x": true} {
		if got := checkState(path) == nil; got != want {
			t.Errorf("%s: %v, not %v", path, got, want)
		}
	}
}

func TestTheKubeconfigNamesItsContextAndTheNodesSocket(t *testing.T) {
	p := plan{ID: "mwctl-test-3", State: "/state", NodeAddress: "10.230.3.2"}
	text, err := kubeconfig(p, []byte("ca"), pair{cert: []byte("cert"), key: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	cluster := config.Clusters[config.Contexts[config.CurrentContext].Cluster]
	if config.CurrentContext != p.ID || cluster.Server != "https://10.230.3.2:6443" || cluster.Extensions["mwctl"] == nil {
		t.Errorf("got %s", text)
	}
}

func TestTheEndOfALogIsCutInBothDirections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	long := make([]byte, 2*longestLine)
	for i := range long {
		long[i] = 'x'
	}
	if err := os.WriteFile(path, append([]byte("one\ntwo\n"), long...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := tail(path, 2), "two\n"+string(long[:longestLine])+"…"; got != want {
		t.Errorf("got %q, not %q", got, want)
	}
}
