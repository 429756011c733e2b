//go:build linux || darwin

package peer

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// pair gives both ends of a Unix socket of this process.
func pair(t *testing.T) (dialed, accepted net.Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kw-peer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if dialed, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialed.Close(); _ = accepted.Close() })
	return dialed, accepted
}

func TestTheClientLearnsWhoListens(t *testing.T) {
	dialed, _ := pair(t)
	var seen Identity
	c := New(func(id Identity) error { seen = id; return nil }).Clone()
	if _, _, err := c.ClientHandshake(t.Context(), "", dialed); err != nil {
		t.Errorf("ClientHandshake: %v", err)
	}
	if want := (Identity{PID: os.Getpid(), UID: os.Geteuid()}); seen != want {
		t.Errorf("peer %+v, want %+v", seen, want)
	}
}

func TestTheServerLearnsWhoDials(t *testing.T) {
	_, accepted := pair(t)
	var seen Identity
	c := New(func(id Identity) error { seen = id; return nil })
	if _, _, err := c.ServerHandshake(accepted); err != nil {
		t.Errorf("ServerHandshake: %v", err)
	}
	if want := (Identity{PID: os.Getpid(), UID: os.Geteuid()}); seen != want {
		t.Errorf("peer %+v, want %+v", seen, want)
	}
}

func TestARefusedPeerIsDropped(t *testing.T) {
	dialed, accepted := pair(t)
	stranger := errors.New("a stranger")
	if _, _, err := New(func(Identity) error { return stranger }).ClientHandshake(t.Context(), "", dialed); !errors.Is(err, stranger) {
		t.Errorf("ClientHandshake: %v, want %v", err, stranger)
	}
	if _, err := accepted.Read(make([]byte, 1)); err == nil {
		t.Error("the connection to a refused peer stays open")
	}
}

func TestOnlyUnixSocketsHaveAPeer(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, _, err := New(func(Identity) error { return nil }).ClientHandshake(t.Context(), "", a); err == nil {
		t.Error("a pipe passed as a Unix socket")
	}
}

func TestThePeersGroupsAreToldWithItsOwnFirst(t *testing.T) {
	dialed, _ := pair(t)
	u := dialed.(*net.UnixConn)
	id, err := Of(u)
	if err != nil || id.PID != os.Getpid() {
		t.Errorf("Of: %+v, %v; want this process", id, err)
	}
	got, err := Groups(u)
	if err != nil || len(got) == 0 || got[0] != os.Getegid() {
		t.Fatalf("Groups: %v, %v; want %d first", got, err, os.Getegid())
	}
	want, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range want {
		if !slices.Contains(got, g) {
			t.Errorf("Groups: %v, without %d, which this process has", got, g)
		}
	}
}
