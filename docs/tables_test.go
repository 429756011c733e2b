package docs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/host/config"
)

// What operators look up is a message that they saw, so every one in the tables must be in the code as it stands there.
func TestMessagesInTheTablesAreThoseOfTheCode(t *testing.T) {
	code := sources(t)
	page := read(t, "docs/operating.md")
	n := 0
	for _, section := range []string{"## Logs\n", "## When something is wrong\n"} {
		_, rest, _ := strings.Cut(page, section)
		rest, _, _ = strings.Cut(rest, "\n## ")
		for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(rest, -1) {
			n++
			if piece := fixed(row[1]); !strings.Contains(code, piece) {
				t.Errorf("docs/operating.md tells of the message %q, but no code says %q", row[1], piece)
			}
		}
	}
	if n < 20 {
		t.Errorf("the tables have only %d messages", n)
	}
}

// fixed gives the longest part of a message that no particular case fills in.
func fixed(message string) (longest string) {
	for _, piece := range regexp.MustCompile(`…|"[^"]*"|\([^)]*\)|;`).Split(message, -1) {
		if piece = strings.TrimSpace(piece); len(piece) > len(longest) {
			longest = piece
		}
	}
	return longest
}

// sources is the text of all code that may say something to an operator.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"host", "sdk", "plugins"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			raw, err := os.ReadFile(path)
			all.Write(raw)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// settings is as much of a JSON Schema as the table of keyway.yaml shows.
type settings struct {
	Description string            `json:"description"`
	Default     any               `json:"default"`
	Required    []string          `json:"required"`
	Items       *settings         `json:"items"`
	Additional  json.RawMessage   `json:"additionalProperties"`
	Properties  ordered[settings] `json:"properties"`
}

// ordered keeps the members of a JSON object in their order.
type ordered[T any] []member[T]

type member[T any] struct {
	name  string
	value T
}

func (o *ordered[T]) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		m := member[T]{name: fmt.Sprint(key)}
		if err := d.Decode(&m.value); err != nil {
			return err
		}
		*o = append(*o, m)
	}
	return nil
}

func TestTheTableOfKeywayYAMLIsItsSchema(t *testing.T) {
	var schema settings
	if err := json.Unmarshal(config.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	want := "| key | default | meaning |\n|---|---|---|\n" + rows(t, schema, "")
	page := read(t, "docs/operating.md")
	_, rest, begun := strings.Cut(page, "<!-- begin of keyway.yaml -->\n")
	got, _, ended := strings.Cut(rest, "<!-- end of keyway.yaml -->\n")
	if !begun || !ended || got != want {
		t.Errorf("docs/operating.md has another table than the schema; between its marks must stand:\n%s", want)
	}
}

// rows writes the keys of an object. Only what differs is said of a store's own cache.
func rows(t *testing.T, s settings, path string) string {
	out := ""
	for _, p := range s.Properties {
		at, key := p.value, path+p.name
		def := "–"
		switch {
		case slices.Contains(s.Required, p.name):
			def = "required"
		case at.Default != nil:
			def = fmt.Sprintf("`%v`", at.Default)
		}
		out += fmt.Sprintf("| `%s` | %s | %s |\n", key, def, strings.NewReplacer("|", "\\|", "<", "\\<").Replace(at.Description))
		if key == "stores.NAME.cache" {
			continue
		}
		out += rows(t, at, key+".")
		if len(at.Additional) > 0 && at.Additional[0] == '{' {
			var each settings
			if err := json.Unmarshal(at.Additional, &each); err != nil {
				t.Fatal(err)
			}
			out += rows(t, each, key+".NAME.")
		}
	}
	return out
}
