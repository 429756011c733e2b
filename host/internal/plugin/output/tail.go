package output

import (
	"strings"
	"sync"
	"unicode"
)

// Bounds of what is kept of a process's output.
const (
	tailLines = 20
	tailWidth = 256 // bytes of one kept line
)

// Tail keeps the last lines of a process's output, printable characters only, and the first line that says why a Go
// program crashed: its stack traces push that line out of the last ones. It is safe for concurrent use.
type Tail struct {
	mu    sync.Mutex
	lines []string
	crash string
}

// Add keeps a line; empty lines are not worth one.
func (t *Tail) Add(line string) {
	line = printable(line)
	if line == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.crash == "" && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")) {
		t.crash = line
	}
	if len(t.lines) == tailLines {
		copy(t.lines, t.lines[1:])
		t.lines = t.lines[:tailLines-1]
	}
	t.lines = append(t.lines, line)
}

// Lines gives the kept lines, oldest first.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.lines...)
}

// Brief gives what belongs into an error message: the crash's own line, or else the last few lines, in one line; empty
// when nothing was printed.
func (t *Tail) Brief() string {
	const few = 4
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.crash != "" {
		return t.crash
	}
	return strings.Join(t.lines[max(0, len(t.lines)-few):], " | ")
}

// printable cuts s to tailWidth and replaces what could steer a terminal or break a line.
func printable(s string) string {
	if len(s) > tailWidth {
		s = strings.ToValidUTF8(s[:tailWidth], "") + "…"
	}
	s = strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}
