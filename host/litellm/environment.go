package litellm

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host/refs"
)

// refusedVariables are the names that LiteLLM refuses in its block environment_variables.
var refusedVariables = []string{"PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "PYTHONPATH",
	"PYTHONSTARTUP", "PYTHONHOME", "HOME", "USER", "SHELL", "LOGNAME", "NO_PROXY", "no_proxy"}

// implicitNames are the secrets that LiteLLM looks up by itself, without a reference in its configuration.
// https://docs.litellm.ai/docs/proxy/config_settings lists its variables.
var implicitNames = []string{
	"LITELLM_MASTER_KEY", "LITELLM_SALT_KEY", "LITELLM_LICENSE",
	"DATABASE_URL", "DATABASE_URL_READ_REPLICA", "DIRECT_URL", "DATABASE_HOST", "DATABASE_NAME", "DATABASE_USERNAME", "DATABASE_PASSWORD",
	"REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD",
	"UI_USERNAME", "UI_PASSWORD",
	"GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "MICROSOFT_CLIENT_ID", "MICROSOFT_CLIENT_SECRET", "MICROSOFT_TENANT",
	"GENERIC_CLIENT_ID", "GENERIC_CLIENT_SECRET",
	"SMTP_HOST", "SMTP_USERNAME", "SMTP_PASSWORD", "SLACK_WEBHOOK_URL",
}

// environmentBlock takes the block environment_variables. LiteLLM exports it only after it has resolved references, so it
// would not let a model name a variable of the block, and it would export the text "None" for an absent one and "True" for
// a secret that reads "true". We export the block ourselves, before LiteLLM starts.
func (s *scanner) environmentBlock() {
	block := member(s.doc.root, "environment_variables")
	if block == nil || block.Kind != yaml.MappingNode {
		return
	}
	var taken []string
	for i := 0; i+1 < len(block.Content); i += 2 {
		name, value := block.Content[i].Value, block.Content[i+1]
		path := join("environment_variables", name)
		switch {
		case slices.Contains(refusedVariables, name):
			s.notes = append(s.notes, fmt.Sprintf("%s %s: LiteLLM refuses to set this variable, and so do we", s.doc.place(value), path))
			taken = append(taken, name)
		case isNull(value):
			s.notes = append(s.notes, fmt.Sprintf("%s %s: has no value and is left out; LiteLLM would set the text None", s.doc.place(value), path))
			taken = append(taken, name)
		case value.Kind == yaml.ScalarNode:
			if s.variable(name, path, value) {
				taken = append(taken, name)
			}
		}
	}
	remove(block, taken...)
}

// variable notes one variable of the block, and reports whether it is a reference, which LiteLLM need not see.
func (s *scanner) variable(name, path string, value *yaml.Node) bool {
	if isText(value) {
		text, parts, ok := s.parse(value, path)
		if ok {
			if len(parts) == 1 && parts[0].Ref.Kind == refs.Environ {
				text = environ + parts[0].Ref.Name
			}
			s.add(name, text, value, path, false)
			return true
		}
	}
	s.literals[name] = literal(value)
	return false
}

// literal is the text that LiteLLM exports: Python's of a boolean, the written one otherwise.
func literal(n *yaml.Node) string {
	var b bool
	if n.ShortTag() == "!!bool" && n.Decode(&b) == nil {
		return map[bool]string{true: "True", false: "False"}[b]
	}
	return n.Value
}

// implicit adds the names that LiteLLM asks for without a reference, and the hosted names that nothing mentions. Where the
// operator lists hosted names, LiteLLM asks its manager for no others.
func (s *scanner) implicit(hosted []string) {
	optional := func(name, why string) {
		_, set := s.literals[name]
		if s.byName[name] != nil || set {
			return
		}
		s.byName[name] = &Reference{Name: name, Text: environ + name, Places: []string{why}}
		s.order = append(s.order, name)
	}
	for _, name := range hosted {
		optional(name, "hosted_keys")
	}
	for _, name := range implicitNames {
		if hosted == nil || slices.Contains(hosted, name) {
			optional(name, "LiteLLM reads it by itself")
		}
	}
}
