// When the node is ready: the API server answers, the node and its first service account are there, and names resolve through
// the cluster's DNS Service, which also shows that Services work.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func (n *node) client() (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", n.plan.in("pki", "admin.conf"))
	if err != nil {
		return nil, err
	}
	// Waiting is paced here, not by the client.
	config.QPS = -1
	return kubernetes.NewForConfig(config)
}

// until asks again and again; the last answer is in the error.
func until(limit time.Duration, what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w", what, limit, err)
		case <-tick.C:
		}
	}
}

// answers waits until the API server is ready.
func (n *node) answers(limit time.Duration) error {
	client, err := n.client()
	if err != nil {
		return err
	}
	return until(limit, "the API server", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// publish makes the DNS Service, waits for all that a pod needs, and only then writes the kubeconfig.
func (n *node) publish() error {
	client, err := n.client()
	if err != nil {
		return err
	}
	if err := publishDNS(client, n.plan.NodeAddress); err != nil {
		return err
	}
	conditions := map[string]func(context.Context) error{
		"the node": func(ctx context.Context) error { return nodeReady(ctx, client, n.plan.ID) },
		"the default service account": func(ctx context.Context) error {
			_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", meta.GetOptions{})
			return err
		},
		"the cluster's DNS": resolves,
	}
	for what, ask := range conditions {
		if err := until(startLimit, what, ask); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(n.plan.in("pki", "admin.conf"))
	if err != nil {
		return err
	}
	return os.WriteFile(n.plan.Kubeconfig, text, 0o600)
}

func nodeReady(ctx context.Context, client *kubernetes.Clientset, name string) error {
	node, err := client.CoreV1().Nodes().Get(ctx, name, meta.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == core.NodeReady {
			if condition.Status == core.ConditionTrue {
				return nil
			}
			return fmt.Errorf("not ready: %s", condition.Message)
		}
	}
	return fmt.Errorf("it has no status yet")
}

// publishDNS puts a Service without a selector before CoreDNS, which is a process beside the components: a pod would need an
// image of its own and could be evicted or deleted by a test.
func publishDNS(client *kubernetes.Clientset, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	const name = "kube-dns"
	udp, tcp, port, ready := core.ProtocolUDP, core.ProtocolTCP, int32(53), true
	dns, dnsTCP := "dns", "dns-tcp"
	_, err := client.CoreV1().Services("kube-system").Create(ctx, &core.Service{
		ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{"k8s-app": name}},
		Spec: core.ServiceSpec{ClusterIP: dnsAddress, Ports: []core.ServicePort{
			{Name: dns, Port: port, Protocol: udp}, {Name: dnsTCP, Port: port, Protocol: tcp},
		}},
	}, meta.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = client.DiscoveryV1().EndpointSlices("kube-system").Create(ctx, &discovery.EndpointSlice{
		ObjectMeta:  meta.ObjectMeta{Name: name, Labels: map[string]string{discovery.LabelServiceName: name}},
		AddressType: discovery.AddressTypeIPv4,
		Ports: []discovery.EndpointPort{
			{Name: &dns, Port: &port, Protocol: &udp}, {Name: &dnsTCP, Port: &port, Protocol: &tcp},
		},
		Endpoints: []discovery.Endpoint{{Addresses: []string{address}, Conditions: discovery.EndpointConditions{Ready: &ready}}},
	}, meta.CreateOptions{})
	return err
}

// resolves asks the DNS Service as a pod does.
func resolves(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(dnsAddress, "53"))
	}}
	_, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
	return err
}
