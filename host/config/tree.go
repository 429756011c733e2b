package config

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// settings reads a store's settings, a tree whose keys only the plugin knows.
func (d *decoder) settings(n *yaml.Node, path string) map[string]any {
	tree, ok := d.tree(n, path).(map[string]any)
	if !ok && target(n).Kind != yaml.MappingNode {
		d.fault(path, "must be a mapping of keys%s", notA(target(n)))
	}
	return tree
}

// tree reads a value as JSON has it: nil, bool, string, a number (int64, else float64), []any, map[string]any.
func (d *decoder) tree(n *yaml.Node, path string) any {
	n = target(n)
	defer d.leave()
	if !d.enter(path, weight(n)) {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for _, m := range d.members(n, path) {
			out[m.key] = d.tree(m.value, m.path)
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, c := range n.Content {
			p := join(path, strconv.Itoa(i))
			d.c.at[p] = place{c.Line, c.Column}
			out[i] = d.tree(c, p)
		}
		return out
	}
	v, err := plain(n)
	if err != nil {
		d.fault(path, "%v", err)
	}
	return v
}

// plain reads a scalar as JSON has it.
func plain(n *yaml.Node) (any, error) {
	var v any
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		return n.Value, nil
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		v = b
		return v, err
	case "!!int":
		var i int64
		if err := n.Decode(&i); err != nil {
			return nil, errLong
		}
		return i, nil
	case "!!float":
		return plainFloat(n)
	}
	return nil, errors.New(foreignTag)
}

var errLong = errors.New("must be a whole number of at most 64 bits; longer ones stand in quotes")

func plainFloat(n *yaml.Node) (any, error) {
	if strings.Trim(n.Value, "+-0123456789") == "" { // YAML makes a float of a long whole number, and so another number
		return nil, errLong
	}
	var f float64
	if err := n.Decode(&f); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, errors.New("must be a finite number")
	}
	return f, nil
}

// isJSON reports whether a scalar of a literal's settings is one that JSON has.
func isJSON(v any) bool {
	switch v := v.(type) {
	case nil, bool, string, json.Number, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return true
	case float64:
		return !math.IsInf(v, 0) && !math.IsNaN(v)
	case float32:
		return isJSON(float64(v))
	}
	return false
}
