package broker

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	for name, packet := range map[string]string{
		"nothing": "", "an id alone": "12345678", "too short": "1234567", "too long": "12345678" + strings.Repeat("x", maxEndpoint+1),
		"a control character": "12345678h:1\n", "a space": "12345678h :1", "not ASCII": "12345678é:1", "a zero byte": "12345678h\x00:1",
	} {
		if r, err := parse([]byte(packet)); err == nil {
			t.Errorf("%s: taken as %+v", name, r)
		}
	}
}

func TestEndpointsAreHostAndNumericPort(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"vault:8200": true, "[::1]:1": true, "[fe80::1%eth0]:65535": true, "h.:1": true,
		"h": false, ":443": false, ".:443": false, "h:": false, "h:0": false, "h:65536": false, "h:https": false, "h:-1": false, "h:+1": false,
		"::1:80": false, "[::1]": false, "h:1:2": false, "[]:1": false,
	} {
		if _, _, got := split(endpoint); got != want {
			t.Errorf("%q is an endpoint: %v, want %v", endpoint, got, want)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, seed := range []string{"", "12345678", "12345678vault.example.com:8200", "12345678[fe80::1%eth0]:443", "\x00\x00\x00\x00\x00\x00\x00\x00:443",
		"12345678h:99999", "12345678h\n:1", "12345678" + strings.Repeat("a", 253) + ".:65535"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		r, err := parse(packet)
		if err != nil {
			return
		}
		if !bytes.Equal(append(r.id[:], r.endpoint...), packet) {
			t.Fatalf("%q was read as id %q and endpoint %q", packet, r.id, r.endpoint)
		}
		host, port, ok := split(r.endpoint)
		if n, err := strconv.Atoi(port); ok && (strings.Trim(host, ".") == "" || err != nil || n < 1 || n > 65535) {
			t.Fatalf("%q was split into %q and %q", r.endpoint, host, port)
		}
		if ok && canonical(strings.ToUpper(r.endpoint)) != canonical(r.endpoint) {
			t.Fatalf("the case of %q counts", r.endpoint)
		}
	})
}
