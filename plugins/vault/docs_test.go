package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// property is as much of a settings schema as the page's table shows.
type property struct {
	Description string              `json:"description"`
	Default     any                 `json:"default"`
	Required    []string            `json:"required"`
	Operator    bool                `json:"x-keyway-operator"`
	Secret      bool                `json:"writeOnly"`
	Properties  map[string]property `json:"properties"`
}

// rows tells each setting below p as the page does.
func (p property) rows(path string) (out []string) {
	for name, q := range p.Properties {
		def, text := "none", q.Description
		switch {
		case slices.Contains(p.Required, name):
			def = "required"
		case q.Default != nil:
			def = fmt.Sprintf("`%v`", q.Default)
		}
		if q.Secret {
			text += " A secret."
		}
		if q.Operator {
			text += " For operators."
		}
		out = append(append(out, fmt.Sprintf("| `%s%s` | %s | %s |", path, name, def, text)), q.rows(path+name+".")...)
	}
	return out
}

func TestThePageHasEverySettingAsTheSchemaTellsItAndNoOther(t *testing.T) {
	var schema property
	if err := json.Unmarshal(plugin().Manifest().Schema, &schema); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/providers/vault.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "<!-- begin of settings -->\n| setting | default | meaning |\n|---|---|---|\n")
	table, _, _ := strings.Cut(rest, "\n<!-- end of settings -->")
	shown, want := strings.Split(table, "\n"), schema.rows("")
	for _, row := range want {
		if !slices.Contains(shown, row) {
			t.Errorf("docs/providers/vault.md lacks the row:\n%s", row)
		}
	}
	if len(shown) != len(want) {
		t.Errorf("docs/providers/vault.md has %d rows, the schema has %d settings", len(shown), len(want))
	}
}
