// The test bed's one program: a Kubernetes node in namespaces of its own. Each component is this binary again, one process
// per component, because in one process they fight over global registries. Nothing here knows of mwctl.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

const usage = `usage:
  node up --images A.tar,B.tar… --coredns PATH [--cache DIR] [--state DIR] [--kubeconfig PATH] [--until-eof] [-- CMD ARGS…]
  node ctl --state DIR status | stop COMPONENT | start COMPONENT
`

// The parent's death is signalled to a child when the *thread* that made it ends. The main thread lives as long as the process.
func init() { runtime.LockOSThread() }

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	name := os.Args[1]
	if name == "etcd" {
		etcdmain.Main(os.Args[1:])
		return
	}
	if command := component(name); command != nil {
		os.Args = os.Args[1:]
		os.Exit(cli.Run(command))
	}
	roles := map[string]func([]string) error{"up": up, "ctl": ctl, "inside": inside, "watchdog": watchdog}
	role, known := roles[name]
	if !known {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	err := role(os.Args[2:])
	var code exitCode
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

// exitCode is a way to leave which needs no message: the code of the command that was run.
type exitCode int

func (code exitCode) Error() string { return fmt.Sprintf("exit code %d", int(code)) }

func component(name string) *cobra.Command {
	switch name {
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		return controllers.NewControllerManagerCommand()
	case "kube-scheduler":
		return scheduler.NewSchedulerCommand()
	case "kubelet":
		// Not a context that ends on signals: the kubelet installs its own handler, and a second one panics.
		return kubelet.NewKubeletCommand(context.Background())
	case "kube-proxy":
		return proxy.NewProxyCommand()
	}
	return nil
}
