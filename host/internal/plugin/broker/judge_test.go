package broker

import (
	"net/netip"
	"testing"
)

func TestAddressesAreJudged(t *testing.T) {
	const (
		never   = iota // no server
		ambient        // only with the ambient identity
		own            // not for teams
		anybody
	)
	for address, who := range map[string]int{
		"0.0.0.0": never, "::": never, "224.0.0.1": never, "ff02::1": never, "255.255.255.255": never, "::ffff:0.0.0.0": never,
		"169.254.169.254": ambient, "169.254.170.2": ambient, "fe80::1": ambient, "fe80::1%eth0": ambient, "::ffff:169.254.169.254": ambient,
		"fd00:ec2::254": ambient, "fd00:ec2::254%eth0": ambient, "fd20:ce::254": ambient, "168.63.129.16": ambient, "100.100.100.200": ambient,
		"64:ff9b::a9fe:a9fe": ambient, "2002:a9fe:a9fe::1": ambient, "::169.254.169.254": ambient,
		"127.0.0.1": own, "127.9.9.9": own, "::1": own, "::ffff:127.0.0.1": own, "10.1.2.3": own, "172.31.0.1": own, "192.168.0.1": own,
		"fd12::1": own, "100.64.0.1": own, "198.18.0.1": own, "240.0.0.1": own, "0.1.2.3": own, "fec0::1": own, "64:ff9b::a00:1": own,
		"64:ff9b:1::1": own, "2002:7f00:1::": own, "::10.0.0.1": own,
		"93.184.215.14": anybody, "2606:2800:21f:cb07:6820:80da:af6b:8b2c": anybody, "64:ff9b::5db8:d70e": anybody, "172.32.0.1": anybody,
	} {
		a := netip.MustParseAddr(address)
		for r, need := range map[rules]int{{}: own, {ambient: true}: ambient, {team: true}: anybody} {
			if got, want := r.objection(a) == "", who >= need; got != want {
				t.Errorf("%s with %+v: may be reached %v, want %v", address, r, got, want)
			}
		}
	}
}
