package broker

import (
	"net/netip"
)

// rules decide which addresses a connection may go to.
type rules struct {
	team    bool // only addresses of the public internet
	ambient bool // instance metadata too
}

// Instance metadata answers outside the link-local ranges at these places.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
// https://docs.cloud.google.com/compute/docs/metadata/querying-metadata
// https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
// https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
// https://docs.oracle.com/iaas/Content/Compute/Tasks/gettingmetadata.htm
var metadata = map[netip.Addr]struct{}{
	netip.MustParseAddr("fd00:ec2::254"):   {},
	netip.MustParseAddr("fd20:ce::254"):    {},
	netip.MustParseAddr("168.63.129.16"):   {},
	netip.MustParseAddr("100.100.100.200"): {},
	netip.MustParseAddr("192.0.0.192"):     {},
}

// shared are networks beside loopback, link-local and private ones that are not the public internet, from IANA's
// registries of special-purpose addresses.
var shared = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT, and many a cluster's pods
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("fec0::/10"), // site-local, once
}

// embedding are the networks whose IPv6 addresses lead to an IPv4 address that they hold, and where in them it begins.
var embedding = []struct {
	netip.Prefix
	at int // byte
}{
	{netip.MustParsePrefix("::/96"), 12},        // IPv4-compatible
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4
}

var broadcast = netip.MustParseAddr("255.255.255.255")

// objection says why no connection may go to an address; empty if one may.
func (r rules) objection(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if inner, ok := embedded(a); ok {
		if o := r.objection(inner); o != "" {
			return o
		}
	}
	_, isMetadata := metadata[a]
	switch {
	case a.IsUnspecified(), a.IsMulticast(), a == broadcast:
		return "it is not the address of a server"
	case !r.ambient && (isMetadata || a.IsLinkLocalUnicast()):
		return "instance metadata answers there, which only stores that use the ambient identity may reach"
	case r.team && !public(a):
		return "it is not on the public internet, and a team's store may reach nothing else"
	}
	return ""
}

func public(a netip.Addr) bool {
	for _, p := range shared {
		if p.Contains(a) {
			return false
		}
	}
	return !a.IsLoopback() && !a.IsPrivate() && !a.IsLinkLocalUnicast()
}

// embedded gives the IPv4 address that an IPv6 address leads to. ::1 and :: hold none.
func embedded(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() || a.IsLoopback() || a.IsUnspecified() {
		return netip.Addr{}, false
	}
	for _, e := range embedding {
		if e.Contains(a) {
			b := a.As16()
			return netip.AddrFrom4([4]byte(b[e.at : e.at+4])), true
		}
	}
	return netip.Addr{}, false
}
