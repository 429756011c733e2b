package sdktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/keyway-dev/keyway/sdk"
)

func describeChecks() []Check {
	return []Check{
		promise("describe/valid", "Describe names the provider and its version and gives a JSON Schema of an object", 0, describeValid).with(givenPlugin),
		promise("describe/stable", "Describe is static: it answers the same each time", 0, describeStable).with(givenPlugin),
		promise("describe/most", "no store can do more than Describe says, refinements aside", 0, describeMost).with(givenPlugin),
	}
}

func describeValid(ctx context.Context, t *Target) error {
	m, err := t.Plugin.Describe(ctx)
	if err != nil {
		return in("describe", err)
	}
	if m.Name == "" || m.Version == "" {
		return fmt.Errorf("describe: name %q and version %q, want both", m.Name, m.Version)
	}
	var schema struct {
		Type       string                     `json:"type"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(m.Schema, &schema); err != nil {
		return fmt.Errorf("describe: the settings schema is not JSON: %w", err)
	}
	if schema.Type != "object" {
		return fmt.Errorf("describe: the settings schema is of type %q, want object", schema.Type)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(t.Settings, &members); err != nil {
		return errors.New("the target's settings are not a JSON object")
	}
	for k := range members {
		if _, ok := schema.Properties[k]; !ok {
			return fmt.Errorf("describe: the settings schema has no property %q, which Open takes", k)
		}
	}
	return nil
}

func describeStable(ctx context.Context, t *Target) error {
	first, err := t.Plugin.Describe(ctx)
	if err != nil {
		return in("describe", err)
	}
	second, err := t.Plugin.Describe(ctx)
	if err != nil {
		return in("describe again", err)
	}
	if !reflect.DeepEqual(first, second) {
		return errors.New("describe: two answers differ")
	}
	return nil
}

func describeMost(ctx context.Context, t *Target) error {
	m, err := t.Plugin.Describe(ctx)
	if err != nil {
		return in("describe", err)
	}
	if extra := t.Store.Can() &^ (sdk.ParseCapabilities(m.Capabilities) | sdk.Refinements); extra != 0 {
		return fmt.Errorf("open: the store claims %v, which Describe does not", extra)
	}
	return nil
}
