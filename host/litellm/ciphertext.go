package litellm

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/refs"
)

// switchedOn is the one text with which LiteLLM takes such a variable for set.
const switchedOn = "True"

// leastCiphertext is the least that authenticated encryption makes of one byte: a nonce of 12 bytes and a tag of 16. What is
// shorter is no ciphertext.
const leastCiphertext = 12 + 16 + 1

// environment holds variables by their names.
type environment map[string]string

func variables(environ []string) environment {
	e := environment{}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok && name != "" {
			e[name] = value
		}
	}
	return e
}

func (e environment) lookup(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}

// ciphertexts settles what a manager that only decrypts is asked for: the hosted names. Without a list of them LiteLLM tries
// every variable, and takes the text itself for the secret when that fails. We ask for those whose text may be a
// ciphertext, and each of these must decrypt: a ciphertext is never handed over as a secret.
func (m *manager) ciphertexts(cfg *config.Config, s *scanner) {
	if cfg.References.DefaultStore == "" || cfg.Stores[Store].CiphertextFrom == "" {
		return
	}
	listed := cfg.References.HostedNames != nil
	hosted := cfg.References.HostedNames
	for _, name := range s.order {
		r := s.byName[name]
		for _, asked := range environNames(r.Text) {
			text, set := m.env(asked)
			if !listed && set && mayBeCiphertext(text) && !slices.Contains(hosted, asked) {
				hosted = append(hosted, asked)
			}
			r.Required = r.Required || set && slices.Contains(hosted, asked)
		}
	}
	if listed {
		return
	}
	slices.Sort(hosted)
	cfg.References.HostedNames = append([]string{}, hosted...)
	m.notes = append(m.notes, fmt.Sprintf("%s: %s.hosted_keys is not set, so the variables that may hold ciphertexts are decrypted (%s) and others are taken as they are; list those that are encrypted",
		m.doc.file, settingsPath, strings.Join(hosted, ", ")))
}

// mayBeCiphertext reports whether a variable may hold one, which is in base64.
func mayBeCiphertext(text string) bool {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	return err == nil && len(raw) >= leastCiphertext
}

// environNames gives the names of the os.environ/NAME in a text.
func environNames(text string) (names []string) {
	parts, err := refs.Split(text)
	if err != nil {
		return nil // the scanner has told
	}
	for _, p := range parts {
		if p.Ref != nil && p.Ref.Kind == refs.Environ {
			names = append(names, p.Ref.Name)
		}
	}
	return names
}

// decrypted follows the other form: variables that LiteLLM decrypts before it reads its configuration, which then finds the
// plaintexts in its environment.
func (m *manager) decrypted(cfg *config.Config, s *scanner, vars environment) {
	for _, manifest := range m.manifests {
		name := manifest.Compat["litellm.decrypt.switch"]
		if name == "" || vars[name] != switchedOn {
			continue
		}
		own := manager{doc: m.doc, env: vars.lookup, path: name}
		t := newTranslator(manifest, vars.lookup)
		st := config.Store{Provider: manifest.Name, Access: config.Read, Settings: own.settings(t, &yaml.Node{Kind: yaml.MappingNode}, &yaml.Node{})}
		texts := own.plaintexts(manifest.Compat["litellm.decrypt.variables"], manifest.Compat["litellm.decrypt.values"], vars, s)
		m.problems = append(m.problems, own.problems...)
		m.notes = append(m.notes, own.notes...)
		m.withheld = append(append(m.withheld, own.withheld...), append(t.secretNames, name)...)
		if len(texts) == 0 {
			return
		}
		if cfg.Stores == nil {
			cfg.Stores = map[string]config.Store{}
		}
		cfg.Stores[Decrypter] = st
		s.replace(texts)
		return
	}
}

// plaintexts gives the references that stand for the plaintexts, by the names that these get, and has the scanner know them.
func (m *manager) plaintexts(prefix, mark string, vars environment, s *scanner) map[string]string {
	texts := map[string]string{}
	for _, variable := range slices.Sorted(maps.Keys(vars)) {
		name, value := variable, vars[variable]
		ours := mark != "" && strings.HasPrefix(value, mark)
		if n := len(prefix); n > 0 && len(variable) > n && strings.EqualFold(variable[:n], prefix) {
			name, ours = variable[n:], true
			m.withheld = append(m.withheld, variable)
		}
		if !ours {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.TrimPrefix(value, mark)))
		if err != nil || len(raw) == 0 {
			m.problems = append(m.problems, config.Problem{File: m.doc.file, Path: m.path, Message: fmt.Sprintf("the variable %s holds no ciphertext in base64", variable)})
			continue
		}
		texts[name] = refs.Ref{Kind: refs.Decrypt, Store: Decrypter, Ciphertext: string(raw)}.String()
		s.demand(name, "variable "+variable)
	}
	return texts
}

// demand has LiteLLM get a variable, whatever its configuration mentions.
func (s *scanner) demand(name, place string) {
	if s.byName[name] == nil {
		s.byName[name] = &Reference{Name: name, Text: environ + name}
		s.order = append(s.order, name)
	}
	r := s.byName[name]
	r.Required = true
	r.Places = append(r.Places, place)
}

// replace puts other references in the place of os.environ/NAME, wherever one stands.
func (s *scanner) replace(texts map[string]string) {
	for _, r := range s.byName {
		parts, err := refs.Split(r.Text)
		if err != nil || !slices.ContainsFunc(environNames(r.Text), func(name string) bool { return texts[name] != "" }) {
			continue
		}
		var b strings.Builder
		for _, p := range parts {
			if p.Ref == nil {
				b.WriteString(strings.ReplaceAll(p.Text, "${", "$${"))
				continue
			}
			text := p.Ref.String()
			if p.Ref.Kind == refs.Environ && texts[p.Ref.Name] != "" {
				text = texts[p.Ref.Name]
			}
			if len(parts) > 1 {
				text = "${" + text + "}"
			}
			b.WriteString(text)
		}
		r.Text = b.String()
	}
}
