package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// schema is as much of a settings schema as the page's table shows.
type schema struct {
	Description string   `json:"description"`
	Default     any      `json:"default"`
	Required    []string `json:"required"`
	Operator    bool     `json:"x-keyway-operator"`
	Secret      bool     `json:"writeOnly"`
	Items       *schema  `json:"items"`
	Properties  members  `json:"properties"`
}

// members are the properties in their order.
type members []member

type member struct {
	name string
	schema
}

func (m *members) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		x := member{name: fmt.Sprint(key)}
		if err := d.Decode(&x.schema); err != nil {
			return err
		}
		*m = append(*m, x)
	}
	return nil
}

func rows(s schema, path string) string {
	var out strings.Builder
	for _, p := range s.Properties {
		def := "none"
		switch {
		case slices.Contains(s.Required, p.name):
			def = "required"
		case p.Default != nil:
			def = fmt.Sprintf("`%v`", p.Default)
		}
		text := p.Description
		if p.Secret {
			text += " A secret."
		}
		if p.Operator {
			text += " For operators."
		}
		fmt.Fprintf(&out, "| `%s%s` | %s | %s |\n", path, p.name, def, text)
		out.WriteString(rows(p.schema, path+p.name+"."))
		if p.Items != nil {
			out.WriteString(rows(*p.Items, path+p.name+"[]."))
		}
	}
	return out.String()
}

func TestTheTableOfThePageIsTheSchema(t *testing.T) {
	var s schema
	if err := json.Unmarshal(plugin().Manifest().Schema, &s); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/providers/azure-kv.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "| setting | default | meaning |\n|---|---|---|\n" + rows(s, "")
	_, rest, _ := strings.Cut(string(page), "<!-- begin of settings -->\n")
	if got, _, ended := strings.Cut(rest, "<!-- end of settings -->\n"); !ended || got != want {
		t.Errorf("docs/providers/azure-kv.md has another table than the schema; between its marks must stand:\n%s", want)
	}
}
