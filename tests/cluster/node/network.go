// The node's one connection with the machine: a veth pair with addresses that nobody else uses here, and a firewall table of
// its own which lets the node's packets out. Pods and Services have networks that only the node knows.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
)

const (
	podNetwork     = "10.231.0.0/24"
	serviceNetwork = "10.96.0.0/16"
	dnsAddress     = "10.96.0.10"
	forwardingFile = "/proc/sys/net/ipv4/ip_forward"
	highestSlot    = 250
)

func (l lease) link() string        { return fmt.Sprintf("mwtest%d", l.Slot) }
func (l lease) hostAddress() string { return fmt.Sprintf("10.230.%d.1", l.Slot) }
func (l lease) nodeAddress() string { return fmt.Sprintf("10.230.%d.2", l.Slot) }

// freeSlot is the lowest number whose addresses no other node, link or route of this machine has.
func freeSlot(all []lease) (int, error) {
	taken := map[int]bool{}
	for _, l := range all {
		taken[l.Slot] = true
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return 0, err
	}
	for slot := 1; slot <= highestSlot; slot++ {
		l := lease{Slot: slot}
		if taken[slot] || routed(routes, net.ParseIP(l.nodeAddress())) {
			continue
		}
		if _, err := netlink.LinkByName(l.link()); err == nil {
			continue
		}
		return slot, nil
	}
	return 0, errors.New("all addresses from 10.230.1.0 to 10.230.250.0 are in use on this machine")
}

// routed tells whether a route other than the default one leads to this address.
func routed(routes []netlink.Route, address net.IP) bool {
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		if ones, _ := route.Dst.Mask.Size(); ones > 0 && route.Dst.Contains(address) {
			return true
		}
	}
	return false
}

// connect joins the network namespace of the process `pid` with this machine and lets it out. It gives the packet size that
// the way out allows.
func connect(l lease, pid int) (int, error) {
	mtu := defaultMTU()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = l.link(), mtu
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsPid(pid), PeerMTU: uint32(mtu)}
	if err := netlink.LinkAdd(pair); err != nil {
		return 0, fmt.Errorf("add the link %s: %w", l.link(), err)
	}
	link, err := netlink.LinkByName(l.link())
	if err != nil {
		return 0, err
	}
	if err := assign(link, l.hostAddress()); err != nil {
		return 0, err
	}
	if err := os.WriteFile(forwardingFile, []byte("1"), 0o644); err != nil {
		return 0, err
	}
	rules := exec.Command("nft", "-f", "-")
	rules.Stdin = strings.NewReader(fmt.Sprintf(`
table ip %s {
	chain out {
		type nat hook postrouting priority srcnat;
		ip saddr %s oifname != %q masquerade
	}
}
`, l.id(), l.nodeAddress(), l.link()))
	if text, err := rules.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("nft: %s: %w", text, err)
	}
	return mtu, nil
}

// connectInside does the node's half: its address, and the machine as the way out.
func connectInside(p plan) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := assign(link, p.NodeAddress); err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(p.HostAddress)}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	if err := os.WriteFile(forwardingFile, []byte("1"), 0o644); err != nil {
		return err
	}
	// Pods reach each other through Services only if bridged packets pass the firewall; without the module they need not.
	err = os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0o644)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func assign(link netlink.Link, address string) error {
	parsed, err := netlink.ParseAddr(address + "/30")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, parsed); err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	return netlink.LinkSetUp(link)
}

// defaultMTU is the packet size of the link that leads out of this machine.
func defaultMTU() int {
	routes, err := netlink.RouteGet(net.IPv4(1, 1, 1, 1))
	if err == nil && len(routes) > 0 {
		if link, err := netlink.LinkByIndex(routes[0].LinkIndex); err == nil {
			return link.Attrs().MTU
		}
	}
	return 1500
}

// nameServers are the machine's own, as far as the node can reach them: not those on the loopback device.
func nameServers() []string {
	for _, path := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var found []string
		for _, line := range strings.Split(string(text), "\n") {
			fields := strings.Fields(line)
			if len(fields) < 2 || fields[0] != "nameserver" {
				continue
			}
			if ip := net.ParseIP(fields[1]); ip != nil && ip.To4() != nil && !ip.IsLoopback() {
				found = append(found, fields[1])
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}
