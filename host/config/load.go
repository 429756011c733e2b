package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxFile bounds the file, in bytes.
const maxFile = 1 << 20

// Load reads and checks a file. Every problem of it comes at once, as an [*Error]; so does a file that cannot be read. The
// file is read once, whole, so that it may be replaced by a rename at any time.
//
// Beside an error there may be a configuration of what could be read, else nil. It is for finding still more problems
// ([Config.CheckSettings]) and for nothing else: what was at fault in it has its zero value.
func Load(file string) (*Config, error) {
	data, err := readFile(file)
	if err != nil {
		reason := err
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			reason = pe.Err
		}
		return nil, NewError(Problem{File: file, Message: fmt.Sprintf("cannot be read: %v", reason)})
	}
	return Parse(file, data)
}

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// One byte over the limit is enough for Parse to see that it is over.
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Parse is [Load] for bytes; file is for messages and relative paths, and need not exist.
func Parse(file string, data []byte) (*Config, error) {
	c := &Config{File: file, at: places{}}
	root, problem := readYAML(data)
	if problem != nil {
		problem.File = file
		return nil, NewError(*problem)
	}
	d := decoder{c: c}
	d.structure(root, reflect.ValueOf(c).Elem(), "")
	inherit(reflect.ValueOf(c).Elem())
	if d.stopped {
		return nil, NewError(d.problems...)
	}
	problems := d.problems
	for _, p := range c.check() {
		// What could not be read needs no second complaint of being missing.
		if !slices.ContainsFunc(d.problems, func(q Problem) bool { return q.Path == p.Path }) {
			problems = append(problems, p)
		}
	}
	return c, NewError(problems...)
}

// Abs makes a path of the file absolute: relative ones are against the file's folder, or the working directory for a
// literal.
func (c *Config) Abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	if c.File != "" {
		path = filepath.Join(filepath.Dir(c.File), path)
	}
	abs, err := filepath.Abs(path)
	if err != nil { // the working directory is gone; the caller's use of the path will say so
		return path
	}
	return abs
}

// PluginDir is the absolute folder of the plugin files.
func (c *Config) PluginDir() string {
	p := c.Plugins
	inherit(reflect.ValueOf(&p).Elem())
	return c.Abs(p.Dir)
}

// HostName is the name of this host in the audit: the configured one, else the machine's.
func (c *Config) HostName() string {
	if c.Name != "" {
		return c.Name
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// LockFile is the absolute path of the lock file; empty for none.
func (c *Config) LockFile() string {
	if c.Plugins.Lock == "" {
		return ""
	}
	return c.Abs(c.Plugins.Lock)
}

// CacheOf is the cache of one store, or of all for a name that is no store: its own fields, else the configuration's, else
// the defaults. None of its durations is negative.
func (c *Config) CacheOf(store string) Cache {
	var merged Cache
	if own := c.Stores[store].Cache; own != nil {
		merged = *own
	}
	m, all := reflect.ValueOf(&merged).Elem(), reflect.ValueOf(c.Cache)
	for i := range m.NumField() {
		if m.Field(i).IsZero() {
			m.Field(i).Set(all.Field(i))
		}
	}
	inherit(m)
	for i := range m.NumField() {
		m.Field(i).SetInt(max(0, m.Field(i).Int()))
	}
	return merged
}

// readYAML gives the one mapping of the file.
func readYAML(data []byte) (*yaml.Node, *Problem) {
	if len(data) > maxFile {
		return nil, &Problem{Message: "the file is over the limit of 1 MiB"}
	}
	if p := checkText(data); p != nil {
		return nil, p
	}
	var docs []yaml.Node
	if err := yaml.Load(data, &docs, yaml.WithAllDocuments()); err != nil {
		return nil, syntaxProblem(data, err)
	}
	if len(docs) > 1 {
		return nil, &Problem{Line: docs[1].Line, Column: docs[1].Column, Message: "a second document (after ---) is not allowed"}
	}
	if len(docs) == 0 || len(docs[0].Content) == 0 || docs[0].Content[0].ShortTag() == "!!null" {
		return nil, &Problem{Message: "the file is empty; it needs at least \"version: 1\""}
	}
	return docs[0].Content[0], nil
}

// checkText refuses what is not text, at its place: the YAML reader does not tell where.
func checkText(data []byte) *Problem {
	line, column := 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			return &Problem{Line: line, Column: column, Message: "the file is not UTF-8"}
		case r == '\n':
			line, column = line+1, 0
		case unicode.IsControl(r) && r != '\t' && r != '\r':
			return &Problem{Line: line, Column: column, Message: fmt.Sprintf("control character U+%04X", r)}
		}
		data, column = data[size:], column+1
	}
	return nil
}

// syntaxProblem tells a YAML error in our words, because the library's may quote the file.
func syntaxProblem(data []byte, err error) *Problem {
	p := &Problem{Message: "not valid YAML"}
	var many *yaml.LoadErrors
	var one *yaml.LoadError
	if errors.As(err, &many) && len(many.Errors) > 0 {
		one = many.Errors[0]
	}
	if one == nil && !errors.As(err, &one) {
		return p
	}
	p.Line, p.Column = one.Mark.Line, one.Mark.Column
	lines := bytes.Split(data, []byte("\n"))
	here := lines[min(max(p.Line, 1), len(lines))-1]
	indent := here[:len(here)-len(bytes.TrimLeft(here, " \t"))]
	switch {
	case bytes.IndexByte(indent, '\t') >= 0:
		p.Column = bytes.IndexByte(indent, '\t') + 1
		p.Message = "a tab; YAML indents with spaces only"
	case one.Stage != yaml.ScannerStage && one.Stage != yaml.ParserStage && one.Stage != yaml.ComposerStage:
	case one.Stage == yaml.ComposerStage:
		p.Message = "an alias (*name) without its anchor (&name); a text that begins with * stands in quotes"
	default:
		// The scanner's and the parser's messages are fixed texts.
		p.Message = "not valid YAML: " + one.Message + "; look for a quote, bracket, colon or indentation here or just before"
		if begun := one.ContextMark.Line; begun > 0 && begun != p.Line {
			p.Message += fmt.Sprintf(", or in what begins in line %d", begun)
		}
	}
	return p
}
