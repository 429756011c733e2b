//go:build e2e && unix

package thread_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A canary is a secret of a test that must not turn up. What is looked for is each run of 8 bytes of it, in the forms below: a
// leak of a part of a value is one too.
type canary struct {
	name  string
	forms map[string][]string // by what they are called
}

const (
	run8    = 8 // bytes of a canary that are looked for together
	aligned = 6 // bytes that base64 writes as 8 characters, wherever in a value they stand on a boundary of 3
)

func newCanary(name, value string) canary {
	c := canary{name, map[string][]string{}}
	add := func(form, text string) { c.forms[form] = append(c.forms[form], text) }
	for at := 0; at+run8 <= len(value); at += run8 {
		b := []byte(value[at : at+run8])
		add("plain", string(b))
		add("hex", hex.EncodeToString(b))
		add("HEX", strings.ToUpper(hex.EncodeToString(b)))
		add("decimal bytes", strings.Trim(fmt.Sprintf("%d", b), "[]"))
		add("hex bytes", strings.ReplaceAll(fmt.Sprintf("% #x", b), " ", ", "))
		for i := range run8 - aligned + 1 {
			add("base64", base64.StdEncoding.EncodeToString(b[i:i+aligned]))
			add("base64url", base64.URLEncoding.EncodeToString(b[i:i+aligned]))
		}
	}
	for at := 0; at+run8 <= len(value); at++ { // as the words of a stack that Go prints
		var word uint64
		for i := range run8 {
			word |= uint64(value[at+i]) << (8 * i)
		}
		add("word", fmt.Sprintf("%#x", word))
	}
	return c
}

// in names the form in which the canary stands in a text; empty: in none.
func (c canary) in(text string) string {
	for form, parts := range c.forms {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return form
			}
		}
	}
	return ""
}

// cage is a folder with stores of both providers, whose every secret is a canary.
type cage struct {
	command
	values   map[string]string // the canaries by name
	canaries []canary
	inputs   map[string]bool // files that hold one because the test wrote it there
}

func (c *cage) canary(name, value string) string {
	c.values[name] = value
	c.canaries = append(c.canaries, newCanary(name, value))
	return value
}

// absent fails the test if a canary stands in a text that should hold none.
func (c *cage) absent(t *testing.T, where, text string) {
	t.Helper()
	for _, x := range c.canaries {
		if form := x.in(text); form != "" {
			t.Errorf("%s holds the %s, as %s", where, x.name, form)
		}
	}
}

// input writes a file that holds a canary.
func (c *cage) input(t *testing.T, name, text string) {
	t.Helper()
	c.inputs[name] = true
	c.write(t, name, text)
}

const cageConfig = `version: 1
plugins: {dir: %[1]s}
stores:
  home: {provider: local, access: read_write, settings: {path: secrets.kw, key: secret://file/store.key}}
  prod:
    provider: vault
    access: read_write
    settings: {address: %[2]s, mount: %[3]s, auth: {approle: {mount: %[4]s, role_id: %[5]s, secret_id: secret://cred/secret_id}}}
  token: {provider: vault, settings: {address: %[2]s, mount: %[3]s, auth: {token: {token: secret://file/token}}}}
  denied: {provider: vault, settings: {address: %[2]s, mount: elsewhere, auth: {token: {token: secret://file/token}}}}
  wrong: {provider: vault, settings: {address: %[2]s, mount: %[3]s, auth: {token: {token: secret://file/wrong}}}}
  badrole:
    provider: vault
    settings: {address: %[2]s, mount: %[3]s, auth: {approle: {mount: %[4]s, role_id: %[5]s, secret_id: secret://file/wrong}}}
sources: {file: [.]}
`

func newCage(t *testing.T) *cage {
	t.Helper()
	tmp, err := os.MkdirTemp("", "kc") // short: the paths of sockets are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	c := &cage{newCommand(t), map[string]string{}, nil, map[string]bool{}}
	for _, name := range []string{"tmp", "run", "cred"} {
		if err := os.Mkdir(filepath.Join(tmp, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c.dir = tmp
	c.env = append(c.env, "TMPDIR="+filepath.Join(tmp, "tmp"), "XDG_RUNTIME_DIR="+filepath.Join(tmp, "run"), "CREDENTIALS_DIRECTORY="+filepath.Join(tmp, "cred"))
	mount := srv.KV(t, 2)
	role := srv.AppRole(t, `path "`+mount+`/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }`, nil)
	key := c.canary("key of the store", (rand.Text() + rand.Text())[:32])
	c.input(t, "store.key", base64.StdEncoding.EncodeToString([]byte(key)))
	c.input(t, "cred/secret_id", c.canary("secret id", role.SecretID))
	c.input(t, "token", c.canary("token", srv.NewToken(t, reader(mount))))
	c.input(t, "wrong", c.canary("wrong token", "s."+rand.Text()))
	c.input(t, "local.value", c.canary("local value", rand.Text()))
	c.input(t, "vault.value", `{"key":"`+c.canary("vault value", rand.Text())+`","port":5432}`)
	c.input(t, "binary.value", "\xff\x00"+c.canary("binary value", rand.Text()))
	c.input(t, "next.value", c.canary("next value", rand.Text()))
	c.input(t, "large.value", strings.Repeat(c.values["next value"], 1<<16))
	c.input(t, "literal.yaml", "version: 1\nstores:\n  a: {provider: vault, settings: {address: x, auth: {token: {token: "+c.canary("literal", rand.Text())+"}}}}\n")
	c.input(t, "broken.yaml", "version: 1\nstores: {a: {settings: {token: \""+c.values["literal"]+"}}}\n")
	c.write(t, "keyway.yaml", fmt.Sprintf(cageConfig, bin, srv.Addr, mount, role.Mount, role.RoleID))
	c.write(t, "badkey.yaml", "version: 1\nplugins: {dir: "+bin+"}\nstores: {a: {provider: local, settings: {path: other.kw, key: secret://file/wrong}}}\nsources: {file: [.]}\n")
	c.write(t, "config.yaml", "model_list:\n  - litellm_params: {api_key: secret://home/a, other: \"secret://prod/b#/key\"}\n")
	c.write(t, "template.yaml", "a: secret://home/a\nb: secret://prod/b#/key\nc: secret://prod/missing\n")
	return c
}

// fill puts the values into the stores.
func (c *cage) fill(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{{"home", "a", "--file", "local.value"}, {"prod", "b", "--file", "vault.value"}, {"home", "bin", "--file", "binary.value"}} {
		r := c.keyway(t, "", append([]string{"put"}, args...)...)
		if r.code != 0 {
			t.Fatalf("put %v: exit code %d: %s", args, r.code, r.stderr)
		}
	}
}

// files fails the test if a canary stands in a file of the folder that the test did not write there.
func (c *cage) files(t *testing.T, when string) {
	t.Helper()
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(c.dir, path)
		if err != nil || !d.Type().IsRegular() || c.inputs[name] {
			return err
		}
		text, err := os.ReadFile(path)
		c.absent(t, when+", the file "+name, string(text))
		if strings.HasPrefix(d.Name(), "core") {
			t.Errorf("%s, there is a core file %s", when, name)
		}
		return err
	})
	if err != nil {
		t.Errorf("%s: %v", when, err)
	}
}

// Each command with its exit code, as text and as JSON alike. None was asked for a value.
var quiet = []struct {
	code int
	args string
}{
	{0, "put home a --file local.value"},
	{0, "put prod b --file vault.value"},
	{0, "put home bin --file binary.value"},
	{6, "put home a --file next.value --if-absent"},
	{6, "put prod b --file vault.value --if-absent"},
	{6, "put home a --file next.value --if-version 999"},
	{2, "put prod b --file next.value"}, // not a document
	{2, "put home a --file large.value"},
	{2, "put home ../a --file next.value"},
	{4, "put token b --file vault.value"},
	{0, "rotate prod b --file vault.value"},
	{3, "rotate home missing --file next.value"},
	{0, "list home"},
	{0, "list prod"},
	{0, "versions home a"},
	{0, "versions prod b"},
	{0, "stores list"},
	{7, "stores check"},
	{0, "stores describe home"},
	{0, "stores describe prod"},
	{7, "plugin list"}, // the gateway lies beside the plugins
	{0, "plugin describe local"},
	{0, "plugin describe vault"},
	{7, "doctor"},
	{0, "config check"},
	{7, "config check --online"},
	{2, "-c literal.yaml config check"},
	{2, "-c literal.yaml get secret://a/x"},
	{2, "-c broken.yaml config check"},
	{0, "config schema"},
	{3, "resolve template.yaml"},
	{2, "resolve broken.yaml"},
	{3, "get secret://prod/missing"},
	{3, "get secret://home/missing"},
	{3, "get secret://prod/b#/absent"},
	{2, "get secret://home/a#/key"},
	{3, "get secret://home/a?version=999"},
	{4, "get secret://denied/b"},
	{4, "get secret://wrong/b"},
	{4, "get secret://badrole/b"},
	{2, "-c badkey.yaml get secret://a/b"},
	{2, "-c badkey.yaml stores check"},
	{125, "run --env A=secret://home/a --env B=secret://prod/missing --env C=secret://wrong/b -- true"},
	{125, "run --env A=secret://home/bin -- true"}, // a byte of zero
	{125, "run --litellm literal.yaml --env A=secret://home/missing -- true {config}"},
	{0, "run -v --env A=secret://home/a --env B=secret://prod/b#/key -- true"},
	{0, "run -v --litellm config.yaml -- true {config}"},
	{0, "delete home bin"},
	{0, "restore home bin"},
}

func TestNoMessageResultOrFileHoldsASecret(t *testing.T) {
	c := newCage(t)
	for _, format := range []string{"text", "json"} {
		for _, q := range quiet {
			r := c.keyway(t, "", append([]string{"-o", format, "--log-level", "debug"}, strings.Fields(q.args)...)...)
			if r.code != q.code {
				t.Errorf("%s (%s): exit code %d, want %d:\n%s", q.args, format, r.code, q.code, r.stderr)
			}
			c.absent(t, "what "+q.args+" ("+format+") printed", r.stdout)
			c.absent(t, "what "+q.args+" ("+format+") said", r.stderr)
		}
	}
	c.files(t, "after all commands")
	for _, name := range []string{"tmp", "run"} {
		if left, err := os.ReadDir(filepath.Join(c.dir, name)); err != nil || len(left) > 0 {
			t.Errorf("left behind in %s: %v, %v", name, left, err)
		}
	}
	r := c.keyway(t, "", "-o", "json", "get", "secret://home/a")
	c.absent(t, "get -o json without --reveal", r.stdout+r.stderr)
}

func TestTheSearchFindsWhatWasAskedFor(t *testing.T) {
	c := newCage(t)
	c.fill(t)
	for _, x := range []struct{ canary, form, args string }{
		{"local value", "plain", "get secret://home/a"},
		{"vault value", "plain", "get secret://prod/b#/key"},
		{"local value", "plain", "-o json get --reveal secret://home/a"},
		{"binary value", "base64", "-o json get --reveal secret://home/bin"},
	} {
		r := c.keyway(t, "", strings.Fields(x.args)...)
		found := false
		for _, k := range c.canaries {
			found = found || k.name == x.canary && strings.HasPrefix(k.in(r.stdout), x.form)
		}
		if !found {
			t.Errorf("%s: the %s is not found as %s, though it was asked for (exit code %d)", x.args, x.canary, x.form, r.code)
		}
		c.absent(t, "what "+x.args+" said", r.stderr)
	}
	k := newCanary("x", "jklmnopqrstuvwxy")
	for form, text := range map[string]string{"hex": "6a6b6c6d6e6f7071", "decimal bytes": "[106 107 108 109 110 111 112 113]", "word": "0x71706f6e6d6c6b6a",
		"hex bytes": "{0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71}"} {
		if got := k.in(text); got != form {
			t.Errorf("in(%s) = %q, want %s", text, got, form)
		}
	}
}
