package doctest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const module = "github.com/keyway-dev/keyway/"

// Bench is where pages are tried: a folder with the compiled program, one inside it with the plugins, and one with what an
// operator has got from a publisher.
type Bench struct {
	Bin, Plugins, Downloads string
}

// plugins are those whose commands pages show.
var plugins = [...]string{"local", "vault"}

// standIn takes the place of LiteLLM, which is too large to install for a test of a page: it tells which keys it got.
const standIn = `#!/bin/sh
echo "litellm: it has" $(env | sed -n 's/^\([A-Z]*_[A-Z_]*KEY\)=.*/\1/p' | sort)
`

// NewBench compiles the program and the plugins, and those of further providers.
func NewBench(t *testing.T, providers ...string) Bench {
	t.Helper()
	bin := t.TempDir()
	b := Bench{Bin: bin, Plugins: filepath.Join(bin, "plugins"), Downloads: filepath.Join(bin, "downloads")}
	for _, dir := range []string{b.Plugins, b.Downloads} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	install(t, sdktest.Build(t, module+"host/cmd/keyway"), b.Bin)
	for _, name := range append(plugins[:], providers...) {
		install(t, sdktest.Build(t, module+"plugins/"+name), b.Plugins)
	}
	if err := os.WriteFile(filepath.Join(b.Bin, "litellm"), []byte(standIn), 0o755); err != nil {
		t.Fatal(err)
	}
	publish(t, b.Downloads)
	return b
}

// publish makes the next version of a plugin, its signature, and the key of who signed it.
func publish(t *testing.T, dir string) {
	t.Helper()
	program := filepath.Join(dir, "local-0.2.0")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.version=0.2.0", "-o", program, module+"plugins/local")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hashed := minisign.NewReader(f)
	_, err = io.Copy(io.Discard, hashed)
	key, kerr := public.MarshalText()
	if err := errors.Join(err, kerr, os.WriteFile(filepath.Join(dir, "publisher.pub"), key, 0o644),
		os.WriteFile(program+".minisig", hashed.Sign(private), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// install puts a program into a folder: by a link where that can be, since programs are large and pages are many.
func install(t *testing.T, program, dir string) {
	t.Helper()
	to := filepath.Join(dir, filepath.Base(program))
	if os.Link(program, to) == nil {
		return
	}
	raw, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(to, raw, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Folder makes the folder that a page's commands work in: it has the plugins where a configuration looks for them, and the
// downloads.
func (b Bench) Folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for to, from := range map[string]string{"plugins": b.Plugins, "downloads": b.Downloads} {
		to = filepath.Join(dir, to)
		files, err := os.ReadDir(from)
		if err = errors.Join(err, os.Mkdir(to, 0o755)); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			install(t, filepath.Join(from, f.Name()), to)
		}
	}
	return dir
}

// Command makes a command that finds the program, in an environment of its own.
func (b Bench) Command(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path := b.Bin + string(os.PathListSeparator) + os.Getenv("PATH")
	found := args[0]
	if _, err := os.Stat(filepath.Join(b.Bin, found)); err == nil {
		found = filepath.Join(b.Bin, found)
	}
	cmd := exec.CommandContext(t.Context(), found, args[1:]...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + path, "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir}, env...)
	return cmd
}

// Run tries a page's commands in a folder, without those that wanted refuses. env comes on top of PATH and HOME.
func (b Bench) Run(t *testing.T, dir string, p Page, env []string, wanted func(Block) bool) {
	t.Helper()
	var script strings.Builder
	var commands []Command
	script.WriteString("exec 2>&1\ntrap '[ -z \"$!\" ] || kill $! 2>/dev/null' EXIT\n") // what a page starts in the background ends with it
	for _, block := range p.Blocks {
		if name := block.FileName(); name != "" {
			fmt.Fprintf(&script, "cat >'%s' <<'END-OF-FILE'\n%sEND-OF-FILE\n", name, block.Text)
			continue
		}
		if !wanted(block) {
			continue
		}
		for _, c := range block.Commands() {
			if _, ok := c.MakeTarget(); ok {
				continue
			}
			fmt.Fprintf(&script, "%s\nprintf '\\036%d %%d\\n' $?\n", c.script(), len(commands))
			commands = append(commands, c)
		}
	}
	if len(commands) == 0 {
		return
	}
	file := filepath.Join(t.TempDir(), "page.sh")
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := b.Command(t, dir, env, "sh", file).CombinedOutput()
	verdict(t, p, commands, string(out))
	if err != nil && !t.Failed() {
		t.Errorf("%s: the shell ended with %v", p.File, err)
	}
}

// endMark follows the output of each command, with its number and exit code.
var endMark = regexp.MustCompile(`\x1e(\d+) (\d+)\n`)

func verdict(t *testing.T, p Page, commands []Command, out string) {
	t.Helper()
	ends := endMark.FindAllStringSubmatchIndex(out, -1)
	from := 0
	for i, c := range commands {
		if i >= len(ends) {
			t.Errorf("%s:%d: $ %s\nthe shell ended here; it printed:\n%s", p.File, c.Line, c.Text, out[from:])
			return
		}
		printed := out[from:ends[i][0]]
		code, _ := strconv.Atoi(out[ends[i][4]:ends[i][5]])
		from = ends[i][1]
		switch {
		case code != 0:
			t.Errorf("%s:%d: $ %s\nexit code %d; it printed:\n%s", p.File, c.Line, c.Text, code, printed)
		case !c.Matches(printed):
			t.Errorf("%s:%d: $ %s\nit printed:\n%s\nthe page shows:\n%s", p.File, c.Line, c.Text, printed, *c.Want)
		}
	}
}
