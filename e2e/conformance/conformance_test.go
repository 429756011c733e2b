package conformance

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// allChecks gives a record in which every check has a status, but for those that are named.
func allChecks(provider, test string, status sdktest.Status, but map[string]string) record {
	r := record{provider, test, map[string]string{}}
	for _, c := range sdktest.Suite() {
		r.Checks[c.Name] = status.String()
	}
	for name, other := range but {
		r.Checks[name] = other
	}
	return r
}

func loaded(t *testing.T, records ...record) *Table {
	t.Helper()
	dir := t.TempDir()
	for _, r := range records {
		if err := r.write(dir); err != nil {
			t.Fatal(err)
		}
	}
	table, err := Load(dir, []string{"one", "two"})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestWhatOneStoreCannotShowAnotherDoes(t *testing.T) {
	table := loaded(t,
		allChecks("one", "TestA/with a key", sdktest.Absent, nil), allChecks("one", "TestB", sdktest.Passed, map[string]string{"put/binary": "absent"}),
		allChecks("two", "TestA", sdktest.Passed, nil))
	if err := table.Err(); err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	if err := table.Print(&out); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"check one two", "\nget/existing passed passed", "\nput/binary absent passed", "\nabsent 1 0", "\nfailed 0 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table has no line %q:\n%s", strings.TrimSpace(want), text)
		}
	}
}

func TestAFailureCountsMoreThanWhatElsePassed(t *testing.T) {
	table := loaded(t,
		allChecks("one", "TestA", sdktest.Passed, map[string]string{"get/existing": "failed"}), allChecks("one", "TestB", sdktest.Passed, nil),
		allChecks("two", "TestA", sdktest.Passed, nil))
	if err := table.Err(); err == nil || err.Error() != "one: 1 checks failed" {
		t.Errorf("got %v, want that of one a check failed", err)
	}
}

func TestAProviderWithoutResultsFails(t *testing.T) {
	half := allChecks("one", "TestA", sdktest.Passed, nil)
	delete(half.Checks, "get/existing")
	err := loaded(t, half).Err()
	if err == nil || !strings.Contains(err.Error(), "one: 1 of ") || !strings.Contains(err.Error(), "two: ") {
		t.Errorf("got %v, want that one lacks a result and two all", err)
	}
}

func TestARecordThatIsNoneIsAnError(t *testing.T) {
	for what, content := range map[string]string{"no JSON": "{", "of another": `{"provider":"two"}`} {
		dir := t.TempDir()
		file := filepath.Join(dir, "one", "x.json")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir, []string{"one"}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("a record that is %s: %v, want an error with its file", what, err)
		}
	}
}
