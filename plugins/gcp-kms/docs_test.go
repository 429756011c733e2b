package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// schema is as much of the settings' schema as the page shows.
type schema struct {
	Description string            `json:"description"`
	Required    []string          `json:"required"`
	Operator    bool              `json:"x-keyway-operator"`
	Secret      bool              `json:"writeOnly"`
	Properties  map[string]schema `json:"properties"`
}

// rows are the page's, in no order.
func (s schema) rows(path string) (out []string) {
	for name, p := range s.Properties {
		def, text := "none", p.Description
		if slices.Contains(s.Required, name) {
			def = "required"
		}
		if p.Secret {
			text += " A secret."
		}
		if p.Operator {
			text += " For operators."
		}
		out = append(out, fmt.Sprintf("| `%s%s` | %s | %s |", path, name, def, text))
		out = append(out, p.rows(path+name+".")...)
	}
	return out
}

// The page's table has the provider's own settings as the schema tells them, and no login that there is not.
func TestTheTableOfThePageIsTheSchema(t *testing.T) {
	var s schema
	if err := json.Unmarshal(plugin().Manifest().Schema, &s); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("../../docs/providers/gcp-kms.md")
	if err != nil {
		t.Fatal(err)
	}
	page, paths := string(raw), map[string]bool{}
	for _, row := range s.rows("") {
		path := strings.Split(row, "`")[1]
		paths[path] = true
		if !strings.HasPrefix(path, "auth.") && !strings.Contains(page, "\n"+row+"\n") {
			t.Errorf("docs/providers/gcp-kms.md lacks the row:\n%s", row)
		}
	}
	_, table, _ := strings.Cut(page, "<!-- begin of settings -->\n")
	table, _, ended := strings.Cut(table, "<!-- end of settings -->\n")
	shown := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1)
	if !ended || len(shown) == 0 {
		t.Error("docs/providers/gcp-kms.md has no table between its marks")
	}
	for _, m := range shown {
		if !paths[m[1]] {
			t.Errorf("docs/providers/gcp-kms.md shows the setting %s, which there is not", m[1])
		}
	}
}
