package litellm

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

// translator fills one plugin's settings from LiteLLM's names, by the compat entries of the manifest.
type translator struct {
	env         func(string) (string, bool)
	compat      map[string]string
	schema      schema
	settings    map[string]any
	secretNames []string // variables that a secret setting refers to, or would
}

func newTranslator(m sdk.Manifest, env func(string) (string, bool)) *translator {
	t := &translator{env: env, compat: m.Compat, settings: map[string]any{}}
	if err := json.Unmarshal(m.Schema, &t.schema); err != nil {
		t.schema = schema{}
	}
	return t
}

func (t *translator) names(prefix string) []string {
	var out []string
	for k := range t.compat {
		if name, ok := strings.CutPrefix(k, prefix); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (t *translator) settingNames() []string { return t.names("litellm.setting.") }

// settings fills a store's settings: variables first, then key_management_settings over them, then what is implied.
func (m *manager) settings(t *translator, block, at *yaml.Node) map[string]any {
	for _, name := range t.names("litellm.env.") {
		pointer := t.compat["litellm.env."+name]
		s := t.schema.at(pointer)
		if s.WriteOnly {
			t.secretNames = append(t.secretNames, name)
		}
		text, ok := m.env(name)
		if !ok || text == "" {
			continue
		}
		value, err := s.convert(text, name)
		if err != nil {
			m.fault(at, m.path, "the variable %s %v", name, err)
			continue
		}
		t.put(pointer, value)
	}
	for _, name := range t.settingNames() {
		n := member(block, name)
		if n == nil || isNull(n) {
			continue
		}
		pointer := t.compat["litellm.setting."+name]
		value, err := t.fromNode(n, t.schema.at(pointer))
		if err != nil {
			m.fault(n, join(settingsPath, name), "%v", err)
			continue
		}
		t.put(pointer, value)
	}
	m.chooseAll(t, at, "", t.schema, t.settings)
	t.imply()
	m.missing(t, at, "", t.schema, t.settings)
	return t.settings
}

// missing reports the settings that nothing filled, by the variables that would: an operator of LiteLLM knows those.
func (m *manager) missing(t *translator, at *yaml.Node, pointer string, s schema, settings map[string]any) {
	for _, k := range s.Required {
		if _, ok := settings[k]; ok {
			continue
		}
		var names []string
		for _, name := range t.names("litellm.env.") {
			if to := t.compat["litellm.env."+name]; to == pointer+"/"+k || strings.HasPrefix(to, pointer+"/"+k+"/") {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			m.fault(at, m.path, "the setting %s/%s of the plugin is missing; it comes from the variables %s", pointer, k, strings.Join(names, ", "))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		if object, ok := settings[k].(map[string]any); ok {
			m.missing(t, at, pointer+"/"+k, s.Properties[k], object)
		}
	}
}

// fromNode converts a value of key_management_settings. A literal secret is refused, as in our own file.
func (t *translator) fromNode(n *yaml.Node, s schema) (any, error) {
	variable, isRef := strings.CutPrefix(n.Value, environ)
	switch {
	case n.Kind == yaml.ScalarNode && isRef:
		text, ok := t.env(variable)
		if !ok {
			return nil, fmt.Errorf("the variable %s is not set", variable)
		}
		if s.WriteOnly {
			t.secretNames = append(t.secretNames, variable)
		}
		return s.convert(text, variable)
	case s.WriteOnly && strings.HasPrefix(n.Value, oidc): // a reference for LiteLLM, too
		return n.Value, nil
	case s.WriteOnly:
		return nil, fmt.Errorf("literal secret; use %sNAME", environ)
	case n.Kind == yaml.ScalarNode:
		return s.convert(n.Value, "")
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return nil, fmt.Errorf("cannot be read: %s", oneLine(err))
	}
	return value, nil
}

// put sets the value at a pointer, and makes the objects on the way.
func (t *translator) put(pointer string, value any) {
	tokens := tokensOf(pointer)
	at := t.settings
	for _, k := range tokens[:len(tokens)-1] {
		next, ok := at[k].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[k] = next
		}
		at = next
	}
	at[tokens[len(tokens)-1]] = value
}

func tokensOf(pointer string) []string {
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, s := range tokens {
		tokens[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	}
	return tokens
}

// imply sets the defaults of such a configuration where nothing else did. One inside an alternative never chooses it.
func (t *translator) imply() {
	for _, pointer := range t.names("litellm.default.") {
		var value any
		if json.Unmarshal([]byte(t.compat["litellm.default."+pointer]), &value) != nil {
			continue
		}
		if t.free(tokensOf(pointer)) {
			t.put(pointer, value)
		}
	}
}

// free reports whether a default may be set at a place.
func (t *translator) free(tokens []string) bool {
	at, s := t.settings, t.schema
	for i, k := range tokens {
		next, ok := at[k]
		if s.oneOf() && !ok {
			return false
		}
		if i == len(tokens)-1 {
			return !ok
		}
		if at, _ = next.(map[string]any); ok && at == nil {
			return false
		}
		s = s.Properties[k]
	}
	return false
}

// chooseAll settles every place where one alternative must be chosen and several are filled.
func (m *manager) chooseAll(t *translator, at *yaml.Node, pointer string, s schema, settings map[string]any) {
	if s.oneOf() && len(settings) > 1 {
		m.choose(t, at, pointer, s, settings)
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if object, ok := settings[name].(map[string]any); ok {
			m.chooseAll(t, at, pointer+"/"+name, s.Properties[name], object)
		}
	}
}

func (m *manager) choose(t *translator, at *yaml.Node, pointer string, s schema, settings map[string]any) {
	filled := slices.Sorted(maps.Keys(settings))
	var chosen string
	for _, name := range strings.Split(t.compat["litellm.order."+pointer], ",") {
		if _, ok := settings[name]; ok && (chosen == "" || s.complete(name, settings) && !s.complete(chosen, settings)) {
			chosen = name
		}
	}
	if chosen == "" {
		m.fault(at, m.path, "%s has several alternatives set, %s; set the variables of one only", pointer, strings.Join(filled, " and "))
		return
	}
	for _, name := range filled {
		if name != chosen {
			delete(settings, name)
		}
	}
	m.notes = append(m.notes, fmt.Sprintf("%s %s: %s are set for %s; %s counts, as in LiteLLM", m.doc.place(at), m.path, strings.Join(filled, " and "), pointer, chosen))
}

// ttl gives the store's cache, where one of the manager's variables tells how long values are kept.
func (m *manager) ttl(t *translator) *config.Cache {
	for _, name := range strings.Split(t.compat["litellm.ttl"], ",") {
		text, ok := m.env(name)
		if name == "" || !ok || text == "" {
			continue
		}
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			m.problems = append(m.problems, config.Problem{File: m.doc.file, Path: m.path, Message: fmt.Sprintf("the variable %s must be a number of seconds", name)})
			return nil
		}
		ttl := time.Duration(seconds) * time.Second
		if ttl == 0 {
			ttl = config.Off
		}
		return &config.Cache{TTL: ttl}
	}
	return nil
}
