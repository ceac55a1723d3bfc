// Which components there are, with which arguments, and in which order they start.
package main

import (
	"fmt"
	"strings"
)

// names are the components as a person calls them.
var names = []string{"etcd", "apiserver", "controller-manager", "scheduler", "kubelet", "proxy", "containerd", "coredns"}

// startAll starts those that need nobody at once, and the API server's clients when it answers: they would only back off.
func (n *node) startAll() error {
	for _, name := range []string{"etcd", "apiserver", "containerd"} {
		if err := n.start(name); err != nil {
			return err
		}
	}
	if err := n.answers(startLimit); err != nil {
		return err
	}
	for _, name := range []string{"kubelet", "controller-manager", "proxy", "coredns", "scheduler"} {
		if err := n.start(name); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) start(name string) error {
	switch name {
	case "containerd":
		return n.processes.start(name, "containerd", "--config", n.plan.in("containerd.toml"))
	case "coredns":
		return n.processes.start(name, n.plan.CoreDNS, "-conf", n.plan.in("Corefile"))
	}
	args, err := n.arguments(name)
	if err != nil {
		return err
	}
	// By this name the program is found even when a newer build has taken its place in the cache.
	return n.processes.start(name, "/proc/self/exe", strings.Fields(args)...)
}

// arguments are separated by spaces; the supervisor refuses a state folder with one in its name.
func (n *node) arguments(name string) (string, error) {
	pki := n.plan.in("pki")
	client := func(name string) string {
		conf := pki + "/" + name + ".conf"
		return " --kubeconfig=" + conf + " --authentication-kubeconfig=" + conf + " --authorization-kubeconfig=" + conf +
			" --leader-elect=false --bind-address=127.0.0.1 --kube-api-qps=200 --kube-api-burst=400"
	}
	switch name {
	case "etcd":
		// Nothing of it survives the node, so it need not wait for the disk.
		return "etcd --data-dir=" + n.plan.in("etcd") +
			" --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379" +
			" --listen-peer-urls=http://127.0.0.1:0 --heartbeat-interval=10 --election-timeout=50 --unsafe-no-fsync", nil
	case "apiserver":
		// InternalIP: otherwise `exec` and `logs` look the node's name up in the DNS.
		return "kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --secure-port=6443" +
			" --advertise-address=" + n.plan.NodeAddress + " --kubelet-preferred-address-types=InternalIP" +
			" --tls-cert-file=" + pki + "/apiserver.crt --tls-private-key-file=" + pki + "/apiserver.key" +
			" --client-ca-file=" + pki + "/ca.crt --kubelet-client-certificate=" + pki + "/apiserver-client.crt" +
			" --kubelet-client-key=" + pki + "/apiserver-client.key" +
			" --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=" + pki + "/sa.crt" +
			" --service-account-signing-key-file=" + pki + "/sa.key --service-cluster-ip-range=" + serviceNetwork +
			" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true", nil
	case "controller-manager":
		return "kube-controller-manager" + client(name) + " --service-account-private-key-file=" + pki + "/sa.key" +
			" --root-ca-file=" + pki + "/ca.crt --cluster-signing-cert-file=" + pki + "/ca.crt" +
			" --cluster-signing-key-file=" + pki + "/ca.key --use-service-account-credentials", nil
	case "scheduler":
		return "kube-scheduler" + client(name), nil
	case "kubelet":
		return "kubelet --config=" + n.plan.in("kubelet.yaml") + " --kubeconfig=" + pki + "/kubelet.conf" +
			" --hostname-override=" + n.plan.ID + " --node-ip=" + n.plan.NodeAddress, nil
	case "proxy":
		return "kube-proxy --config=" + n.plan.in("proxy.yaml"), nil
	}
	return "", fmt.Errorf("there is no component %q; there are %s", name, strings.Join(names, ", "))
}
