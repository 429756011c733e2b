package refs

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestSelect(t *testing.T) {
	const doc = `{"key":"sk-1","n":12345678901234567890.10,"t":true,"o":{"b": [1, {"x":"y"}], "":"empty name"},"a/b":"slash","m~n":"tilde","u":"\u00e9\ud83d\ude00\u0000","html":{"a":"<&>"}, "0":"zero"}`
	for pointer, want := range map[string]string{
		"":         doc,
		"/key":     "sk-1",
		"/n":       "12345678901234567890.10",
		"/t":       "true",
		"/o":       `{"b":[1,{"x":"y"}],"":"empty name"}`,
		"/o/b/0":   "1",
		"/o/b/1/x": "y",
		"/o/":      "empty name",
		"/a~1b":    "slash",
		"/m~0n":    "tilde",
		"/u":       "é😀\x00",
		"/html":    `{"a":"<&>"}`,
		"/0":       "zero",
	} {
		got, err := Select([]byte(doc), pointer)
		if err != nil || string(got) != want {
			t.Errorf("Select(%q) = %q, %v, want %q", pointer, got, err, want)
		}
	}
}

func TestSelectRefuses(t *testing.T) {
	for _, c := range []struct {
		value, pointer string
		code           sdk.Code
	}{
		{`canary`, "/a", sdk.InvalidArgument},
		{`{"a":"canary"} x`, "/a", sdk.InvalidArgument},
		{`{"a":"canary",}`, "/a", sdk.InvalidArgument},
		{"", "/a", sdk.InvalidArgument},
		{"{\"a\":\"canary\xff\"}", "/a", sdk.InvalidArgument},
		{`{"a":"canary"}`, "a", sdk.InvalidArgument},
		{`{"a":"canary"}`, "/~", sdk.InvalidArgument},
		{`{"a":"canary","a":"other"}`, "/a", sdk.InvalidArgument},
		{`{"a":"canary","\u0061":"other"}`, "/a", sdk.InvalidArgument},
		{`{"a":"canary\ud800"}`, "/a", sdk.InvalidArgument},
		{`{"a":"canary\udc00"}`, "/a", sdk.InvalidArgument},
		{`{"a":"canary\ud800\u0041"}`, "/a", sdk.InvalidArgument},
		{`{"a":"canary"}`, "/b", sdk.NotFound},
		{`{"a":"canary"}`, "/a/0", sdk.NotFound},
		{`{"a":"canary"}`, "/A", sdk.NotFound},
		{`["canary"]`, "/1", sdk.NotFound},
		{`["canary"]`, "/00", sdk.NotFound},
		{`["canary"]`, "/-", sdk.NotFound},
		{`["canary"]`, "/+0", sdk.NotFound},
		{`"canary"`, "/0", sdk.NotFound},
		{`{"a":null}`, "/a", sdk.FailedPrecondition},
		{`{"a":""}`, "/a", sdk.FailedPrecondition},
	} {
		got, err := Select([]byte(c.value), c.pointer)
		if sdk.CodeOf(err) != c.code || got != nil {
			t.Errorf("Select(%q, %q) = %q, %v, want %v", c.value, c.pointer, got, err, c.code)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("Select(%q, %q): the error holds the value: %v", c.value, c.pointer, err)
		}
	}
}

func TestADoubledMemberAsideIsNoMatter(t *testing.T) {
	got, err := Select([]byte(`{"x":1,"x":2,"a":"y"}`), "/a")
	if err != nil || string(got) != "y" {
		t.Errorf("Select = %q, %v, want y", got, err)
	}
}

func FuzzSelect(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"c"}]}`), "/a/1/b")
	f.Add([]byte(`"\ud800"`), "/")
	f.Add([]byte(`[1e400]`), "/0")
	f.Fuzz(func(t *testing.T, value []byte, pointer string) {
		got, err := Select(value, pointer)
		if pointer == "" {
			return
		}
		if (err == nil) == (len(got) == 0) {
			t.Fatalf("Select(%q, %q) = %q, %v, want a value or an error", value, pointer, got, err)
		}
		if err == nil && !json.Valid(value) {
			t.Fatalf("Select(%q, %q) took what is not JSON", value, pointer)
		}
		if err == nil && bytes.ContainsRune(got, 0xFFFD) && !bytes.ContainsRune(value, 0xFFFD) && !bytes.Contains(bytes.ToLower(value), []byte(`\ufffd`)) {
			t.Fatalf("Select(%q, %q) = %q changed the text", value, pointer, got)
		}
	})
}
