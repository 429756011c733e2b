package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/sdk"
)

// print writes a result: v as JSON, or what text writes, with columns parted by tabs.
func (a *app) print(v any, text func(w io.Writer)) error {
	if a.json() {
		return writeJSON(a.out, v)
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	text(w)
	return w.Flush()
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// valueJSON adds a value to a result: as text, or in base64 where it is none.
func valueJSON(into map[string]any, v sdk.Sensitive) {
	b := v.Reveal()
	if utf8.Valid(b) {
		into["value"] = string(b)
		return
	}
	into["value_base64"] = b
}

// masked describes a value without a byte of it.
func masked(v sdk.Sensitive) string {
	return fmt.Sprintf("•••••••• (%d bytes)", v.Len())
}

// date is a time for people; an unknown one is a dash.
func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// timeJSON is a time for programs; an unknown one is absent.
func timeJSON(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// writePrivate writes a file that only its owner can read, whole or not at all.
func writePrivate(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".keyway-*") // its mode is 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
