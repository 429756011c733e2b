package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
)

// About introduces a plugin.
type About struct {
	Name    string // the provider: ^[a-z][a-z0-9-]{0,31}$
	Version string // semantic version of the plugin, "1.2.0"
	Summary string // one line
	Docs    string // address of its documentation
	Network string // "" for a provider that only dials through Env; "direct" for one that cannot, which operators must approve
	// Compat holds other systems' names that no setting's tag can: "litellm.system" -> "hashicorp_vault", and
	// "litellm.default./pointer" -> a JSON value that such a configuration implies. The tags `env` and `litellm` of the
	// settings add "litellm.env.NAME" and "litellm.setting.NAME" -> the setting's JSON Pointer.
	Compat map[string]string
}

// Reach is what stores with some settings touch outside their process.
type Reach struct {
	Endpoints []string // every "host:port" that calls and logins may dial, those inside credentials too
	Files     []string // local files and directories read after Open
	Ambient   bool     // uses the process's own identity: environment, metadata service, a command
	Writes    []string // directories written to
}

// Manifest is what a plugin says of itself without a host: what --describe prints.
type Manifest struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Summary      string            `json:"summary,omitempty"`
	Docs         string            `json:"docs_url,omitempty"`
	SDK          string            `json:"sdk,omitempty"`
	Capabilities []string          `json:"capabilities"` // the most any of its stores can do, without refinements
	Schema       json.RawMessage   `json:"settings_schema"`
	Network      string            `json:"network,omitempty"`
	Compat       map[string]string `json:"compat,omitempty"`
}

// Opened is a store with what it can do. Reach is nil where the settings type does not tell.
type Opened struct {
	Store        Store
	Capabilities Capabilities
	Reach        *Reach
}

// Plugin is one provider, ready to be served. It is immutable and safe for concurrent use.
type Plugin struct {
	manifest Manifest
	open     func(ctx context.Context, base Env, settings []byte) (*Opened, error)
}

// Manifest introduces the plugin.
func (p *Plugin) Manifest() Manifest { return p.manifest }

// Open decodes and validates settings and opens a store, as a host's Open does; unit tests call it with a zero Env. base
// may leave fields empty: then the store dials by itself and logs nothing. Faults of the settings are one InvalidArgument
// error with a [Problem] each. Nothing is sent to the backend.
func (p *Plugin) Open(ctx context.Context, base Env, settings []byte) (*Opened, error) {
	return p.open(ctx, base, settings)
}

const sdkName = "keyway-go/0.1.0"

var (
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	versionForm = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

// Define makes a plugin from the function that opens a store. S is the settings struct, P the concrete store type.
//
// It panics, as a programmer's mistake at start-up, when the name or version is malformed, when P is an interface (then no
// capability could be read off it), when a method named like a capability has another signature, or when S has a field
// without a schema.
func Define[S any, P Store](a About, open func(ctx context.Context, env Env, settings S) (P, error)) *Plugin {
	m, methods, err := describe(a, reflect.TypeFor[S](), reflect.TypeFor[P]())
	if err != nil {
		panic(fmt.Sprintf("sdk.Define(%q): %v", a.Name, err))
	}
	return &Plugin{manifest: m, open: func(ctx context.Context, base Env, raw []byte) (*Opened, error) {
		var s S
		if err := decodeAndValidate(raw, &s); err != nil {
			return nil, err
		}
		o := &Opened{Capabilities: methods}
		if l, ok := any(&s).(interface {
			Capabilities(methods Capabilities) Capabilities
		}); ok {
			o.Capabilities = l.Capabilities(methods)
			if extra := o.Capabilities &^ (methods | Refinements); extra != 0 {
				return nil, Errorf(Internal, "open: the settings claim %v, which the store has no methods for", extra)
			}
		}
		if r, ok := any(&s).(interface{ Reach() Reach }); ok {
			reach := r.Reach()
			o.Reach = &reach
		}
		store, err := open(ctx, confine(base, o.Reach), s)
		if err != nil {
			return nil, err
		}
		o.Store = store
		return o, nil
	}}
}

func describe(a About, settings, store reflect.Type) (Manifest, Capabilities, error) {
	switch {
	case !nameForm.MatchString(a.Name):
		return Manifest{}, 0, fmt.Errorf("the name must match %s", nameForm)
	case !versionForm.MatchString(a.Version):
		return Manifest{}, 0, fmt.Errorf("version %q is not a semantic version such as 1.2.0", a.Version)
	case a.Network != "" && a.Network != "brokered" && a.Network != "direct":
		return Manifest{}, 0, fmt.Errorf("network %q is neither brokered nor direct", a.Network)
	case store.Kind() == reflect.Interface:
		return Manifest{}, 0, fmt.Errorf("open must answer its concrete store type, not the interface %s", store)
	}
	methods, err := methodsOf(store)
	if err != nil {
		return Manifest{}, 0, err
	}
	schema, err := schemaOf(settings)
	if err != nil {
		return Manifest{}, 0, err
	}
	compat := maps.Clone(a.Compat)
	if compat == nil {
		compat = map[string]string{}
	}
	if err := compatOf(settings, "", compat); err != nil {
		return Manifest{}, 0, err
	}
	return Manifest{Name: a.Name, Version: a.Version, Summary: a.Summary, Docs: a.Docs, SDK: sdkName,
		Capabilities: methods.Names(), Schema: schema, Network: a.Network, Compat: compat}, methods, nil
}

func decodeAndValidate(raw []byte, settings any) error {
	problems := DecodeSettings(raw, settings)
	if v, ok := settings.(interface{ Validate() []Problem }); ok && len(problems) == 0 {
		problems = v.Validate()
	}
	if len(problems) > 0 {
		return &Error{Code: InvalidArgument, Message: "settings", Problems: problems}
	}
	return nil
}
