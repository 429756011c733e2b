package refs

import (
	"reflect"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestSplit(t *testing.T) {
	a, b := &Ref{Kind: Secret, Store: "prod", Name: "a"}, &Ref{Kind: Environ, Name: "B"}
	brace := &Ref{Kind: Secret, Store: "prod", Name: "a}b"}
	for _, c := range []struct {
		text string
		want []Part
	}{
		{"", nil},
		{"plain", []Part{{Text: "plain"}}},
		{"secret://prod/a", []Part{{Ref: a}}},
		{"${secret://prod/a}", []Part{{Ref: a}}},
		{"Bearer ${secret://prod/a}", []Part{{Text: "Bearer "}, {Ref: a}}},
		{"${secret://prod/a}${os.environ/B}!", []Part{{Ref: a}, {Ref: b}, {Text: "!"}}},
		{"${secret://prod/a%7Db}", []Part{{Ref: brace}}},
		{"${HOME}/x ${", []Part{{Text: "${HOME}/x ${"}}},
		{"$${secret://prod/a}", []Part{{Text: "${secret://prod/a}"}}},
		{"$$${secret://prod/a}", []Part{{Text: "$${secret://prod/a}"}}},
		{"see secret://prod/a", []Part{{Text: "see secret://prod/a"}}},
		{"$ {} }", []Part{{Text: "$ {} }"}}},
	} {
		got, err := Split(c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("Split(%q) = %+v, %v, want %+v", c.text, got, err, c.want)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	for _, text := range []string{"x ${secret://prod/a", "${secret://prod/}", "${secret://prod/a}${Secret://prod/b}", "secret://prod/a and more", "x ${secret://p/a\n}"} {
		if _, err := Split(text); sdk.CodeOf(err) != sdk.InvalidArgument {
			t.Errorf("Split(%q): %v, want InvalidArgument", text, err)
		}
	}
}

// unsplit writes parts so that Split gives them back.
func unsplit(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Ref != nil {
			b.WriteString("${" + strings.ReplaceAll(p.Ref.String(), "}", "%7D") + "}")
			continue
		}
		b.WriteString(strings.ReplaceAll(p.Text, "${", "$${"))
	}
	return b.String()
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a ${secret://prod/a} b", "$${x}", "$$${secret://prod/a}", "${HOME}", "secret://prod/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parts, err := Split(text)
		if err != nil {
			if sdk.CodeOf(err) != sdk.InvalidArgument {
				t.Fatalf("Split(%q): %v, want InvalidArgument", text, err)
			}
			return
		}
		for i, p := range parts {
			if p.Ref != nil && (p.Ref.Kind == Environ || p.Ref.Kind == OIDC) && strings.Contains(p.Ref.Name, "}") {
				return // only a whole text can hold such a name
			}
			if p.Ref == nil && strings.HasSuffix(p.Text, "$") && i+1 < len(parts) || p.Ref == nil && Is(p.Text) {
				return // a literal that reads differently once it is put beside others
			}
		}
		again, err := Split(unsplit(parts))
		if err != nil || !reflect.DeepEqual(again, parts) {
			t.Fatalf("Split(%q) = %+v, and of its text %q %+v, %v", text, parts, unsplit(parts), again, err)
		}
	})
}
