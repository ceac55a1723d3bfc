// What each image is made of. The names are those that the shipped conventions ask for, and the layout is that of the
// images which carry these names in public: programs in /usr/local/bin, the same entry points and users.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	caBundle   = "/etc/ssl/certs/ca-certificates.crt"
)

// recipe is one image: what its archive is called, what decides its content, and how its layers are made.
type recipe struct {
	name, file string
	config     config
	inputs     []string
	layers     func(work string) ([]string, error)
}

func recipes() ([]recipe, error) {
	host, err := findHost()
	if err != nil {
		return nil, err
	}
	return []recipe{
		{
			name: "registry.k8s.io/pause:3.10", file: "pause",
			config: config{Entrypoint: []string{"/pause"}},
			layers: pauseLayers,
		},
		{
			name: "docker.io/library/redis:7-bookworm", file: "redis",
			config: config{Env: []string{searchPath}, Entrypoint: []string{"redis-server"}, WorkingDir: "/data"},
			layers: redisLayers,
		},
		{
			name: "docker.io/library/node:20-bookworm-slim", file: "node",
			config: config{
				Env:        []string{searchPath, "NODE_VERSION=" + host.nodeVersion},
				Entrypoint: []string{"docker-entrypoint.sh"}, Cmd: []string{"node"}, WorkingDir: "/",
			},
			inputs: host.inputs(),
			layers: host.nodeLayers,
		},
	}, nil
}

// host is what of this machine goes into the node image.
type host struct {
	node, nodeVersion, npm, npmVersion, npmrc, caSum string
}

func findHost() (host, error) {
	var h host
	var err error
	if h.node, err = output("node", "-p", "process.execPath"); err != nil {
		return h, err
	}
	version, err := output(h.node, "--version")
	if err != nil {
		return h, err
	}
	h.nodeVersion = strings.TrimPrefix(version, "v")
	if err := h.findNpm(); err != nil {
		return h, err
	}
	h.npmrc += "cafile=" + caBundle + "\n"
	bundle, err := os.ReadFile(caBundle)
	if errors.Is(err, os.ErrNotExist) {
		return h, fmt.Errorf("no %s; type: apt-get install ca-certificates", caBundle)
	}
	h.caSum = fmt.Sprintf("%x", sha256.Sum256(bundle))
	return h, err
}

// findNpm asks npm once, since each question to it takes a third of a second.
func (h *host) findNpm() error {
	link, err := exec.LookPath("npm")
	if err != nil {
		return err
	}
	program, err := filepath.EvalSymlinks(link)
	if err != nil {
		return err
	}
	// The program is bin/npm-cli.js in npm's folder.
	h.npm = filepath.Dir(filepath.Dir(program))
	text, err := output("npm", "config", "list", "--long", "--json")
	if err != nil {
		return err
	}
	var settings map[string]any
	if err := json.Unmarshal([]byte(text), &settings); err != nil {
		return fmt.Errorf("npm config list: %w", err)
	}
	h.npmVersion, _ = settings["npm-version"].(string)
	// Pods fetch packages from where this machine does. A proxy or a registry of its own stays out of the repository:
	// it is read here, when the image is made.
	for _, key := range []string{"registry", "proxy", "https-proxy"} {
		if value, _ := settings[key].(string); value != "" {
			h.npmrc += key + "=" + value + "\n"
		}
	}
	return nil
}

func (h host) inputs() []string {
	return []string{h.node, h.nodeVersion, h.npm, h.npmVersion, h.npmrc, h.caSum}
}

func (h host) nodeLayers(work string) ([]string, error) {
	base := filepath.Join(work, "base.tar")
	// The packages php-cli and python3 are for services in these languages: one image serves all samples.
	if err := debootstrap(base, "libstdc++6,python3,php-cli,busybox,ca-certificates",
		`chroot "$1" useradd --uid 1000 --user-group --create-home --shell /bin/bash node`); err != nil {
		return nil, err
	}
	path := filepath.Join(work, "node.tar")
	l := newLayer(path)
	l.copy(strings.TrimPrefix(caBundle, "/"), caBundle, 0o644)
	l.copy("usr/local/bin/node", h.node, 0o755)
	l.link("usr/local/bin/nodejs", "node")
	l.link("usr/local/bin/npm", "../lib/node_modules/npm/bin/npm-cli.js")
	l.link("usr/local/bin/npx", "../lib/node_modules/npm/bin/npx-cli.js")
	l.text("usr/local/bin/docker-entrypoint.sh", nodeEntrypoint, 0o755)
	l.text("usr/local/etc/npmrc", h.npmrc, 0o644)
	l.tree("usr/local/lib/node_modules/npm", h.npm)
	return []string{base, path}, l.close()
}

// nodeEntrypoint runs `node` when it is given a script or options instead of a program.
const nodeEntrypoint = `#!/bin/sh
case "$1" in
  -*) exec node "$@" ;;
esac
command -v "$1" >/dev/null 2>&1 || exec node "$@"
exec "$@"
`

func redisLayers(work string) ([]string, error) {
	base := filepath.Join(work, "base.tar")
	if err := debootstrap(base, "redis-server"); err != nil {
		return nil, err
	}
	path := filepath.Join(work, "redis.tar")
	l := newLayer(path)
	l.folder("data", 0o777, 999)
	l.text("usr/local/bin/redis-server", redisServer, 0o755)
	return []string{base, path}, l.close()
}

// redisServer lets other pods connect, as the public image does: Debian's server is in protected mode without a password.
// A configuration file must stay the first argument.
const redisServer = `#!/bin/sh
case "$1" in
  ""|-*) exec /usr/bin/redis-server --protected-mode no "$@" ;;
esac
file=$1; shift
exec /usr/bin/redis-server "$file" --protected-mode no "$@"
`

func pauseLayers(work string) ([]string, error) {
	source, binary := filepath.Join(work, "pause.c"), filepath.Join(work, "pause")
	if err := os.WriteFile(source, []byte(pauseSource), 0o644); err != nil {
		return nil, err
	}
	if _, err := output("cc", "-Os", "-static", "-s", "-o", binary, source); err != nil {
		return nil, err
	}
	path := filepath.Join(work, "pause.tar")
	l := newLayer(path)
	l.copy("pause", binary, 0o755)
	return []string{path}, l.close()
}

// pauseSource holds a pod's namespaces open, reaps what is left to it, and goes when it is told.
const pauseSource = `#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void reap(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0) {} }
static void leave(int signal) { (void)signal; _exit(0); }
int main(void) { signal(SIGCHLD, reap); signal(SIGTERM, leave); signal(SIGINT, leave); for (;;) pause(); }
`

// debootstrap writes a Debian root file system as a tar. Documentation and translations stay out: nobody reads them there.
func debootstrap(path, packages string, hooks ...string) error {
	args := []string{"--variant=minbase", "--mode=root", "--include=" + packages}
	for _, folder := range []string{"doc", "man", "info", "locale"} {
		args = append(args, "--dpkgopt=path-exclude=/usr/share/"+folder+"/*")
	}
	for _, hook := range hooks {
		args = append(args, "--customize-hook="+hook)
	}
	_, err := output("mmdebstrap", append(args, "bookworm", path)...)
	return err
}

// output runs a command and gives its standard output; what went wrong is in the error.
func output(name string, args ...string) (string, error) {
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", epoch.Unix()))
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	text, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%s: %s: %w", name, strings.TrimSpace(string(exit.Stderr)), err)
	}
	return strings.TrimSpace(string(text)), err
}
