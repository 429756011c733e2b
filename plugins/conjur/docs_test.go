package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// shown is as much of the settings' schema as the page shows.
type shown struct {
	Description string          `json:"description"`
	Default     any             `json:"default"`
	Required    []string        `json:"required"`
	Operator    bool            `json:"x-keyway-operator"`
	Secret      bool            `json:"writeOnly"`
	Items       *shown          `json:"items"`
	Properties  json.RawMessage `json:"properties"`
}

// table writes a row for each setting, in the schema's order.
func (s shown) table(t *testing.T, path string) (rows string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(s.Properties))
	for _, _ = d.Token(); d.More(); {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var p shown
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		def, text := "none", p.Description
		switch {
		case slices.Contains(s.Required, fmt.Sprint(name)):
			def = "required"
		case p.Default != nil && p.Default != "":
			def = fmt.Sprintf("`%v`", p.Default)
		}
		if p.Secret {
			text += " A secret."
		}
		if p.Operator {
			text += " For operators."
		}
		at := fmt.Sprint(path, name)
		rows += fmt.Sprintf("| `%s` | %s | %s |\n", at, def, text) + p.table(t, at+".")
		if p.Items != nil {
			rows += p.Items.table(t, at+"[].")
		}
	}
	return rows
}

func TestTheTableOfThePageIsTheSchema(t *testing.T) {
	var s shown
	if err := json.Unmarshal(plugin().Manifest().Schema, &s); err != nil {
		t.Fatal(err)
	}
	want := "| setting | default | meaning |\n|---|---|---|\n" + s.table(t, "")
	page, err := os.ReadFile("../../docs/providers/conjur.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begun := strings.Cut(string(page), "<!-- begin of settings -->\n")
	got, _, ended := strings.Cut(rest, "<!-- end of settings -->\n")
	if !begun || !ended || got != want {
		t.Errorf("docs/providers/conjur.md has another table than the schema; between its marks must stand:\n%s", want)
	}
}
