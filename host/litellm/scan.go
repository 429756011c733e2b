package litellm

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/refs"
)

// The beginnings of LiteLLM's references.
const (
	environ = "os.environ/"
	oidc    = "oidc/"
)

// scanner finds what LiteLLM must get, and rewrites the tree so that LiteLLM finds it in its environment.
type scanner struct {
	doc      *document
	byName   map[string]*Reference
	order    []string
	numbered map[string]string       // a text that is no os.environ/NAME -> the variable made for it
	inline   map[string][]*yaml.Node // places whose value must stand in the copy
	literals map[string]string
	problems []config.Problem
	notes    []string
}

func newScanner(doc *document) *scanner {
	return &scanner{doc: doc, byName: map[string]*Reference{}, numbered: map[string]string{}, inline: map[string][]*yaml.Node{},
		literals: map[string]string{}}
}

// walk visits every value. resolves is whether LiteLLM's own walk comes here: it enters mappings, and of lists only the
// mappings in them, so that neither a bare item of a list nor a list in a list is ever resolved.
func (s *scanner) walk(n *yaml.Node, path string, resolves bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i].Value, n.Content[i+1]
			if p := join(path, key); value.Kind == yaml.ScalarNode {
				s.scalar(value, p, resolves)
			} else {
				s.walk(value, p, resolves)
			}
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			p := path + "[" + strconv.Itoa(i) + "]"
			switch item.Kind {
			case yaml.ScalarNode:
				s.scalar(item, p, false)
			case yaml.MappingNode:
				s.walk(item, p, resolves)
			default:
				s.walk(item, p, false)
			}
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return config.Path(key)
	}
	return path + "." + config.Path(key)
}

func (s *scanner) scalar(n *yaml.Node, path string, resolves bool) {
	if !isText(n) {
		return
	}
	text, parts, ok := s.parse(n, path)
	if !ok {
		return
	}
	if len(parts) == 1 && parts[0].Ref.Kind == refs.Environ {
		s.named(n, path, parts[0].Ref.Name, resolves)
		return
	}
	name := s.numbered[text]
	if name == "" {
		name = "KEYWAY_REF_" + strconv.Itoa(len(s.numbered)+1)
		s.numbered[text] = name
	}
	s.add(name, text, n, path, !resolves)
	if resolves {
		n.Value, n.Style = environ+name, 0
	}
}

// parse gives the parts of a text that holds a reference we resolve, with the first part a reference if it is the only
// one. Identity tokens are left to LiteLLM: it fetches a fresh one when it needs it, and ours would expire.
func (s *scanner) parse(n *yaml.Node, path string) (text string, parts []refs.Part, ok bool) {
	text = n.Value
	if strings.HasPrefix(text, "oidc/") || strings.HasPrefix(text, environ+"oidc/") {
		return "", nil, false
	}
	if i := strings.Index(text, environ); i > 0 && !refs.Is(text) && !strings.Contains(text, "${"+environ) {
		if !inHeaders(path) {
			s.notes = append(s.notes, fmt.Sprintf("%s %s: LiteLLM takes text around os.environ/ literally; write ${os.environ/NAME} for the secret", s.doc.place(n), path))
			return "", nil, false
		}
		text = text[:i] + "${" + text[i:] + "}" // the rest of a header is the name, as LiteLLM has it
	}
	if !refs.Is(text) && !strings.Contains(text, "${") {
		return "", nil, false
	}
	parts, err := refs.Split(text)
	if err != nil {
		s.problems = append(s.problems, s.doc.problem(n, path, "%v", err))
		return "", nil, false
	}
	for _, p := range parts {
		if ok = p.Ref != nil; ok {
			break
		}
	}
	return text, parts, ok
}

func inHeaders(path string) bool {
	parent := path[:max(0, strings.LastIndex(path, "."))]
	return strings.HasSuffix(parent, "headers")
}

// named handles os.environ/NAME, which LiteLLM finds by itself where its walk comes.
func (s *scanner) named(n *yaml.Node, path, name string, resolves bool) {
	if literal, ok := s.literals[name]; ok {
		if !resolves {
			n.Value, n.Style = literal, yaml.DoubleQuotedStyle
		}
		return
	}
	if strings.ContainsAny(name, "=\x00") {
		s.problems = append(s.problems, s.doc.problem(n, path, "an environment variable's name cannot have %q in it", "="))
		return
	}
	s.add(name, environ+name, n, path, !resolves)
}

// add notes that a place needs a variable. One that the block environment_variables sets keeps the block's text.
func (s *scanner) add(name, text string, n *yaml.Node, path string, inFile bool) {
	r := s.byName[name]
	if r == nil {
		r = &Reference{Name: name, Text: text}
		s.byName[name] = r
		s.order = append(s.order, name)
	}
	r.Required = true
	r.Places = append(r.Places, s.doc.place(n)+" "+path)
	if inFile {
		s.notes = append(s.notes, s.doc.place(n)+" "+path+": LiteLLM resolves no items of lists, so its private copy holds the value itself")
		r.InFile = true
		s.inline[name] = append(s.inline[name], n)
	}
}

func (s *scanner) references() []Reference {
	out := make([]Reference, 0, len(s.order))
	for _, name := range s.order {
		out = append(out, *s.byName[name])
	}
	return out
}
