//go:build e2e && unix

package managers_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var (
	// first and second are values that are easily spoilt: spaces and line ends around, more than one script, what looks like
	// another type.
	first  = []byte(" \tcanary-one äöü 秘密 {\"a\": 1}\r\n\n")
	second = []byte("0123")
	// binary is no text, and has every byte.
	binary = func() []byte {
		b := make([]byte, 512)
		for i := range b {
			b[i] = byte(i)
		}
		return b
	}()
)

// The exit codes of the program that the story meets.
const (
	exitUsage    = 2
	exitNotFound = 3
)

// can gives what a store can do, as the program tells.
func (p program) can(t *testing.T, store string) []string {
	t.Helper()
	var d struct{ Capabilities []string }
	if err := json.Unmarshal([]byte(p.keyway(t, nil, "-o", "json", "stores", "describe", store)), &d); err != nil {
		t.Fatal(err)
	}
	return d.Capabilities
}

func TestTheLifeOfASecret(t *testing.T) {
	for _, b := range backends(t) {
		t.Run(b.name, func(t *testing.T) {
			p := newProgram(t, set{"main": b.store()}, b.env...)
			can := p.can(t, "main")
			p.isWritten(t, b)
			p.isRotated(t, can)
			p.isDeleted(t, b, can)
		})
	}
}

// wantCheck logs in, and looks whom the backend takes us for.
func (p program) wantCheck(t *testing.T, store, identity string) {
	t.Helper()
	if out := p.keyway(t, nil, "stores", "check", store); !strings.Contains(out, "ok") || !strings.Contains(out, identity) {
		t.Errorf("stores check %s: %q; want ok and %q", store, out, identity)
	}
}

func (p program) isWritten(t *testing.T, b backend) {
	t.Helper()
	p.wantCheck(t, "main", b.identity)
	p.wantFailure(t, exitNotFound, "not found", "get", "secret://main/team/db-main")
	p.keyway(t, first, "put", "main", "team/db-main")
	p.wantValue(t, "secret://main/team/db-main", first)
	switch r := p.try(t, binary, "put", "main", "team/binary"); {
	case b.text && r.code != exitUsage:
		t.Errorf("put of bytes that are no text: exit code %d, %q; want %d", r.code, r.stderr, exitUsage)
	case !b.text && r.code != 0:
		t.Errorf("put of bytes that are no text: exit code %d: %s", r.code, r.stderr)
	case !b.text:
		p.wantValue(t, "secret://main/team/binary", binary)
	}
	if out := p.keyway(t, nil, "list", "main", "team/"); !strings.Contains(out, "team/db-main") || strings.Contains(out, "canary") {
		t.Errorf("list: %q; want the name, and no value", out)
	}
}

func (p program) isRotated(t *testing.T, can []string) {
	t.Helper()
	if out := p.keyway(t, second, "rotate", "main", "team/db-main"); !strings.Contains(out, "read it back") {
		t.Errorf("rotate: %q", out)
	}
	p.wantValue(t, "secret://main/team/db-main", second)
	var listed struct {
		Versions []struct {
			Version string
			Current bool
		}
	}
	if err := json.Unmarshal([]byte(p.keyway(t, nil, "-o", "json", "versions", "main", "team/db-main")), &listed); err != nil {
		t.Fatal(err)
	}
	if len(listed.Versions) < 2 || !listed.Versions[0].Current {
		t.Fatalf("versions: %+v; want two, of which the first is current", listed.Versions)
	}
	if slices.Contains(can, "get.version") {
		p.wantValue(t, "secret://main/team/db-main?version="+listed.Versions[1].Version, first)
	}
}

func (p program) isDeleted(t *testing.T, b backend, can []string) {
	t.Helper()
	remove := func() {
		t.Helper()
		p.keyway(t, nil, "delete", "main", "team/db-main")
		if r := p.try(t, nil, "get", "secret://main/team/db-main"); r.code == 0 {
			t.Error("get of a deleted secret gives one")
		}
		if out := p.keyway(t, nil, "list", "main", "team/"); strings.Contains(out, "db-main") {
			t.Errorf("list after delete: %q", out)
		}
	}
	remove()
	if slices.Contains(can, "restore") {
		p.keyway(t, nil, "restore", "main", "team/db-main")
		p.wantValue(t, "secret://main/team/db-main", second)
		remove()
	}
	if b.lax {
		return
	}
	p.keyway(t, first, "put", "main", "team/db-main")
	p.wantValue(t, "secret://main/team/db-main", first)
}

// Secrets go from each manager to the next, and at last back to the first.
func TestSecretsMoveThroughEveryManagerAndComeBack(t *testing.T) {
	all, stores, env := backends(t), set{}, []string{}
	for _, b := range all {
		stores[b.name] = b.store()
		env = append(env, b.env...)
	}
	p := newProgram(t, stores, env...)
	values := map[string][]byte{"db-main": first, "deep/er/pin": second}
	for name, value := range values {
		p.keyway(t, value, "put", all[0].name, "team/"+name)
	}
	from := all[0].name + "/team/"
	for _, b := range append(all[1:], all[0]) {
		to := b.name + "/moved/"
		p.migrate(t, "2 would be copied, 0 there already, 0 failed", "--dry-run", from, to)
		if out := p.keyway(t, nil, "list", b.name, "moved/"); out != "" {
			t.Errorf("a dry run wrote: %q", out)
		}
		p.migrate(t, "2 copied, 0 there already, 0 failed", from, to)
		for name, value := range values {
			p.wantValue(t, "secret://"+b.name+"/moved/"+name, value)
		}
		p.migrate(t, "0 copied, 2 there already, 0 failed", from, to)
		from = to
	}
}

// Each manager and the local file: there and back, with bytes that are no text where the manager holds them.
func TestSecretsMoveToAFileAndBack(t *testing.T) {
	disk := onDisk()
	for _, b := range backends(t) {
		t.Run(b.name, func(t *testing.T) {
			p := newProgram(t, set{"main": b.store(), "disk": disk.store()}, append(b.env, disk.env...)...)
			values := map[string][]byte{"one": first, "two": second}
			if !b.text {
				values["binary"] = binary
			}
			for name, value := range values {
				p.keyway(t, value, "put", "main", "team/"+name)
			}
			all := fmt.Sprintf("%d copied, 0 there already, 0 failed", len(values))
			p.migrate(t, all, "main/team/", "disk/kept/")
			p.migrate(t, all, "disk/kept/", "main/back/")
			for name, value := range values {
				p.wantValue(t, "secret://disk/kept/"+name, value)
				p.wantValue(t, "secret://main/back/"+name, value)
			}
		})
	}
}

// migrate runs the command and looks at what it counted.
func (p program) migrate(t *testing.T, counts string, args ...string) {
	t.Helper()
	if out := p.keyway(t, nil, append([]string{"migrate"}, args...)...); !strings.Contains(out, counts) {
		t.Errorf("migrate %s: %q; want %q", strings.Join(args, " "), out, counts)
	}
}
