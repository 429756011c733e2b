package litellm

import (
	"errors"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// schema is as much of a settings schema as a translation needs.
type schema struct {
	Type       string            `json:"type"`
	Format     string            `json:"format"`
	Pattern    string            `json:"pattern"`
	WriteOnly  bool              `json:"writeOnly"`
	Min        int               `json:"minProperties"`
	Max        int               `json:"maxProperties"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
}

// oneOf tells an object of which exactly one member is set.
func (s schema) oneOf() bool { return s.Min == 1 && s.Max == 1 }

func (s schema) at(pointer string) schema {
	for _, k := range tokensOf(pointer) {
		s = s.Properties[k]
	}
	return s
}

// complete reports whether an alternative has all that it requires.
func (s schema) complete(alternative string, settings map[string]any) bool {
	object, ok := settings[alternative].(map[string]any)
	if !ok {
		return false
	}
	for _, k := range s.Properties[alternative].Required {
		if _, ok := object[k]; !ok {
			return false
		}
	}
	return true
}

// convert makes a text the setting's type. A secret becomes a reference to the variable, so that no literal is in our
// configuration. A relative path is LiteLLM's own, of its working directory. The error never quotes the text.
func (s schema) convert(text, variable string) (any, error) {
	switch {
	case s.WriteOnly:
		return "secret://env/" + url.PathEscape(variable), nil
	case s.Format == "path":
		return filepath.Abs(text)
	case s.Type == "integer":
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return nil, errors.New("must be a whole number")
		}
		return n, nil
	case s.Type == "number":
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return nil, errors.New("must be a number")
		}
		return n, nil
	case s.Type == "boolean":
		b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(text)))
		if err != nil {
			return nil, errors.New("must be true or false")
		}
		return b, nil
	case s.Type == "array":
		items := []any{}
		for item := range strings.SplitSeq(text, ",") {
			items = append(items, strings.TrimSpace(item))
		}
		return items, nil
	case strings.Contains(s.Pattern, "ms|s|m|h") && strings.Trim(text, "0123456789") == "":
		return text + "s", nil // LiteLLM's durations are seconds
	}
	return text, nil
}
