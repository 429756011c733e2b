package config

import (
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	"aead.dev/minisign"
	"github.com/Masterminds/semver/v3"

	"github.com/keyway-dev/keyway/host/internal/suggest"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

// Check finds every problem that needs no plugin, in literals too. The error is an [*Error].
func (c *Config) Check() error { return NewError(c.check()...) }

func (c *Config) check() []Problem {
	k := checker{c: c}
	if c.Version != 0 && c.Version != 1 {
		k.fault("version", "must be 1")
	}
	for _, name := range sorted(c.Stores) {
		k.store(name, c.Stores[name])
	}
	k.plugins()
	k.references()
	k.sources()
	k.numbers(reflect.ValueOf(c.Cache), "cache")
	k.listeners()
	k.numbers(reflect.ValueOf(c.Audit), "audit")
	k.words(reflect.ValueOf(c.Audit), "audit")
	k.cycles()
	return k.problems
}

type checker struct {
	c        *Config
	problems []Problem
}

func (k *checker) fault(path, format string, args ...any) {
	k.problems = append(k.problems, k.c.Problem(path, format, args...))
}

// providerForm is the contract's form of a provider's name.
var providerForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func (k *checker) store(name string, s Store) {
	at := Path("stores", name)
	switch err := refs.CheckStore(name); {
	case err != nil:
		k.fault(at, "%v", err)
	case refs.IsReserved(name):
		k.fault(at, "the name %q has a meaning of its own in references; choose another", name)
	}
	switch {
	case s.Provider == "":
		k.fault(at+".provider", "is required")
	case !providerForm.MatchString(s.Provider):
		k.fault(at+".provider", "must be a provider's name: 1 to 32 of a-z, 0-9 and \"-\", beginning with a letter")
	}
	if s.Version != "" {
		if _, err := semver.NewConstraint(s.Version); err != nil {
			k.fault(at+".version", "must be a version or a range such as \">=1.2 <2\"")
		}
	}
	if s.Access > ReadWrite {
		k.fault(at+".access", "must be read, write or read_write")
	}
	k.words(reflect.ValueOf(s), at)
	k.document(at, name, s)
	k.tree(s.Settings, at+".settings")
	if s.Cache != nil {
		k.numbers(reflect.ValueOf(*s.Cache), at+".cache")
	}
	k.numbers(reflect.ValueOf(s.Limits), at+".limits")
}

func (k *checker) document(at, name string, s Store) {
	if s.Document != "" {
		if err := sdk.CheckName(s.Document); err != nil {
			k.fault(at+".document", "%v", err)
		}
	}
	switch from := s.CiphertextFrom; {
	case from == "":
	case s.Document != "":
		k.fault(at+".ciphertext_from", "cannot stand beside document: a name is a field of the document, or a ciphertext elsewhere")
	case from == name:
		k.fault(at+".ciphertext_from", "names its own store")
	default:
		k.known(at+".ciphertext_from", from, true)
	}
}

// known reports a store that is not configured. Where sources may stand, env, file and cred are known.
func (k *checker) known(path, store string, orSource bool) {
	if _, ok := k.c.Stores[store]; ok || orSource && refs.IsSource(store) {
		return
	}
	names := sorted(k.c.Stores)
	if orSource {
		names = append(names, "env", "file", "cred")
	}
	k.fault(path, "no store is named %q%s", store, suggest.Hint(store, names))
}

// tree checks the references in settings, and that a literal's settings are what JSON has.
func (k *checker) tree(v any, at string) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range sorted(v) {
			k.tree(v[key], join(at, key))
		}
	case []any:
		for i, e := range v {
			k.tree(e, join(at, strconv.Itoa(i)))
		}
	case string:
		parts, err := refs.Split(v)
		if err != nil {
			k.fault(at, "%v", err)
		}
		for _, p := range parts {
			if p.Ref != nil && (p.Ref.Kind == refs.Secret || p.Ref.Kind == refs.Decrypt) {
				k.known(at, p.Ref.Store, p.Ref.Kind == refs.Secret)
			}
		}
	default:
		if !isJSON(v) {
			k.fault(at, "has the Go type %T; settings are texts, numbers, true, false, null, []any and map[string]any", v)
		}
	}
}

func (k *checker) references() {
	r := k.c.References
	if r.DefaultStore != "" {
		k.known("references.default_store", r.DefaultStore, false)
	} else if len(r.HostedNames) > 0 {
		k.fault("references.hosted_names", "needs references.default_store, the store that answers these names")
	}
	for i, n := range r.HostedNames {
		at := join("references.hosted_names", strconv.Itoa(i))
		if err := sdk.CheckName(n); err != nil {
			k.fault(at, "%v", err)
		} else if slices.Index(r.HostedNames, n) < i {
			k.fault(at, "%q is in the list twice", n)
		}
	}
	switch {
	case r.Fallback != "" && r.Fallback != "none" && r.Fallback != "env":
		k.fault("references.fallback", "must be none or env")
	case r.Fallback == "env" && k.c.Stores[r.DefaultStore].CiphertextFrom == "env":
		k.fault("references.fallback", "cannot be env: there the environment holds the ciphertext of the name, which would stand for the secret")
	}
}

func (k *checker) plugins() {
	p := k.c.Plugins
	k.words(reflect.ValueOf(p), "plugins")
	if p.Unlocked == "refuse" && p.Lock == "" {
		k.fault("plugins.unlocked", "refuse needs plugins.lock, the file that lists what may run")
	}
	for _, name := range sorted(p.Trust) {
		at := Path("plugins", "trust", name)
		if !providerForm.MatchString(name) {
			k.fault(at, "must be a provider's name")
		}
		if len(p.Trust[name]) == 0 {
			k.fault(at, "has no key, so nothing could run; name one, or leave it away")
		}
		for i, key := range p.Trust[name] {
			if err := new(minisign.PublicKey).UnmarshalText([]byte(key)); err != nil {
				k.fault(join(at, strconv.Itoa(i)), "must be a minisign public key, the second line of a minisign.pub file: RW and 54 more characters")
			}
		}
	}
	for _, name := range sorted(p.Allow) {
		at := Path("plugins", "allow", name)
		if !providerForm.MatchString(name) {
			k.fault(at, "must be a provider's name")
		}
		a := p.Allow[name]
		k.words(reflect.ValueOf(a), at)
		k.numbers(reflect.ValueOf(a), at)
		k.paths(a.Read, at+".read")
		k.paths(a.Execute, at+".execute")
	}
}

// paths checks a list of files and folders.
func (k *checker) paths(list []string, at string) {
	for i, p := range list {
		if sdk.CheckPrefix(p) != nil || p == "" {
			k.fault(join(at, strconv.Itoa(i)), "must be a file or a folder")
		}
	}
}

// maxUnixPath is how long the path of a Unix socket may be on every system.
const maxUnixPath = 103

func (k *checker) listeners() {
	seen := map[string]bool{}
	for i, l := range k.c.Listeners {
		at := join("listeners", strconv.Itoa(i))
		path := k.c.Abs(l.Unix)
		switch {
		case l.Unix == "":
			k.fault(at+".unix", "is required")
		case sdk.CheckPrefix(l.Unix) != nil:
			k.fault(at+".unix", "must be the path of a socket")
		case len(path) > maxUnixPath:
			k.fault(at+".unix", "is %d bytes long in full; a socket's path may have %d", len(path), maxUnixPath)
		case seen[path]:
			k.fault(at+".unix", "is in the list twice")
		}
		seen[path] = true
	}
}

// words checks the texts of a struct that must be one of a few, which the file's decoder does for files.
func (k *checker) words(v reflect.Value, at string) {
	for _, f := range fieldsOf(v.Type()) {
		x := v.Field(f.index)
		if x.Kind() == reflect.String && f.enum != nil && x.String() != "" && !slices.Contains(f.enum, x.String()) {
			k.fault(join(at, f.name), "must be %s", oneOf(f.enum))
		}
	}
}

func (k *checker) sources() {
	for i, p := range k.c.Sources.Env {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			k.fault(join("sources.env", strconv.Itoa(i)), "must be a variable's name, where * and ? stand for any letters: OPENAI_*")
		}
	}
	for i, p := range k.c.Sources.File {
		if sdk.CheckPrefix(p) != nil || p == "" {
			k.fault(join("sources.file", strconv.Itoa(i)), "must be a folder")
		}
	}
}

// numbers checks those that a literal may hold and the file's decoder refuses.
func (k *checker) numbers(v reflect.Value, at string) {
	for _, f := range fieldsOf(v.Type()) {
		switch x := v.Field(f.index); {
		case x.CanInt() && x.Int() < 0 && (!f.off || x.Int() != int64(Off)):
			k.fault(join(at, f.name), "must not be negative")
		case x.CanFloat() && !(x.Float() >= 0 && x.Float() <= maxRate):
			k.fault(join(at, f.name), "must be a rate of 0 or more calls a second")
		}
	}
}
