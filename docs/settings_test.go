package docs_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/docs/doctest"
)

// setting is as much of a plugin's settings schema as the table of its page shows.
type setting struct {
	Description string           `json:"description"`
	Default     any              `json:"default"`
	Required    []string         `json:"required"`
	Operator    bool             `json:"x-keyway-operator"`
	Secret      bool             `json:"writeOnly"`
	Items       *setting         `json:"items"`
	Properties  ordered[setting] `json:"properties"`
}

// rows writes each setting below s, in the schema's order.
func (s setting) rows(path string) string {
	var out strings.Builder
	for _, p := range s.Properties {
		at, def, text := path+p.name, "none", p.value.Description
		switch {
		case slices.Contains(s.Required, p.name):
			def = "required"
		case p.value.Default != nil && p.value.Default != "":
			def = fmt.Sprintf("`%v`", p.value.Default)
		}
		if p.value.Secret {
			text += " A secret."
		}
		if p.value.Operator {
			text += " For operators."
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n%s", at, def, text, p.value.rows(at+"."))
		if p.value.Items != nil {
			out.WriteString(p.value.Items.rows(at + "[]."))
		}
	}
	return out.String()
}

// What a plugin says of its settings is what its page shows; that of the local store says more in its own words.
func TestTheTableOfEachProvidersPageIsItsSchema(t *testing.T) {
	bench := doctest.NewBench(t, furtherProviders(t)...)
	for _, name := range append([]string{"vault"}, furtherProviders(t)...) {
		out, err := exec.CommandContext(t.Context(), filepath.Join(bench.Plugins, name), "--describe").Output()
		if err != nil {
			t.Fatalf("%s --describe: %v", name, err)
		}
		var manifest struct {
			Schema setting `json:"settings_schema"`
		}
		if err := json.Unmarshal(out, &manifest); err != nil || len(manifest.Schema.Properties) == 0 {
			t.Fatalf("%s --describe: %d settings, %v", name, len(manifest.Schema.Properties), err)
		}
		want := "| setting | default | meaning |\n|---|---|---|\n" + manifest.Schema.rows("")
		page := "docs/providers/" + name + ".md"
		_, rest, begun := strings.Cut(read(t, page), "<!-- begin of settings -->\n")
		got, _, ended := strings.Cut(rest, "<!-- end of settings -->\n")
		if !begun || !ended || got != want {
			t.Errorf("%s has another table than the schema; between its marks must stand:\n%s", page, want)
		}
	}
}
