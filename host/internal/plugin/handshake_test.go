package plugin

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestHandshakesAreToldFromOtherLines(t *testing.T) {
	for line, want := range map[string]bool{
		"1|1|unix|/run/p/s|grpc":                true,
		"1|1|unix|/run/p/s|grpc|":               true,
		"1|1|unix|/run/p/s|grpc|cert|true":      true,
		"  1|1|unix|/run/p/s|grpc":              true,
		"1|1|unix|/run/p/s":                     true, // net/rpc, which checkHandshake refuses
		"2|17|tcp|127.0.0.1:1|grpc":             true,
		"":                                      false,
		"hello":                                 false,
		"1|2|3":                                 false,
		"a|1|unix|/run/p/s|grpc":                false,
		"1|1||/run/p/s|grpc":                    false,
		"1|1|unix||grpc":                        false,
		"note: 1|1|unix|/run/p/s|grpc":          false,
		"99999999999999999999|1|unix|/s|grpc":   false,
		"| column | another column | a third |": false,
	} {
		if got := isHandshake(line); got != want {
			t.Errorf("isHandshake(%q) = %v, want %v", line, got, want)
		}
	}
}

func TestAddressesOutsideThePrivateDirectoryAreRefused(t *testing.T) {
	dir, err := os.MkdirTemp("", "kw")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	inside, below := filepath.Join(dir, "s"), filepath.Join(dir, "d", "s")
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{inside, below} {
		l, err := net.Listen("unix", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	for _, c := range []struct {
		network, address string
		sockets, want    bool
	}{
		{"unix", inside, true, true},
		{"unix", below, true, false},
		{"unix", filepath.Join(dir, "d") + "/../s", true, false},
		{"unix", filepath.Join(dir, "missing"), true, false},
		{"unix", dir, true, false},
		{"unix", "s", true, false},
		{"unix", "@abstract", true, false},
		{"unixgram", inside, true, false},
		{"tcp", "127.0.0.1:80", true, false},
		{"tcp", "127.0.0.1:80", false, true},
		{"tcp", "[::1]:80", false, true},
		{"tcp", "169.254.169.254:80", false, false},
		{"tcp", "localhost:80", false, false},
		{"tcp", "127.0.0.1", false, false},
		{"unix", inside, false, false},
	} {
		if err := checkAddress(c.network, c.address, dir, c.sockets); (err == nil) != c.want {
			t.Errorf("checkAddress(%s %s), sockets %v: %v, want accepted: %v", c.network, c.address, c.sockets, err, c.want)
		}
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add("1|1|unix|/run/p/s|grpc")
	f.Add("1|2|tcp|127.0.0.1:1|netrpc|cert|true")
	f.Fuzz(func(t *testing.T, line string) {
		if isHandshake(line) {
			_ = checkHandshake(line) // does not panic
		}
	})
}
