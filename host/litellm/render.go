package litellm

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/sdk"
)

// WriteCopy writes the configuration that LiteLLM gets into dir, which must be private, and gives its path. The copy has no
// manager block and no includes; every reference reads the environment. values holds what References were resolved to, by
// name; only those that are InFile are written. Python modules that the configuration names are linked beside the copy,
// because LiteLLM loads callbacks and custom_auth from the folder of its configuration.
func (t *Translation) WriteCopy(dir string, values map[string]sdk.Sensitive) (string, error) {
	tree := t.render(values)
	data, err := yaml.Dump(tree, yaml.WithLineWidth(-1))
	if err != nil {
		return "", sdk.Errorf(sdk.Internal, "write %s: %w", filepath.Base(t.doc.file), err)
	}
	path := filepath.Join(dir, filepath.Base(t.doc.file))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", sdk.Errorf(sdk.Unavailable, "write the private copy: %w", err)
	}
	if err := t.linkModules(dir); err != nil {
		return "", sdk.Errorf(sdk.Unavailable, "link the modules beside the private copy: %w", err)
	}
	return path, nil
}

func (t *Translation) render(values map[string]sdk.Sensitive) *yaml.Node {
	with := map[*yaml.Node]string{}
	for name, places := range t.inline {
		for _, n := range places {
			with[n] = string(values[name].Reveal())
		}
	}
	return copyTree(t.doc.root, with)
}

func copyTree(n *yaml.Node, with map[*yaml.Node]string) *yaml.Node {
	c := *n
	if value, ok := with[n]; ok {
		c.Value, c.Style = value, yaml.DoubleQuotedStyle
	}
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = copyTree(child, with)
	}
	return &c
}

// moduleForm is "module.attribute", with the module's first part captured.
var moduleForm = regexp.MustCompile(`^([A-Za-z_]\w*)(\.[A-Za-z_]\w*)+$`)

func (t *Translation) linkModules(dir string) error {
	from, err := filepath.Abs(filepath.Dir(t.doc.file))
	if err != nil {
		return err
	}
	for _, module := range modules(t.doc.root, nil) {
		for _, entry := range []string{module + ".py", module} {
			target := filepath.Join(from, entry)
			if _, err := os.Stat(target); err != nil {
				continue
			}
			if err := os.Symlink(target, filepath.Join(dir, entry)); err != nil && !os.IsExist(err) {
				return err
			}
		}
	}
	return nil
}

// modules gives the first part of every text in the tree that could name something in a Python module.
func modules(n *yaml.Node, found []string) []string {
	if isText(n) {
		if m := moduleForm.FindStringSubmatch(n.Value); m != nil && !slices.Contains(found, m[1]) {
			found = append(found, m[1])
		}
	}
	for _, child := range n.Content {
		found = modules(child, found)
	}
	return found
}
