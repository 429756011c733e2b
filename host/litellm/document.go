package litellm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host/config"
)

const (
	maxDepth = 100     // nesting that LiteLLM itself follows
	maxNodes = 1 << 20 // nodes after aliases are written out; more is an attack on our memory, not a configuration
)

// document is LiteLLM's configuration with its includes merged in and its aliases written out, as one tree of YAML nodes.
// Nodes keep their spelling, so that what we do not touch reaches LiteLLM's YAML 1.1 reader as it was written.
type document struct {
	file  string
	root  *yaml.Node
	files map[*yaml.Node]string // where each node was read
}

// read loads the file and what it includes.
func read(file string) (*document, []config.Problem) {
	d := &document{file: file, files: map[*yaml.Node]string{}}
	var problem *config.Problem
	if d.root, problem = d.load(file); problem != nil {
		return nil, []config.Problem{*problem}
	}
	if problems := d.include(); len(problems) > 0 {
		return nil, problems
	}
	return d, nil
}

func (d *document) load(file string) (*yaml.Node, *config.Problem) {
	data, err := os.ReadFile(file)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, &config.Problem{File: file, Message: fmt.Sprintf("cannot be read: %v", err)}
	}
	if strings.TrimSpace(string(data)) == "" {
		return nil, &config.Problem{File: file, Message: "is empty"}
	}
	var n yaml.Node
	if err := yaml.Load(data, &n); err != nil {
		return nil, &config.Problem{File: file, Message: fmt.Sprintf("is not YAML: %s", oneLine(err))}
	}
	root := &n
	if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
		root = n.Content[0]
	}
	if root.Kind != yaml.MappingNode {
		return nil, &config.Problem{File: file, Line: root.Line, Column: root.Column, Message: "must be a mapping of sections such as model_list and general_settings"}
	}
	budget := maxNodes
	root, err = d.expand(root, file, 0, &budget)
	if err != nil {
		return nil, &config.Problem{File: file, Message: err.Error()}
	}
	return root, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// expand copies a tree with the targets of its aliases in their places, and notes the file of every node.
func (d *document) expand(n *yaml.Node, file string, depth int, budget *int) (*yaml.Node, error) {
	if *budget--; *budget < 0 {
		return nil, fmt.Errorf("has more than %d nodes once its aliases are written out", maxNodes)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("nests deeper than %d levels, or an anchor holds itself", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		c, err := d.expand(n.Alias, file, depth+1, budget)
		if err == nil {
			c.Line, c.Column = n.Line, n.Column
		}
		return c, err
	}
	c := *n
	c.Anchor, c.Content = "", make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		x, err := d.expand(child, file, depth+1, budget)
		if err != nil {
			return nil, err
		}
		c.Content[i] = x
	}
	d.files[&c] = file
	return &c, nil
}

// include merges the included files as LiteLLM does: every path is relative to the main file's folder, lists are joined,
// anything else replaces what was there, and an included file's own includes come after.
func (d *document) include() (problems []config.Problem) {
	queue := includes(d.root)
	remove(d.root, "include")
	seen := map[string]bool{clean(d.file): true}
	for i := 0; i < len(queue); i++ {
		entry := queue[i]
		file := entry.Value
		if entry.Kind != yaml.ScalarNode || file == "" {
			problems = append(problems, d.problem(entry, "include", "must be a file, or a list of files"))
			continue
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(d.file), file)
		}
		if seen[clean(file)] {
			problems = append(problems, d.problem(entry, "include", "%q was read already: it is listed twice, or the includes go in a circle", entry.Value))
			continue
		}
		seen[clean(file)] = true
		root, problem := d.load(file)
		if problem != nil {
			problem.Message = fmt.Sprintf("%s (included at %s)", problem.Message, d.place(entry))
			problems = append(problems, *problem)
			continue
		}
		queue = append(queue, includes(root)...)
		remove(root, "include")
		problems = append(problems, d.merge(root)...)
	}
	return problems
}

func clean(file string) string {
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		return real
	}
	return file
}

func includes(root *yaml.Node) []*yaml.Node {
	switch n := member(root, "include"); {
	case n == nil || isNull(n):
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	default:
		return []*yaml.Node{n}
	}
}

func (d *document) merge(included *yaml.Node) (problems []config.Problem) {
	for i := 0; i+1 < len(included.Content); i += 2 {
		key, value := included.Content[i], included.Content[i+1]
		old := member(d.root, key.Value)
		switch {
		case old == nil:
			d.root.Content = append(d.root.Content, key, value)
		case value.Kind != yaml.SequenceNode:
			set(d.root, key.Value, value)
		case old.Kind != yaml.SequenceNode:
			problems = append(problems, d.problem(value, key.Value, "is a list here and not at %s", d.place(old)))
		default:
			old.Content = append(old.Content, value.Content...)
		}
	}
	return problems
}

// place is "file:line" of a node.
func (d *document) place(n *yaml.Node) string {
	file := d.files[n]
	if file == "" {
		file = d.file
	}
	return file + ":" + strconv.Itoa(n.Line)
}

func (d *document) problem(n *yaml.Node, path, format string, args ...any) config.Problem {
	file := d.files[n]
	if file == "" {
		file = d.file
	}
	return config.Problem{File: file, Line: n.Line, Column: n.Column, Path: path, Message: fmt.Sprintf(format, args...)}
}

// member gives the value of a key, the last of doubled ones as in LiteLLM's reader; nil if it is absent.
func member(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := len(mapping.Content) - 2; i >= 0; i -= 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func set(mapping *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content[i+1] = value
		}
	}
}

func remove(mapping *yaml.Node, keys ...string) {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return
	}
	kept := mapping.Content[:0:0]
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		drop := false
		for _, k := range keys {
			drop = drop || mapping.Content[i].Value == k
		}
		if !drop {
			kept = append(kept, mapping.Content[i], mapping.Content[i+1])
		}
	}
	mapping.Content = kept
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func isText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" }
