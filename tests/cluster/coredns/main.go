// The test bed's in-cluster DNS: CoreDNS with its own default set of plugins, built from its Go module.
// It is no part of the `node` program, whose Kubernetes libraries are of another version.
package main

import (
	_ "github.com/coredns/coredns/core/plugin"
	"github.com/coredns/coredns/coremain"
)

func main() {
	coremain.Run()
}
