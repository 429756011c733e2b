package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/sdk"
)

// opened gives a file that is closed with the test.
func opened(t *testing.T, o audit.FileOptions) *audit.File {
	t.Helper()
	if o.Patience == 0 {
		o.Patience = time.Minute // a loaded machine is no reason to fail
	}
	f, err := audit.NewFile(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, f) })
	return f
}

func closed(t *testing.T, f *audit.File) {
	t.Helper()
	if err := f.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// lines reads whole lines of JSON; anything else in the file fails the test.
func lines(t *testing.T, path string) (out []audit.Line) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 0 && raw[len(raw)-1] != '\n' {
		t.Errorf("%s does not end with a line's end", filepath.Base(path))
	}
	s := bufio.NewScanner(bytes.NewReader(raw))
	for s.Scan() {
		var l audit.Line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Errorf("%s: %v in %q", filepath.Base(path), err, s.Text())
		}
		out = append(out, l)
	}
	return out
}

func change(name string) audit.Line { return audit.Line{Event: audit.Change, Op: "put", Name: name} }

func TestAChangeIsInTheFileWhenItsWriteReturns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := opened(t, audit.FileOptions{Path: path})
	for i := range 3 {
		if err := f.Write(t.Context(), change(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		got := lines(t, path)
		if len(got) != i+1 || got[i].Name != fmt.Sprint(i) {
			t.Errorf("after change %d the file has %+v", i, got)
		}
	}
}

func TestReadsStandBeforeALaterChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := opened(t, audit.FileOptions{Path: path})
	for i := range 100 {
		if err := f.Write(t.Context(), audit.Line{Event: audit.Call, Name: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Write(t.Context(), change("last")); err != nil {
		t.Fatal(err)
	}
	got := lines(t, path)
	if len(got) != 101 || got[100].Name != "last" || got[42].Name != "42" {
		t.Errorf("the file has %d lines, the last of %q; want 101 in order", len(got), got[len(got)-1].Name)
	}
}

func TestTheFileIsContinued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	for _, name := range []string{"before", "after"} {
		f := opened(t, audit.FileOptions{Path: path})
		if err := f.Write(t.Context(), change(name)); err != nil {
			t.Fatal(err)
		}
		closed(t, f)
	}
	if got := lines(t, path); len(got) != 2 || got[0].Name != "before" {
		t.Errorf("the file has %+v, want both lines", got)
	}
}

func TestALineThatAKilledProcessLeftInPartSpoilsNoOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte(`{"v":1,"ti`), 0o600); err != nil {
		t.Fatal(err)
	}
	f := opened(t, audit.FileOptions{Path: path})
	if err := f.Write(t.Context(), change("a")); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if rest, ok := strings.CutPrefix(string(raw), "{\"v\":1,\"ti\n"); !ok || !json.Valid([]byte(rest)) {
		t.Errorf("the file is %q", raw)
	}
}

func TestWhatIsPendingIsWrittenAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := opened(t, audit.FileOptions{Path: path})
	for range 1000 {
		if err := f.Write(t.Context(), audit.Line{Event: audit.Read}); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, f)
	if n := len(lines(t, path)); n != 1000 {
		t.Errorf("the file has %d lines, want 1000", n)
	}
	for _, line := range []audit.Line{{Event: audit.Read}, change("late")} {
		if err := f.Write(t.Context(), line); !errors.Is(err, audit.ErrClosed) || sdk.CodeOf(err) != sdk.FailedPrecondition {
			t.Errorf("Write of a %s after Close: %v, want FailedPrecondition", line.Event, err)
		}
	}
}

func TestRotationKeepsTheYoungestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	f := opened(t, audit.FileOptions{Path: path, Rotate: 1, Keep: 3}) // one line each
	for i := range 10 {
		if err := f.Write(t.Context(), change(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	for suffix, want := range map[string]string{"": "9", ".1": "8", ".2": "7", ".3": "6"} {
		if got := lines(t, path+suffix); len(got) != 1 || got[0].Name != want {
			t.Errorf("audit.jsonl%s has %+v, want line %s", suffix, got, want)
		}
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 4 {
		t.Errorf("the folder has %v (%v), want four files", all, err)
	}
}

func TestWhatCannotBeAnAuditIsRefusedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"a folder":           dir,
		"in a missing one":   filepath.Join(dir, "none", "audit.jsonl"),
		"a device":           os.DevNull,
		"a path with a file": filepath.Join(os.Args[0], "audit.jsonl"),
	} {
		if _, err := audit.NewFile(audit.FileOptions{Path: path}); sdk.CodeOf(err) != sdk.FailedPrecondition || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want FailedPrecondition that names the path", name, err)
		}
	}
}

func FuzzNoNameForgesOrSpoilsALine(f *testing.F) {
	for _, name := range []string{"plain", "a\nb", "a\r\n{\"v\":1}", "\x00\x1b[31m", "\u2028", "\xff\xfe", `"}`, "ü/世"} {
		f.Add(name, name)
	}
	path := filepath.Join(f.TempDir(), "audit.jsonl")
	file, err := audit.NewFile(audit.FileOptions{Path: path, Rotate: 1, Patience: time.Minute})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = file.Close(context.Background()) })
	f.Fuzz(func(t *testing.T, name, who string) {
		line := change(name)
		line.Actor.Who = who
		if err := file.Write(t.Context(), line); err != nil {
			t.Fatal(err)
		}
		got := lines(t, path)
		if len(got) != 1 {
			t.Fatalf("%q became %d lines", name, len(got))
		}
		if want := string([]rune(name)); got[0].Name != want { // which has U+FFFD for each byte that is no character's
			t.Errorf("name %q became %q, want %q", name, got[0].Name, want)
		}
		raw, err := os.ReadFile(path)
		if err != nil || bytes.ContainsFunc(bytes.TrimSuffix(raw, []byte("\n")), func(r rune) bool { return r < ' ' }) {
			t.Errorf("the line of %q holds a control character: %q (%v)", name, raw, err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	f, err := audit.NewFile(audit.FileOptions{Path: filepath.Join(b.TempDir(), "audit.jsonl")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close(b.Context()) }()
	log := audit.NewLog(f, audit.LogOptions{Host: "gw"})
	line := audit.Line{Event: audit.Call, Op: "get", Store: "prod", Provider: "vault", Name: "team/openai", Code: "ok", Source: audit.Backend}
	b.ReportAllocs()
	for b.Loop() {
		log.Record(b.Context(), line)
	}
}
