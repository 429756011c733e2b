package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyway-dev/keyway/host/refs"
)

// Expand gives a copy of a decoded YAML or JSON tree (maps, slices and scalars) in which every text that is a reference,
// or holds ${…} references, is replaced by its value. Keys stay as they are, and "$${" becomes "${". All references are read
// in one pass; when one fails there is no tree, and the error joins all failures, each with its place.
func (h *Host) Expand(ctx context.Context, tree any) (any, error) {
	var texts []string
	copyTree(tree, "", func(_, text string) string {
		if hasReference(text) {
			texts = append(texts, text)
		}
		return text
	})
	bindings := h.bindable(texts)
	answers := h.fetch(ctx, bindings)
	var failed []error
	out := copyTree(tree, "", func(path, text string) string {
		if !hasReference(text) {
			return literal(text)
		}
		b, err := bindings[text], error(nil)
		if b == nil {
			_, err = h.bind(text) // why it does not parse
		}
		var v *Value
		if err == nil {
			v, err = answers.of(ctx, b)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", path, err))
			return ""
		}
		return string(v.Reveal())
	})
	if len(failed) > 0 {
		return nil, errors.Join(failed...)
	}
	return out, nil
}

// bindable binds the texts that parse.
func (h *Host) bindable(texts []string) map[string]*binding {
	out := make(map[string]*binding, len(texts))
	for _, t := range texts {
		if b, err := h.bind(t); err == nil {
			out[t] = b
		}
	}
	return out
}

// hasReference reports whether a text holds a reference, a malformed one included.
func hasReference(text string) bool {
	parts, err := refs.Split(text)
	if err != nil {
		return true
	}
	for _, p := range parts {
		if p.Ref != nil {
			return true
		}
	}
	return false
}

// literal is a text without references, with "$${" unescaped.
func literal(text string) string {
	parts, err := refs.Split(text)
	if err != nil || len(parts) == 0 {
		return text
	}
	out := ""
	for _, p := range parts {
		out += p.Text
	}
	return out
}

// copyTree copies a tree, giving every text in it to f.
func copyTree(tree any, path string, f func(path, text string) string) any {
	switch t := tree.(type) {
	case string:
		return f(path, t)
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, v := range t {
			out[k] = copyTree(v, dotted(path, k), f)
		}
		return out
	case map[any]any:
		out := make(map[any]any, len(t))
		for k, v := range t {
			out[k] = copyTree(v, dotted(path, fmt.Sprint(k)), f)
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, v := range t {
			out[i] = copyTree(v, fmt.Sprintf("%s[%d]", path, i), f)
		}
		return out
	}
	return tree
}
