package doctest

import "testing"

func TestATranscriptIsTakenApart(t *testing.T) {
	b := Block{Info: "console", Line: 10, Text: "$ one\nout 1\n$ two \\\n> more\n$ make test\n"}
	got := b.Commands()
	if len(got) != 3 || got[0].Text != "one" || *got[0].Want != "out 1\n" || got[1].Text != "two \\\nmore" || got[1].Line != 12 {
		t.Fatalf("got %+v", got)
	}
	if target, ok := got[2].MakeTarget(); !ok || target != "test" {
		t.Errorf("the third command is not make test: %q, %v", target, ok)
	}
}

func TestWhatIsPrintedMustBeWhatIsShown(t *testing.T) {
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"", "", true},
		{"", "something\n", false},
		{"done\n", "done", true},
		{"done\n", "done\nand more\n", false},
		{"pid …, done\n", "pid 17, done\n", true},
		{"pid …, done\n", "pid 17\n, done\n", false},
		{"a\n…\nb\n", "a\nb\n", true},
		{"a\n…\nb\n", "a\n1\n2\nb\n", true},
		{"a\n…\n", "b\n", false},
		{"a  b\n", "a  b   \n", true},
		{"(a|b)\n", "a\n", false},
	} {
		if ok := (Command{Want: &c.want}).Matches(c.got); ok != c.ok {
			t.Errorf("%q beside %q: %v, want %v", c.got, c.want, ok, c.ok)
		}
	}
}

func TestAFileIsNamedByItsFirstLine(t *testing.T) {
	for text, want := range map[string]string{
		"# keyway.yaml\nversion: 1\n":          "keyway.yaml",
		"// main.go\npackage main\n":           "main.go",
		"# the file keyway.yaml\nversion: 1\n": "",
		"version: 1\n":                         "",
		"# ../keyway.yaml\n":                   "",
	} {
		if got := (Block{Info: "yaml", Text: text}).FileName(); got != want {
			t.Errorf("%q: file %q, want %q", text, got, want)
		}
	}
}
