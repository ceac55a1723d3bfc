// The files that the components read: certificates, kubeconfigs and settings, all in the state folder.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// plan is what the supervisor tells the first process inside the namespaces.
type plan struct {
	ID, State, Kubeconfig    string
	HostAddress, NodeAddress string
	MTU                      int
	NameServers              []string
	CoreDNS                  string
}

func (p plan) in(parts ...string) string {
	return filepath.Join(append([]string{p.State}, parts...)...)
}
func (p plan) server() string { return "https://" + p.NodeAddress + ":6443" }

// identities are the clients of the API server: the name of the kubeconfig, the user and the group.
func (p plan) identities() [][3]string {
	return [][3]string{
		{"admin", "admin", "system:masters"},
		{"controller-manager", "system:kube-controller-manager", ""},
		{"scheduler", "system:kube-scheduler", ""},
		{"kubelet", "system:node:" + p.ID, "system:nodes"},
		{"proxy", "system:kube-proxy", ""},
		// CoreDNS runs beside the components, not as a pod, and may read everything like them.
		{"coredns", "coredns", "system:masters"},
	}
}

func writeSettings(p plan) error {
	for _, folder := range []string{"pki", "log", "cni", "etcd", "plugins"} {
		if err := os.MkdirAll(p.in(folder), 0o755); err != nil {
			return err
		}
	}
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	key, err := encodeKey(ca.key)
	if err != nil {
		return err
	}
	if err := (pair{cert: ca.pem, key: key}).write(p.in("pki"), "ca"); err != nil {
		return err
	}
	if err := writeServiceAccountKeys(p.in("pki")); err != nil {
		return err
	}
	servers := map[string][]string{
		"apiserver": {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local", "127.0.0.1", p.NodeAddress, "10.96.0.1"},
		"kubelet-server": {p.ID, p.NodeAddress},
	}
	for name, hosts := range servers {
		issued, err := ca.issue(name, "", hosts...)
		if err != nil {
			return err
		}
		if err := issued.write(p.in("pki"), name); err != nil {
			return err
		}
	}
	client, err := ca.issue("kube-apiserver", "system:masters")
	if err != nil {
		return err
	}
	if err := client.write(p.in("pki"), "apiserver-client"); err != nil {
		return err
	}
	for _, identity := range p.identities() {
		issued, err := ca.issue(identity[1], identity[2])
		if err != nil {
			return err
		}
		text, err := kubeconfig(p, ca.pem, issued)
		if err != nil {
			return err
		}
		if err := os.WriteFile(p.in("pki", identity[0]+".conf"), text, 0o600); err != nil {
			return err
		}
	}
	for path, text := range map[string]string{
		"containerd.toml": containerdSettings, "cni/10-pods.conflist": cniSettings, "kubelet.yaml": kubeletSettings,
		"proxy.yaml": proxySettings, "Corefile": corefile, "resolv.conf": resolvConf,
	} {
		var out bytes.Buffer
		if err := template.Must(template.New(path).Parse(text)).Execute(&out, p); err != nil {
			return err
		}
		if err := os.WriteFile(p.in(path), out.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// kubeconfig is JSON, which is YAML too. The extension tells mwctl that this context is a test bed's, and how to bring images to it.
func kubeconfig(p plan, ca []byte, user pair) ([]byte, error) {
	encoded := base64.StdEncoding.EncodeToString
	type object = map[string]any
	return json.MarshalIndent(object{
		"apiVersion": "v1", "kind": "Config", "current-context": p.ID,
		"contexts": []object{{"name": p.ID, "context": object{"cluster": p.ID, "user": p.ID}}},
		"users": []object{{"name": p.ID, "user": object{
			"client-certificate-data": encoded(user.cert), "client-key-data": encoded(user.key),
		}}},
		"clusters": []object{{"name": p.ID, "cluster": object{
			"server": p.server(), "certificate-authority-data": encoded(ca),
			"extensions": []object{{"name": "mwctl", "extension": object{
				"provider": "containerd", "socket": p.in("containerd.sock"), "ctr": "ctr",
			}}},
		}}},
	}, "", "  ")
}

// Upstream is where CoreDNS asks for names that are not the cluster's.
func (p plan) Upstream() string { return strings.Join(p.NameServers, " ") }

// The settings that differ from the defaults in ways one would not guess: without CAP_SYS_RESOURCE the default scores and
// limits are refused (oomScoreAdj, maxOpenFiles, conntrack, restrict_oom_score_adj), and disk pressure of the developer's
// machine is not the node's business (eviction thresholds).
const (
	containerdSettings = `version = 2
root = "{{.State}}/containerd"
state = "/run/containerd"
[grpc]
  address = "{{.State}}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{{.State}}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{{.State}}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`
	cniSettings = `{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": true, "hairpinMode": true, "mtu": {{.MTU}},
   "ipam": {"type": "host-local", "dataDir": "{{.State}}/ipam", "ranges": [[{"subnet": "` + podNetwork + `"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
`
	kubeletSettings = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {{.NodeAddress}}
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: {{.State}}/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: {{.State}}/pki/kubelet-server.crt
tlsPrivateKeyFile: {{.State}}/pki/kubelet-server.key
containerRuntimeEndpoint: unix://{{.State}}/containerd.sock
volumePluginDir: {{.State}}/plugins
cgroupDriver: cgroupfs
cgroupRoot: /{{.ID}}
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
maxOpenFiles: 20000
clusterDNS: ["` + dnsAddress + `"]
clusterDomain: cluster.local
resolvConf: {{.State}}/resolv.conf
serializeImagePulls: false
imageGCHighThresholdPercent: 100
evictionHard: {nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
enforceNodeAllocatable: [pods]
nodeStatusUpdateFrequency: 2s
`
	proxySettings = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: {{.State}}/pki/proxy.conf}
hostnameOverride: {{.ID}}
mode: nftables
oomScoreAdj: 0
clusterCIDR: ` + podNetwork + `
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`
	corefile = `cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
    bind {{.NodeAddress}}
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig {{.State}}/pki/coredns.conf
        ttl 5
    }
}
.:53 {
    bind {{.NodeAddress}}
    errors
    cache 30
{{- if .NameServers}}
    forward . {{.Upstream}}
{{- end}}
}
`
	resolvConf = `{{range .NameServers}}nameserver {{.}}
{{end}}`
)
