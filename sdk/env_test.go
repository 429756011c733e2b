package sdk_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/keyway-dev/keyway/sdk"
)

type reaching struct {
	Endpoints []string `json:"endpoints"`
	Ambient   bool     `json:"ambient"`
}

func (r *reaching) Reach() sdk.Reach { return sdk.Reach{Endpoints: r.Endpoints, Ambient: r.Ambient} }

// envFor opens a store with that reach and gives the Env that its provider got.
func envFor(t *testing.T, base sdk.Env, ambient bool, endpoints ...string) sdk.Env {
	t.Helper()
	var got sdk.Env
	p := sdk.Define(sdk.About{Name: "x", Version: "1.0.0"}, func(_ context.Context, env sdk.Env, _ reaching) (*bare, error) {
		got = env
		return &bare{}, nil
	})
	settings := `{"ambient":` + map[bool]string{true: "true", false: "false"}[ambient] + `,"endpoints":["` + strings.Join(endpoints, `","`) + `"]}`
	if _, err := p.Open(t.Context(), base, []byte(settings)); err != nil {
		t.Fatalf("Open: %v", err)
	}
	return got
}

// refused reports whether err says that a connection was not allowed.
func refused(err error) bool {
	var e *sdk.Error
	return errors.As(err, &e) && e.Code == sdk.PermissionDenied && e.Reason == "reach" && sdk.CodeOf(err) == sdk.PermissionDenied
}

func server(t *testing.T, h http.HandlerFunc) (url, hostport string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL, s.Listener.Addr().String()
}

func TestOnlyDeclaredEndpointsAreDialled(t *testing.T) {
	other, _ := server(t, func(http.ResponseWriter, *http.Request) { t.Error("an undeclared server was reached") })
	url, declared := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, other, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "hello")
	})
	t.Setenv("HTTP_PROXY", other) // a proxy would hide the target
	env := envFor(t, sdk.Env{}, false, declared)
	for _, client := range []*http.Client{env.HTTPClient, {Transport: env.NewTransport()}} {
		resp, err := client.Get(url)
		if err != nil {
			t.Fatalf("a declared endpoint: %v", err)
		}
		_ = resp.Body.Close()
		for _, target := range []string{other, url + "/away"} {
			if resp, err := client.Get(target); !refused(err) {
				if err == nil {
					_ = resp.Body.Close()
				}
				t.Errorf("%s: %v, want a refusal", target, err)
			}
		}
	}
}

func TestEndpointsAreComparedAsDNSDoes(t *testing.T) {
	var dialled []string
	base := sdk.Env{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		return nil, io.EOF
	}}
	env := envFor(t, base, false, "Vault.Example:8200", "10.0.0.1:443", "[::1]:80")
	for address, pass := range map[string]bool{"vault.example:8200": true, "VAULT.EXAMPLE.:8200": true, "10.0.0.1:443": true, "[::1]:80": true,
		"vault.example:8201": false, "a.vault.example:8200": false, "vault.example": false, "10.0.0.1:80": false, "": false} {
		dialled = nil
		_, err := env.DialContext(t.Context(), "tcp", address)
		if pass != errors.Is(err, io.EOF) || pass == refused(err) || pass != (len(dialled) == 1) {
			t.Errorf("dial %q: %v, reached the host's dialer %v; want passed: %v", address, err, dialled, pass)
		}
	}
}

func TestAStoreWithoutReachMayDialEveryName(t *testing.T) {
	url, _ := server(t, func(http.ResponseWriter, *http.Request) {})
	var env sdk.Env
	p := sdk.Define(sdk.About{Name: "x", Version: "1.0.0"}, func(_ context.Context, e sdk.Env, _ none) (*bare, error) { env = e; return &bare{}, nil })
	if _, err := p.Open(t.Context(), sdk.Env{}, nil); err != nil {
		t.Fatal(err)
	}
	resp, err := env.HTTPClient.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if _, err := env.DialContext(t.Context(), "tcp", "169.254.169.254:80"); !refused(err) {
		t.Errorf("the metadata service: %v, want a refusal", err)
	}
}

func TestMetadataAddressesNeedTheAmbientIdentity(t *testing.T) {
	for _, address := range []string{"169.254.169.254:80", "169.254.170.2:80", "[fe80::1]:80", "[fd00:ec2::254]:80", "168.63.129.16:80", "[::ffff:169.254.169.254]:80", "[fe80::1%lo]:80", "[fd00:ec2::254%lo]:80"} {
		if _, err := envFor(t, sdk.Env{}, false, address).DialContext(t.Context(), "tcp", address); !refused(err) {
			t.Errorf("dial %s: %v, want a refusal", address, err)
		}
		conn, err := envFor(t, sdk.Env{}, true, address).DialContext(t.Context(), "udp", address) // sends nothing to a real one
		if refused(err) {
			t.Errorf("dial %s with the ambient identity: %v", address, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	for _, address := range []string{"0.0.0.0:80", "[::]:80", "224.0.0.1:80"} {
		if _, err := envFor(t, sdk.Env{}, true, address).DialContext(t.Context(), "tcp", address); !refused(err) {
			t.Errorf("dial %s: %v, want a refusal: it is no server's address", address, err)
		}
	}
}

// A name is judged by what it resolves to: a DNS server of ours answers every name with the metadata service's address.
func TestANameThatResolvesToTheMetadataServiceIsRefused(t *testing.T) {
	dns, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); answerAll(dns, netip.MustParseAddr("169.254.169.254")) }()
	t.Cleanup(func() { _ = dns.Close(); <-served })
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", dns.LocalAddr().String())
	}}
	const address = "innocent.example.:80"
	_, err = envFor(t, sdk.Env{}, false, address).DialContext(t.Context(), "tcp", address)
	if !refused(err) || !strings.Contains(err.Error(), "169.254.169.254") {
		t.Errorf("dial %s: %v, want a refusal of the address", address, err)
	}
}

// answerAll answers each question for an IPv4 address with a, and others with nothing, until conn is closed.
func answerAll(conn net.PacketConn, a netip.Addr) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		m.Response, m.Authoritative, m.RecursionAvailable, m.Additionals = true, true, true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: a.As4()},
			}}
		}
		if raw, err := m.Pack(); err == nil {
			_, _ = conn.WriteTo(raw, from)
		}
	}
}

func TestAnEnvIsCompleteWithoutAHost(t *testing.T) {
	env := envFor(t, sdk.Env{}, false)
	if env.Logger == nil || env.HTTPClient == nil || env.DialContext == nil {
		t.Errorf("an Env lacks something: %+v", env)
	}
	env.Logger.Info("goes nowhere")
}
