package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

// template is a file with references.
type template struct {
	texts []string // those that hold references
	fill  func(ctx context.Context, h *host.Host) ([]byte, error)
}

// stores gives the stores that the references ask. The error joins everything that is wrong in them.
func (t *template) stores(cfg *config.Config) (names []string, err error) {
	var failed []error
	for _, text := range t.texts {
		parts, err := refs.Split(text)
		if err == nil {
			var found []string
			found, err = storesOf(cfg, parts)
			names = append(names, found...)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return names, errors.Join(failed...)
}

func parseTemplate(file string, data []byte) (*template, error) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".yaml", ".yml":
		return yamlTemplate(file, data)
	case ".json":
		return jsonTemplate(file, data)
	}
	text := string(data)
	return &template{[]string{text}, func(ctx context.Context, h *host.Host) ([]byte, error) {
		out, err := expandText(ctx, h, text)
		return []byte(out), err
	}}, nil
}

// expandText replaces the references of one text.
func expandText(ctx context.Context, h *host.Host, text string) (string, error) {
	out, err := h.Expand(ctx, text)
	if err != nil {
		return "", err
	}
	s, ok := out.(string)
	if !ok {
		return "", sdk.Errorf(sdk.Internal, "expand: a text became a %T", out)
	}
	return s, nil
}

func jsonTemplate(file string, data []byte) (*template, error) {
	var tree any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, sdk.Errorf(sdk.InvalidArgument, "resolve %s: it is not JSON: %w", file, err)
	}
	t := &template{fill: func(ctx context.Context, h *host.Host) ([]byte, error) {
		filled, err := h.Expand(ctx, tree)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		err = writeJSON(&out, filled)
		return out.Bytes(), err
	}}
	textsIn(tree, &t.texts)
	return t, nil
}

func textsIn(tree any, into *[]string) {
	switch x := tree.(type) {
	case string:
		*into = appendReference(*into, x)
	case map[string]any:
		for _, v := range x {
			textsIn(v, into)
		}
	case []any:
		for _, v := range x {
			textsIn(v, into)
		}
	}
}

func appendReference(texts []string, text string) []string {
	if refs.Is(text) || strings.Contains(text, "${") {
		return append(texts, text)
	}
	return texts
}

// yamlTemplate works on nodes, so that comments, order and spelling stay.
func yamlTemplate(file string, data []byte) (*template, error) {
	docs, err := yamlDocuments(data)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidArgument, "resolve %s: it is not YAML: %s", file, strings.Join(strings.Fields(err.Error()), " "))
	}
	t := &template{}
	var nodes []*yaml.Node
	places := map[string]any{}
	for _, d := range docs {
		walkYAML(d, "", func(n *yaml.Node, path string) {
			if len(appendReference(nil, n.Value)) > 0 {
				t.texts, nodes = append(t.texts, n.Value), append(nodes, n)
				places[fmt.Sprintf("%s:%d %s", file, n.Line, strings.TrimPrefix(path, "."))] = n.Value
			}
		})
	}
	t.fill = func(ctx context.Context, h *host.Host) ([]byte, error) {
		if _, err := h.Expand(ctx, places); err != nil { // reads all in one pass, and its errors name the places
			return nil, err
		}
		for _, n := range nodes {
			text, err := expandText(ctx, h, n.Value)
			if err != nil {
				return nil, err
			}
			n.Value, n.Style, n.Tag = text, yaml.DoubleQuotedStyle, "!!str"
		}
		return writeYAML(docs)
	}
	return t, nil
}

func yamlDocuments(data []byte) (docs []*yaml.Node, err error) {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	for err == nil {
		n := &yaml.Node{}
		if err = loader.Load(n); err == nil {
			docs = append(docs, n)
		}
	}
	if errors.Is(err, io.EOF) {
		return docs, nil
	}
	return nil, err
}

func writeYAML(docs []*yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	w, err := yaml.NewDumper(&out, yaml.WithLineWidth(-1))
	for _, d := range docs {
		if err == nil {
			err = w.Dump(d)
		}
	}
	if err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}

// walkYAML visits the texts of a document, not its keys.
func walkYAML(n *yaml.Node, path string, f func(n *yaml.Node, path string)) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.ShortTag() == "!!str" {
			f(n, path)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			walkYAML(n.Content[i+1], path+"."+config.Path(n.Content[i].Value), f)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			walkYAML(c, fmt.Sprintf("%s[%d]", path, i), f)
		}
	case yaml.DocumentNode:
		for _, c := range n.Content {
			walkYAML(c, path, f)
		}
	}
}
