// Package litellm reads LiteLLM's config.yaml and its environment, so that LiteLLM can be started with its secrets already
// resolved and without a secret manager of its own.
//
// It translates general_settings.key_management_system and key_management_settings into a store of ours through the
// manifests of the installed plugins, finds every reference, and prepares a copy of the configuration to hand over. It
// knows LiteLLM's vocabulary and no provider: what a manager and its environment variables are called is in each plugin's
// manifest, under these keys of compat:
//
//	litellm.system           the manager's name in key_management_system
//	litellm.env.NAME         variable NAME fills the setting at this JSON Pointer
//	litellm.setting.NAME     so does NAME of key_management_settings, which wins over a variable
//	litellm.default./POINTER the JSON value of a setting that LiteLLM's configuration implies
//	litellm.order./POINTER   of several alternatives that are filled, the first complete one counts: "approle,token"
//	litellm.ttl              variables that hold how many seconds values are kept: "X_REFRESH_INTERVAL"
//	litellm.ciphertexts      "env": the manager keeps no secrets; it decrypts what the variables hold, in base64
//	litellm.decrypt.switch   a variable: where it is "True", LiteLLM decrypts variables before it reads its configuration,
//	litellm.decrypt.variables  those whose names begin so, without regard to case; the rest is the name of the plaintext
//	litellm.decrypt.values   and those whose values begin so
//
// Nothing here reads a secret. Loading opens files only.
package litellm

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

// Store is the name of the store that stands for LiteLLM's secret manager.
const Store = "litellm"

// Decrypter is the name of the store that stands for what LiteLLM decrypts variables with before it starts.
const Decrypter = "litellm-decrypt"

// Translation is what a LiteLLM configuration means to us. It is immutable.
type Translation struct {
	// Config has the store "litellm", if the file names a manager, and says that it answers os.environ/NAME. Without a
	// manager the environment answers. It has the store "litellm-decrypt", if the environment says that variables are to be
	// decrypted.
	Config *config.Config
	// References are what LiteLLM must get, in the order of the file, the ones it reads by itself last.
	References []Reference
	// Environment holds the literals of the block environment_variables, which references elsewhere may name.
	Environment map[string]string
	// Withheld are the variables that hold the store's own credentials. LiteLLM must not inherit them.
	Withheld []string
	// Notes say what is not as it was under LiteLLM: what this version leaves out, what we mended.
	Notes []string

	doc    *document
	inline map[string][]*yaml.Node // the places in doc that get a reference's value, by its name
}

// Reference is one value that LiteLLM reads from its environment.
type Reference struct {
	Name string // of the environment variable
	// Text is what to resolve: a reference, or text with references in ${…}.
	Text string
	// Places are where LiteLLM's configuration asks for it, "config.yaml:12 model_list[0].litellm_params.api_key".
	Places []string
	// Required is false where LiteLLM does without: names it reads by itself, and hosted names that nothing mentions.
	Required bool
	// InFile tells that LiteLLM never resolves it at some of its places, so that the copy must hold the value itself.
	InFile bool
}

// Load translates a file. environ is LiteLLM's environment, "NAME=value", os.Environ() as a rule; manifests are those of all
// installed plugins. What is wrong comes as one [config.Error] with every problem.
func Load(file string, environ []string, manifests []sdk.Manifest) (*Translation, error) {
	doc, problems := read(file)
	if len(problems) > 0 {
		return nil, config.NewError(problems...)
	}
	vars := variables(environ)
	m := manager{doc: doc, env: vars.lookup, manifests: manifests, path: systemPath}
	cfg := m.translate()
	s := newScanner(doc)
	s.environmentBlock()
	s.walk(doc.root, "", true)
	s.implicit(cfg.References.HostedNames)
	m.ciphertexts(cfg, s)
	m.decrypted(cfg, s, vars)
	if problems := append(m.problems, s.problems...); len(problems) > 0 {
		return nil, config.NewError(problems...)
	}
	return &Translation{Config: cfg, References: s.references(), Environment: s.literals, Withheld: m.withheld,
		Notes: append(m.notes, s.notes...), doc: doc, inline: s.inline}, nil
}

// NamesManager reports whether a file, or a variable USE_SYSTEM=True, may name a secret manager, so that the plugins'
// manifests are needed to load it.
func NamesManager(file string, environ []string) bool {
	for name, value := range variables(environ) {
		if strings.HasPrefix(name, "USE_") && value == switchedOn {
			return true
		}
	}
	doc, problems := read(file)
	if len(problems) > 0 {
		return false // Load will say what is wrong
	}
	section := member(doc.root, general)
	if n := member(section, systemKey); n != nil && !isNull(n) {
		return true
	}
	if section == nil || section.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(section.Content); i += 2 {
		if strings.HasPrefix(section.Content[i].Value, "use_") {
			return true
		}
	}
	return false
}
