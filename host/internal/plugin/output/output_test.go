package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestLinesAreCutHoweverTheyArrive(t *testing.T) {
	long := strings.Repeat("x", maxLine+5)
	input := "one\r\n\n" + long + "\nlast"
	want := []string{"one 0", " 0", long[:maxLine] + " 5", "last 0"}
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(input), "byte by byte": iotest.OneByteReader(strings.NewReader(input))} {
		var got []string
		l := NewLines(func(line string, dropped int) { got = append(got, fmt.Sprint(line, " ", dropped)) })
		if _, err := io.Copy(l, r); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: lines %.40q, want %.40q", name, got, want)
		}
	}
}

func TestTailKeepsTheLastLinesAndTheCrash(t *testing.T) {
	var tail Tail
	if got := tail.Brief(); got != "" {
		t.Errorf("Brief of nothing = %q", got)
	}
	for i := range 30 {
		tail.Add(fmt.Sprintf("line %d", i))
	}
	tail.Add("   ")
	if got := tail.Lines(); len(got) != tailLines || got[0] != "line 10" || got[tailLines-1] != "line 29" {
		t.Errorf("Lines = %q, want 10 to 29", got)
	}
	if got, want := tail.Brief(), "line 26 | line 27 | line 28 | line 29"; got != want {
		t.Errorf("Brief = %q, want %q", got, want)
	}
	tail.Add("panic: out of luck")
	for range 30 {
		tail.Add("goroutine 1 [running]:")
	}
	tail.Add("panic: again")
	if got, want := tail.Brief(), "panic: out of luck"; got != want {
		t.Errorf("Brief after a crash = %q, want %q", got, want)
	}
}

func TestTailIsPrintableAndBounded(t *testing.T) {
	var tail Tail
	tail.Add("\x1b[31mred\x00\tü\xff\u202e")
	tail.Add(strings.Repeat("ü", tailWidth))
	got := tail.Lines()
	if want := "?[31mred? ü\ufffd?"; got[0] != want {
		t.Errorf("line %q, want %q", got[0], want)
	}
	if len(got[1]) > tailWidth+len("…") {
		t.Errorf("line of %d bytes, want at most %d", len(got[1]), tailWidth)
	}
}

// logged gives the records of some lines.
func logged(t *testing.T, lines ...string) []map[string]any {
	t.Helper()
	var b bytes.Buffer
	l := NewLog(slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug - 4})), &Tail{})
	for _, line := range lines {
		l.Line(line, 0)
	}
	l.Close()
	var out []map[string]any
	d := json.NewDecoder(&b)
	for d.More() {
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		delete(m, "time")
		out = append(out, m)
	}
	return out
}

func TestLogLinesBecomeRecords(t *testing.T) {
	for line, want := range map[string]string{
		`plain text`: `{"level":"INFO","msg":"plain text"}`,
		`{"@level":"warn","@message":"slow","@timestamp":"t","@module":"m","took":12}`: `{"level":"WARN","module":"m","msg":"slow","took":12}`,
		`{"@level":"trace","@message":"x"}`:                                            `{"level":"DEBUG-4","msg":"x"}`,
		`{"@level":"ERROR","@message":"x"}`:                                            `{"level":"ERROR","msg":"x"}`,
		`{"@level":"loud","@message":"x"}`:                                             `{"level":"INFO","msg":"x"}`,
		`{"@message":"x","plugin":"other","level":"fatal","a":{"b":[1]}}`:              `{"a":{"b":[1]},"level":"INFO","msg":"x","plugin_level":"fatal","plugin_plugin":"other"}`,
		`{"@message":7}`:      `{"level":"INFO","msg":"{\"@message\":7}"}`,
		`{"message":"other"}`: `{"level":"INFO","msg":"{\"message\":\"other\"}"}`,
		`{"@message":"cut`:    `{"level":"INFO","msg":"{\"@message\":\"cut"}`,
	} {
		got := logged(t, line)
		if len(got) != 1 {
			t.Errorf("%s: %d records, want 1", line, len(got))
			continue
		}
		if b, _ := json.Marshal(got[0]); string(b) != want {
			t.Errorf("%s:\n got %s\nwant %s", line, b, want)
		}
	}
	if got := logged(t, "", "  "); len(got) != 0 {
		t.Errorf("empty lines became %v", got)
	}
}

func TestARecordHasBoundedFields(t *testing.T) {
	fields := map[string]any{"@message": "x"}
	for i := range 100 {
		fields[fmt.Sprintf("k%03d", i)] = i
	}
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if got := logged(t, string(b))[0]; len(got) != maxFields+len([]string{"level", "msg"}) {
		t.Errorf("record of %d fields, want %d", len(got), maxFields+2)
	}
}

func TestAFloodIsCutAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		tail := &Tail{}
		l := NewLog(slog.New(slog.NewJSONHandler(&b, nil)), tail)
		for range burst + 500 {
			l.Line("x", 0)
		}
		if n := strings.Count(b.String(), "\n"); n != burst {
			t.Errorf("%d records at once, want %d", n, burst)
		}
		<-time.After(time.Second) // of the bubble
		l.Line("last", 0)
		if want := `"lines":500`; !strings.Contains(b.String(), want) || !strings.Contains(b.String(), `"msg":"last"`) {
			t.Errorf("the log does not say %s and go on", want)
		}
		if lines := tail.Lines(); lines[len(lines)-1] != "last" {
			t.Errorf("tail ends with %q, want every line to pass through it", lines[len(lines)-1])
		}
	})
}

func FuzzLogLine(f *testing.F) {
	f.Add(`{"@level":"info","@message":"m","k":{"a":[1,"\u0000"]}}`)
	f.Add("plain \x1b[0m text")
	f.Fuzz(func(t *testing.T, line string) {
		var b bytes.Buffer
		tail := &Tail{}
		NewLog(slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug - 4})), tail).Line(line, 0)
		if n := strings.Count(b.String(), "\n"); n > 1 {
			t.Errorf("%q became %d records", line, n)
		}
		if brief := tail.Brief(); strings.ContainsAny(brief, "\n\r\x1b") {
			t.Errorf("%q is kept as %q, want one printable line", line, brief)
		}
	})
}
