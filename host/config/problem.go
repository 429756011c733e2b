package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// Problem is one fault of a configuration. Line and Column begin at 1; they are 0 for a literal. Message never holds a
// setting's value.
type Problem struct {
	File         string
	Line, Column int
	Path         string // "stores.prod.settings.auth.secret_id"; see [Path]
	Message      string
}

// String gives "file:line:column path: message", without the parts that are unknown.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if p.Path != "" {
		b.WriteString(" " + p.Path)
	}
	if b.Len() == 0 {
		return p.Message
	}
	return strings.TrimSpace(b.String()) + ": " + p.Message
}

// Error is every problem of a configuration, in the order of the file. errors.Is finds [sdk.InvalidArgument].
type Error struct{ Problems []Problem }

// maxShown bounds the lines of an error's text, as compilers do: what is wrong a thousand times is wrong once.
const maxShown = 100

// Error gives one problem a line, of the first 100.
func (e *Error) Error() string {
	var lines []string
	for _, p := range e.Problems[:min(len(e.Problems), maxShown)] {
		lines = append(lines, p.String())
	}
	if more := len(e.Problems) - maxShown; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more problems", more))
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the code.
func (e *Error) Unwrap() error { return sdk.InvalidArgument }

// NewError gives one error of problems from several checks, sorted and without repetitions; nil if there are none.
func NewError(problems ...Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &Error{inOrder(problems)}
}

// inOrder sorts a copy of problems by their place, and drops repetitions.
func inOrder(problems []Problem) []Problem {
	problems = slices.Clone(problems)
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(problems)
}

// place is where a key or value stands in the file, from 1.
type place struct{ line, column int }

// places holds the place of every value, by its path.
type places map[string]place

// Problem makes a problem at a path such as "stores.prod.settings.auth", with the place of it, or of the nearest
// enclosing thing that the file has.
func (c *Config) Problem(path string, format string, a ...any) Problem {
	p := Problem{File: c.File, Path: path, Message: fmt.Sprintf(format, a...)}
	for {
		if at, ok := c.at[path]; ok {
			p.Line, p.Column = at.line, at.column
			return p
		}
		if path == "" {
			return p
		}
		path = parent(path)
	}
}

var plainSegment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// Path writes keys and list indices as one path: Path("stores", "a.b", "settings", "hosts", "0") is
// stores["a.b"].settings.hosts[0].
func Path(segments ...string) string {
	path := ""
	for _, s := range segments {
		path = join(path, s)
	}
	return path
}

// SettingsPath writes a JSON Pointer into a store's settings, as a plugin's problems have it, as a path.
func SettingsPath(store, pointer string) string {
	path := Path("stores", store, "settings")
	if pointer == "" {
		return path
	}
	for s := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		path = join(path, strings.NewReplacer("~1", "/", "~0", "~").Replace(s))
	}
	return path
}

func join(path, segment string) string {
	switch {
	case !plainSegment.MatchString(segment):
		if _, err := strconv.ParseUint(segment, 10, 31); err == nil {
			return path + "[" + segment + "]"
		}
		return path + "[" + strconv.Quote(segment) + "]"
	case path == "":
		return segment
	}
	return path + "." + segment
}

// parent cuts the last segment off a path.
func parent(path string) string {
	if strings.HasSuffix(path, `"]`) {
		for i := len(path) - 3; i > 0; i-- {
			if path[i] == '"' && path[i-1] == '[' {
				return path[:i-1]
			}
		}
	}
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}
