package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// table writes the settings of the schema, in its order. What is inside of a login stands on the page of aws-sm.
func table(t *testing.T) string {
	t.Helper()
	var schema struct {
		Required   []string        `json:"required"`
		Properties json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(plugin().Manifest().Schema, &schema); err != nil {
		t.Fatal(err)
	}
	out := "| setting | default | meaning |\n|---|---|---|\n"
	d := json.NewDecoder(strings.NewReader(string(schema.Properties)))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		var p struct {
			Description string
			Default     any
		}
		if err != nil || d.Decode(&p) != nil {
			t.Fatal("the schema's properties cannot be read")
		}
		def := "none"
		switch {
		case slices.Contains(schema.Required, fmt.Sprint(name)):
			def = "required"
		case p.Default != nil:
			def = fmt.Sprintf("`%v`", p.Default)
		}
		out += fmt.Sprintf("| `%v` | %s | %s |\n", name, def, p.Description)
	}
	return out
}

func TestTheTableOfThePageIsTheSchema(t *testing.T) {
	page, err := os.ReadFile("../../docs/providers/aws-kms.md")
	if err != nil {
		t.Fatal(err)
	}
	want := table(t)
	_, rest, _ := strings.Cut(string(page), "<!-- begin of settings -->\n")
	if got, _, ended := strings.Cut(rest, "<!-- end of settings -->\n"); !ended || got != want {
		t.Errorf("docs/providers/aws-kms.md has another table than the schema; between its marks must stand:\n%s", want)
	}
}

func TestEveryWordOfTheServiceIsOnThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/providers/aws-kms.md")
	if err != nil {
		t.Fatal(err)
	}
	for word, code := range codes {
		row := slices.IndexFunc(strings.Split(string(page), "\n"), func(line string) bool {
			return strings.HasPrefix(line, "|") && strings.Contains(line, strings.TrimSuffix(word, "Exception"))
		})
		if row < 0 {
			t.Errorf("the table of errors does not have %s, which is %v", word, code)
		}
	}
}
