package broker

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/sdk"
)

func TestOnlyWhatOpenStoresDeclareIsDialled(t *testing.T) {
	address, port := server(t)
	var z zone
	z.set("127.0.0.1")
	b := newBroker(t, Options{Dial: z.dialer(t)})
	p := connect(t, b)
	p.isRefused(address, "no open store")
	b.Allow("main~1", reach(address, "Vault.Test:"+port))
	for _, same := range []string{address, "vault.test:" + port, "VAULT.TEST.:" + port} {
		p.reaches(same)
	}
	for _, other := range []string{"127.0.0.1:1", "127.0.0.2:" + port, "x.vault.test:" + port, "[::1]:" + port, "127.1:" + port} {
		p.isRefused(other, "no open store")
	}
	for _, nonsense := range []string{":" + port, "localhost", "localhost:http", "[::1", "localhost:0", "http://localhost:" + port} {
		p.isRefused(nonsense, "numeric port")
	}
	if dials, refused := b.Counts(); dials != 3 || refused != 12 {
		t.Errorf("counted %d connections and %d refusals, want 3 and 12", dials, refused)
	}
}

func TestAStoreThatIsClosedIsDialledForNoMore(t *testing.T) {
	one, _ := server(t)
	two, _ := server(t)
	b := newBroker(t, Options{})
	p := connect(t, b)
	b.Allow("one~1", reach(one))
	b.Allow("two~1", reach(two))
	b.Allow("two~2", reach(two))
	p.reaches(one)
	kept, _ := p.dial(two)
	b.Forget("one~1")
	p.isRefused(one, "no open store")
	b.Forget("two~1")
	p.reaches(two) // the other opening declares it too
	b.Forget("two~2")
	b.Forget("two~2")
	p.isRefused(two, "no open store")
	greeted(t, kept)
	b.Allow("one~2", reach(one))
	b.Allow("one~2", nil) // says nothing of its reach any more
	p.isRefused(one, "no open store")
}

func TestANameThatResolvesToInstanceMetadataIsRefused(t *testing.T) {
	_, port := server(t)
	var z zone
	told := make(chan Refusal, 10)
	b := newBroker(t, Options{Dial: z.dialer(t), Refused: func(r Refusal) { told <- r }})
	endpoint := "innocent.test:" + port
	b.Allow("main~1", reach(endpoint))
	p := connect(t, b)
	for _, a := range []string{"169.254.169.254", "fe80::1", "fd00:ec2::254", "168.63.129.16"} {
		z.set(a)
		p.isRefused(endpoint, "it resolves to "+a+": instance metadata")
		if r := <-told; r.Endpoint != endpoint || r.Address != a || r.Reason == "" {
			t.Errorf("told of %+v, want the endpoint and %s", r, a)
		}
	}
	z.set("0.0.0.0")
	p.isRefused(endpoint, "not the address of a server")
	z.set("169.254.169.254", "127.0.0.1") // passed over
	p.reaches(endpoint)
}

func TestANameThatRebindsIsRefusedEachTime(t *testing.T) {
	_, port := server(t)
	var z zone
	b := newBroker(t, Options{Dial: z.dialer(t)})
	endpoint := "rebinds.test:" + port
	b.Allow("main~1", reach(endpoint))
	p := connect(t, b)
	for range 3 {
		z.set("127.0.0.1")
		p.reaches(endpoint)
		z.set("169.254.169.254")
		p.isRefused(endpoint, "169.254.169.254")
	}
}

func TestTheAmbientIdentityReachesInstanceMetadata(t *testing.T) {
	address, _ := server(t)
	b := newBroker(t, Options{Dial: pretend("169.254.169.254:80", address)})
	p := connect(t, b)
	const endpoint = "169.254.169.254:80"
	b.Allow("plain~1", reach(endpoint))
	b.Allow("ambient~1", &sdk.Reach{Endpoints: []string{"sts.example.com:443"}, Ambient: true})
	p.isRefused(endpoint, "ambient identity") // the store that is ambient does not declare it
	b.Allow("ambient~2", &sdk.Reach{Endpoints: []string{endpoint}, Ambient: true})
	p.reaches(endpoint)
	b.Forget("ambient~2")
	p.isRefused(endpoint, "ambient identity")
}

func TestATeamReachesThePublicInternetOnly(t *testing.T) {
	address, _ := server(t)
	for _, a := range []string{"127.0.0.1:443", "10.0.0.1:443", "[::1]:443", "100.64.0.1:443", "[fd12::1]:443", "[::ffff:10.0.0.1]:443"} {
		b := newBroker(t, Options{Team: true, Dial: pretend(a, address)})
		b.Allow("team~1", reach("vault.team.example:443"))
		connect(t, b).isRefused("vault.team.example:443", "public internet")
	}
	b := newBroker(t, Options{Team: true, Dial: pretend("169.254.169.254:80", address)})
	b.Allow("team~1", &sdk.Reach{Endpoints: []string{"imds.example:80"}, Ambient: true})
	connect(t, b).isRefused("imds.example:80", "instance metadata") // no team has the host's identity
	b = newBroker(t, Options{Team: true, Dial: pretend("93.184.215.14:443", address)})
	b.Allow("team~1", reach("vault.team.example:443"))
	connect(t, b).reaches("vault.team.example:443")
}

// A filter that allows plain TCP would not see where an MPTCP socket connects, and Landlock's rules do not.
func TestASocketIsPlainTCPThatIsKeptAlive(t *testing.T) {
	t.Setenv("GODEBUG", "multipathtcp=1")
	address, _ := server(t)
	b := newBroker(t, Options{})
	b.Allow("main~1", reach(address))
	conn, text := connect(t, b).dial(address)
	if conn == nil {
		t.Fatal(text)
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		protocol, perr := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL)
		alive, aerr := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		if protocol != unix.IPPROTO_TCP || alive == 0 || perr != nil || aerr != nil {
			t.Errorf("protocol %d, keep-alive %d, %v, %v; want plain TCP, kept alive", protocol, alive, perr, aerr)
		}
	})
}

func TestAFailureOfTheNetworkIsNoRefusal(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	_ = l.Close()
	var z zone
	z.set()
	b := newBroker(t, Options{Dial: z.dialer(t)})
	b.Allow("main~1", reach(closed, "nobody.test:443"))
	p := connect(t, b)
	for endpoint, want := range map[string]string{closed: closed + ": connect: connection refused", "nobody.test:443": "lookup nobody.test"} {
		conn, text := p.dial(endpoint)
		if conn != nil || len(text) < len(want) || text[:len(want)] != want {
			t.Errorf("dial %s: %q, want %q", endpoint, text, want)
		}
	}
	if dials, refused := b.Counts(); dials != 0 || refused != 0 {
		t.Errorf("counted %d connections and %d refusals, want none", dials, refused)
	}
}
