// Package docs_test holds the project's pages to what they say.
package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/docs/doctest"
)

const root = ".."

// ownTest are the pages whose commands another test follows.
var ownTest = map[string]string{
	"docs/writing-a-plugin.md": "sdk/sdktest/guide_test.go",
}

// pages reads every page of the project by its path from the root; those of examples stand beside what they describe.
func pages(t *testing.T) map[string]doctest.Page {
	t.Helper()
	found := map[string]doctest.Page{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			p, err := doctest.Read(f)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, f)
			if err != nil {
				t.Fatal(err)
			}
			found[filepath.ToSlash(name)] = p
		}
	}
	if len(found) < 10 {
		t.Fatalf("only %d pages were found", len(found))
	}
	return found
}

func TestEveryCommandOfAPageDoesWhatThePageShows(t *testing.T) {
	bench := doctest.NewBench(t)
	for name, p := range pages(t) {
		if ownTest[name] != "" || strings.HasPrefix(name, "examples/") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			bench.Run(t, bench.Folder(t), p, nil, func(b doctest.Block) bool { return b.Info != "console e2e" })
		})
	}
}

func TestShellCommandsStandInBlocksThatAreTried(t *testing.T) {
	for name, p := range pages(t) {
		for _, b := range p.Blocks {
			switch b.Info {
			case "bash", "shell", "zsh", "text console", "shell-session":
				t.Errorf("%s:%d: a block of %s; commands stand in console or sh", name, b.Line, b.Info)
			}
		}
	}
	for name, test := range ownTest {
		if _, err := os.Stat(filepath.Join(root, test)); err != nil {
			t.Errorf("%s is left to %s, which is not there", name, test)
		}
	}
}

// What make does takes minutes, so continuous integration runs it and nobody else: a page may show only that.
func TestMakeTargetsOfThePagesAreRunByContinuousIntegration(t *testing.T) {
	run := targets(t)
	for name, p := range pages(t) {
		for _, b := range p.Blocks {
			for _, c := range b.Commands() {
				if target, ok := c.MakeTarget(); ok && !run[target] {
					t.Errorf("%s:%d: make %s is not run by .ci/run", name, c.Line, target)
				}
			}
		}
	}
}

// targets gives what .ci/run makes, and what these targets make in turn.
func targets(t *testing.T) map[string]bool {
	t.Helper()
	makefile := read(t, "Makefile")
	run := map[string]bool{}
	var add func(target string)
	add = func(target string) {
		if run[target] {
			return
		}
		run[target] = true
		rule := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:([^\n]*)\n((?:\t[^\n]*\n)*)`).FindStringSubmatch(makefile)
		if rule == nil {
			return
		}
		for _, needed := range strings.Fields(rule[1]) {
			add(needed)
		}
		for _, made := range regexp.MustCompile(`\$\(MAKE\) (\S+)`).FindAllStringSubmatch(rule[2], -1) {
			add(made[1])
		}
	}
	for _, step := range regexp.MustCompile(`(?m)^step make (\S+)`).FindAllStringSubmatch(read(t, ".ci/run"), -1) {
		add(step[1])
	}
	if !run["test"] || !run["quickstart"] {
		t.Fatalf(".ci/run makes %v", run)
	}
	return run
}

func read(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestProgramsInThePagesCompile(t *testing.T) {
	n := 0
	for name, p := range pages(t) {
		if ownTest[name] != "" {
			continue
		}
		for _, b := range p.Blocks {
			if b.Lang() != "go" || !regexp.MustCompile(`(?m)^package `).MatchString(b.Text) {
				continue
			}
			n++
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, []byte(b.Text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %v\n%s", name, b.Line, err, out)
			}
			if out, err := exec.CommandContext(t.Context(), "gofmt", "-l", file).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s:%d: it is not as gofmt writes it: %v", name, b.Line, err)
			}
		}
	}
	if n == 0 {
		t.Error("no page shows a program")
	}
}

func TestConfigurationsInThePagesAreCorrect(t *testing.T) {
	bench := doctest.NewBench(t, furtherProviders(t)...)
	n := 0
	for name, p := range pages(t) {
		for _, b := range p.Blocks {
			if b.Lang() != "yaml" || !regexp.MustCompile(`(?m)^stores:`).MatchString(b.Text) {
				continue
			}
			n++
			text := b.Text
			if !strings.Contains(text, "version: 1\n") {
				text = "version: 1\n" + text
			}
			dir := bench.Folder(t)
			if err := os.WriteFile(filepath.Join(dir, "keyway.yaml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := bench.Command(t, dir, nil, "keyway", "config", "check").CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %v\n%s", name, b.Line, err, out)
			}
		}
	}
	if n < 3 {
		t.Errorf("the pages show only %d configurations", n)
	}
}

// furtherProviders are those that have a page, beside the two that every bench has.
func furtherProviders(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "docs", "providers", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".md"); name != "local" && name != "vault" {
			out = append(out, name)
		}
	}
	return out
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	for name, p := range all {
		for _, m := range link.FindAllStringSubmatch(withoutCode(p), -1) {
			to := m[1]
			if strings.Contains(to, "://") {
				continue
			}
			path, anchor, _ := strings.Cut(to, "#")
			target := name
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, to)
				continue
			}
			if page, ok := all[target]; ok && anchor != "" && !slices.Contains(anchors(page), anchor) {
				t.Errorf("%s: %s has no heading #%s; it has %v", name, target, anchor, anchors(page))
			}
		}
	}
}

func withoutCode(p doctest.Page) string {
	text := p.Text
	for _, b := range p.Blocks {
		text = strings.Replace(text, b.Text, "", 1)
	}
	return text
}

// anchors gives the names that a web view gives to a page's headings.
func anchors(p doctest.Page) (out []string) {
	for _, m := range heading.FindAllStringSubmatch(withoutCode(p), -1) {
		name := strings.ToLower(regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(m[1], ""))
		out = append(out, strings.ReplaceAll(name, " ", "-"))
	}
	return out
}
