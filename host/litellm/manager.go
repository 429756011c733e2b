package litellm

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/suggest"
	"github.com/keyway-dev/keyway/sdk"
)

// manager translates the block of LiteLLM's secret manager.
type manager struct {
	doc       *document
	env       func(string) (string, bool)
	manifests []sdk.Manifest
	path      string // what names the manager, for messages
	problems  []config.Problem
	notes     []string
	withheld  []string
}

const (
	general      = "general_settings"
	systemKey    = "key_management_system"
	settingsKey  = "key_management_settings"
	systemPath   = general + "." + systemKey
	settingsPath = general + "." + settingsKey
)

// laterKeys are settings that concern the keys which LiteLLM issues, not the secrets it reads.
var laterKeys = []string{"store_virtual_keys", "prefix_for_stored_virtual_keys", "description", "tags"}

// neutralKeys are settings that every manager has.
var neutralKeys = append([]string{"hosted_keys", "primary_secret_name", "access_mode"}, laterKeys...)

func (m *manager) fault(n *yaml.Node, path, format string, args ...any) {
	m.problems = append(m.problems, m.doc.problem(n, path, format, args...))
}

// translate makes our configuration and takes the block out of the tree.
func (m *manager) translate() *config.Config {
	cfg := &config.Config{File: m.doc.file, Version: 1, References: config.References{Fallback: "env"}}
	section := member(m.doc.root, general)
	settings := member(section, settingsKey)
	manifest, at := m.system(section)
	remove(section, systemKey, settingsKey)
	if manifest == nil {
		return cfg
	}
	if settings == nil || isNull(settings) {
		settings = &yaml.Node{Kind: yaml.MappingNode, Line: at.Line, Column: at.Column}
	}
	if settings.Kind != yaml.MappingNode {
		m.fault(settings, settingsPath, "must be a mapping")
		return cfg
	}
	t := newTranslator(*manifest, m.env)
	m.unknownKeys(settings, *manifest, t)
	st := config.Store{Provider: manifest.Name, Access: m.access(settings), Document: m.text(settings, "primary_secret_name")}
	st.Settings = m.settings(t, settings, at)
	st.Cache = m.ttl(t)
	if st.CiphertextFrom = manifest.Compat["litellm.ciphertexts"]; st.CiphertextFrom != "" {
		cfg.References.Fallback = "" // the environment has the ciphertext
		if st.Document != "" {
			m.fault(member(settings, "primary_secret_name"), settingsPath+".primary_secret_name", "%s keeps no secrets", manifest.Compat["litellm.system"])
		}
	}
	m.withheld = t.secretNames
	cfg.Stores = map[string]config.Store{Store: st}
	if st.Access.CanRead() {
		cfg.References.DefaultStore = Store
		cfg.References.HostedNames = m.hosted(settings)
	}
	return cfg
}

// system gives the manifest of the manager that the configuration names, and where it does.
func (m *manager) system(section *yaml.Node) (*sdk.Manifest, *yaml.Node) {
	at := member(section, systemKey)
	if at == nil || isNull(at) {
		return m.oldSwitch(section)
	}
	if !isText(at) {
		m.fault(at, systemPath, "must be the name of a secret manager")
		return nil, at
	}
	name := at.Value
	if variable, ok := strings.CutPrefix(name, environ); ok {
		if name, ok = m.env(variable); !ok || name == "" {
			m.notes = append(m.notes, fmt.Sprintf("%s %s: the variable %s is not set, so there is no secret manager", m.doc.place(at), systemPath, variable))
			return nil, at
		}
	}
	if name == "custom" {
		m.fault(at, systemPath, "custom is a Python class inside LiteLLM, which no other program can load; write a plugin instead, in any language, and name its litellm.system here (docs/writing-a-plugin.md)")
		return nil, at
	}
	if found := m.manifest(name); found != nil {
		return found, at
	}
	m.fault(at, systemPath, "no installed plugin stands for the secret manager %q%s; %s", name, suggest.Hint(name, m.systems()), m.installed())
	return nil, at
}

// oldSwitch follows LiteLLM's deprecated form, use_SYSTEM: true.
func (m *manager) oldSwitch(section *yaml.Node) (*sdk.Manifest, *yaml.Node) {
	for _, name := range m.systems() {
		key := "use_" + name
		at := member(section, key)
		var on bool
		if at != nil && at.Decode(&on) == nil && on {
			remove(section, key)
			return m.manifest(name), at
		}
	}
	return nil, nil
}

func (m *manager) manifest(system string) *sdk.Manifest {
	for i := range m.manifests {
		if m.manifests[i].Compat["litellm.system"] == system {
			return &m.manifests[i]
		}
	}
	return nil
}

// systems are the manager names of the installed plugins.
func (m *manager) systems() []string {
	var names []string
	for _, x := range m.manifests {
		if s := x.Compat["litellm.system"]; s != "" {
			names = append(names, s)
		}
	}
	slices.Sort(names)
	return names
}

func (m *manager) installed() string {
	var list []string
	for _, x := range m.manifests {
		if s := x.Compat["litellm.system"]; s != "" {
			list = append(list, fmt.Sprintf("%s (plugin %s %s)", s, x.Name, x.Version))
		}
	}
	if len(list) == 0 {
		return "install the plugin whose manifest has this litellm.system; none that is installed has one"
	}
	slices.Sort(list)
	return "install the plugin whose manifest has this litellm.system; installed are " + strings.Join(list, ", ")
}

// unknownKeys refuses what LiteLLM would ignore in silence, and tells what this version leaves out.
func (m *manager) unknownKeys(settings *yaml.Node, manifest sdk.Manifest, t *translator) {
	known := append(slices.Clone(neutralKeys), t.settingNames()...)
	for i := 0; i+1 < len(settings.Content); i += 2 {
		key, value := settings.Content[i], settings.Content[i+1]
		path := join(settingsPath, key.Value)
		switch {
		case slices.Contains(laterKeys, key.Value):
			m.notes = append(m.notes, fmt.Sprintf("%s %s: not in this version: keys that LiteLLM issues are not stored", m.doc.place(value), path))
		case slices.Contains(known, key.Value):
		default:
			m.fault(key, path, "%s has no such setting%s%s", manifest.Compat["litellm.system"], suggest.Hint(key.Value, known), m.elsewhere(key.Value))
		}
	}
}

// elsewhere names the manager that has a setting, if another installed one does.
func (m *manager) elsewhere(key string) string {
	for _, x := range m.manifests {
		if _, ok := x.Compat["litellm.setting."+key]; ok {
			return "; it belongs to " + x.Compat["litellm.system"]
		}
	}
	return ""
}

// access is what LiteLLM really does: storing keys writes, whatever the mode's default says. A mode that forbids it is a
// contradiction that LiteLLM does not see.
func (m *manager) access(settings *yaml.Node) config.Access {
	stores := false
	if n := member(settings, "store_virtual_keys"); n != nil && !isNull(n) && n.Decode(&stores) != nil {
		m.fault(n, settingsPath+".store_virtual_keys", "must be true or false")
	}
	n := member(settings, "access_mode")
	switch mode := m.text(settings, "access_mode"); {
	case mode == "read_only" && stores:
		m.fault(n, settingsPath+".access_mode", "read_only contradicts store_virtual_keys: true; use read_and_write")
	case mode == "write_only":
		return config.Write
	case mode == "read_and_write", mode == "" && stores:
		return config.ReadWrite
	case mode != "" && mode != "read_only":
		m.fault(n, settingsPath+".access_mode", "must be read_only, write_only or read_and_write")
	}
	return config.Read
}

// hosted gives the names that the manager answers: nil for all.
func (m *manager) hosted(settings *yaml.Node) []string {
	n := member(settings, "hosted_keys")
	if n == nil || isNull(n) {
		return nil
	}
	names := []string{}
	if n.Kind != yaml.SequenceNode {
		m.fault(n, settingsPath+".hosted_keys", "must be a list of names")
		return names
	}
	for _, item := range n.Content {
		name := strings.TrimPrefix(item.Value, environ)
		if !isText(item) || name == "" {
			m.fault(item, settingsPath+".hosted_keys", "must be a list of names")
			continue
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// text gives a setting's text; a reference is read from the environment, as LiteLLM does before it has a manager.
func (m *manager) text(settings *yaml.Node, key string) string {
	n := member(settings, key)
	if n == nil || isNull(n) {
		return ""
	}
	if !isText(n) {
		m.fault(n, join(settingsPath, key), "must be a text")
		return ""
	}
	variable, ok := strings.CutPrefix(n.Value, environ)
	if !ok {
		return n.Value
	}
	value, ok := m.env(variable)
	if !ok {
		m.fault(n, join(settingsPath, key), "the variable %s is not set", variable)
	}
	return value
}
