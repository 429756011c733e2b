// Package doctest reads the project's pages and tries what they show, so that no page can promise what is not so.
//
// A page's fenced blocks are tried in order, in one folder and one shell:
//
//	```console      commands after "$ ", continued after "> ", and what they print, both streams together. "…" stands for
//	                any text of a line, and alone in a line for any lines. A command must succeed; "; echo $?" shows one
//	                that does not.
//	```console e2e  the same, where a real secret manager is at hand
//	```sh           a script; what it prints does not matter
//	```yaml, ```go  a file, if the first line is a comment with nothing but its name: "# keyway.yaml"
//
// A command that begins with "make " is not run: whoever tests the page holds it against what continuous integration runs.
package doctest

import (
	"os"
	"regexp"
	"strings"
)

// Page is one Markdown file.
type Page struct {
	File   string
	Text   string
	Blocks []Block
}

// Block is one fenced block.
type Block struct {
	Info string // what follows the fence: "console e2e"
	Line int    // of the file, of the block's first line of text
	Text string
}

// Lang is the first word of the block's info.
func (b Block) Lang() string {
	lang, _, _ := strings.Cut(b.Info, " ")
	return lang
}

// Read reads a page.
func Read(file string) (Page, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return Page{}, err
	}
	return Page{File: file, Text: string(raw), Blocks: blocks(string(raw))}, nil
}

func blocks(text string) (out []Block) {
	var open *Block
	for i, line := range strings.Split(text, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &Block{Info: strings.TrimSpace(info), Line: i + 2}
		case fence:
			out = append(out, *open)
			open = nil
		case open != nil:
			open.Text += line + "\n"
		}
	}
	return out
}

// fileMark is a comment with nothing but a file's name.
var fileMark = regexp.MustCompile(`^(?:#|//) ([A-Za-z0-9_.-]+\.[a-z]+)\n`)

// FileName is the name of the file that the block shows; empty for other blocks.
func (b Block) FileName() string {
	if m := fileMark.FindStringSubmatch(b.Text); m != nil && b.Lang() != "console" && b.Lang() != "sh" {
		return m[1]
	}
	return ""
}

// Command is one command of a page with what it prints. Want is nil where that does not matter.
type Command struct {
	Line int
	Text string
	Want *string
}

// Commands gives the block's commands.
func (b Block) Commands() (out []Command) {
	if b.Lang() == "sh" {
		return []Command{{Line: b.Line, Text: b.Text}}
	}
	if b.Lang() != "console" {
		return nil
	}
	for i, line := range strings.Split(strings.TrimSuffix(b.Text, "\n"), "\n") {
		if text, ok := strings.CutPrefix(line, "$ "); ok {
			out = append(out, Command{Line: b.Line + i, Text: text, Want: new(string)})
			continue
		}
		if len(out) == 0 {
			out = append(out, Command{Line: b.Line + i, Text: "echo 'the block must begin with a command'; false", Want: new(string)})
		}
		last := &out[len(out)-1]
		if more, ok := strings.CutPrefix(line, "> "); ok && *last.Want == "" {
			last.Text += "\n" + more
			continue
		}
		*last.Want += line + "\n"
	}
	return out
}

// script is what a shell runs. The commands of a block of sh end with the first that fails.
func (c Command) script() string {
	if c.Want == nil {
		return "set -e\n" + c.Text + "set +e"
	}
	return c.Text
}

// MakeTarget gives the target of a command that runs make.
func (c Command) MakeTarget() (string, bool) {
	target, ok := strings.CutPrefix(c.Text, "make ")
	return target, ok
}

// Matches reports whether the command printed what the page shows.
func (c Command) Matches(got string) bool {
	if c.Want == nil {
		return true
	}
	pattern := "^"
	for line := range strings.Lines(tidy(*c.Want)) {
		if line == "…\n" {
			pattern += `(?:[^\n]*\n)*`
			continue
		}
		pattern += strings.ReplaceAll(regexp.QuoteMeta(line), "…", `[^\n]*`)
	}
	return regexp.MustCompile(pattern + "$").MatchString(tidy(got))
}

// tidy ends every line with a line break and nothing before that; no output stays none.
func tidy(text string) string {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t") + "\n"
	}
	return strings.Join(lines, "")
}
