package main

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestSettingsFaultsAreNamedWithoutTheKey(t *testing.T) {
	passphrase := "correct horse battery staple"
	short := base64.StdEncoding.EncodeToString([]byte("only sixteen byt"))
	for name, c := range map[string]struct {
		changes map[string]any
		path    string
		says    string
	}{
		"passphrase":       {map[string]any{"key": passphrase}, "/key", "passphrase"},
		"short key":        {map[string]any{"key": short}, "/key", "16 bytes"},
		"long key":         {map[string]any{"key": base64.StdEncoding.EncodeToString(make([]byte, 33))}, "/key", "33 bytes"},
		"placeholder key":  {map[string]any{"key": base64.StdEncoding.EncodeToString(make([]byte, 32))}, "/key", "not random"},
		"no key":           {map[string]any{"key": nil}, "/key", "required"},
		"no path":          {map[string]any{"path": nil}, "/path", "required"},
		"relative path":    {map[string]any{"path": "secrets.kw"}, "/path", "absolute"},
		"folder as path":   {map[string]any{"path": "/var/lib/"}, "/path", "slash"},
		"climbing path":    {map[string]any{"path": "/var/lib/../x"}, "/path", ".."},
		"no versions":      {map[string]any{"max_versions": 0}, "/max_versions", "1 to 100"},
		"endless recovery": {map[string]any{"recovery_window": "900000h"}, "/recovery_window", "at most"},
		"nameless key":     {map[string]any{"data_keys": []string{"billing", ""}}, "/data_keys/1", "empty"},
		"unknown setting":  {map[string]any{"passphrase": "x"}, "/passphrase", "not a setting"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plugin().Open(t.Context(), sdk.Env{}, settingsJSON("/tmp/secrets.kw", c.changes))
			var e *sdk.Error
			if !errors.As(err, &e) || e.Code != sdk.InvalidArgument {
				t.Fatalf("Open: %v, want an invalid argument", err)
			}
			i := slices.IndexFunc(e.Problems, func(p sdk.Problem) bool { return p.Path == c.path })
			if i < 0 || !strings.Contains(e.Problems[i].Message, c.says) {
				t.Errorf("Open: %v, want a problem at %s that says %q", err, c.path, c.says)
			}
			if key, _ := c.changes["key"].(string); key != "" && strings.Contains(err.Error(), key) {
				t.Error("the error quotes the key")
			}
		})
	}
}

func TestKeyIsTakenInBothAlphabetsWithOrWithoutPaddingAndNewline(t *testing.T) {
	raw, err := base64.StdEncoding.DecodeString(keyText("a seed whose key has both special digits 2"))
	if err != nil {
		t.Fatal(err)
	}
	std := base64.StdEncoding.EncodeToString(raw)
	for _, text := range []string{std, std + "\n", strings.TrimRight(std, "="), base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw)} {
		s := settings{Key: sdk.SensitiveString(text)}
		got, problem := s.masterKey()
		if problem != "" || !got.Equal(sdk.NewSensitive(raw)) {
			t.Errorf("key form of %d characters: problem %q, or another key than the standard form's", len(text), problem)
		}
	}
}

func TestOpenTouchesNothingAndTellsItsReach(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "missing", "secrets.kw")
	opened, err := plugin().Open(t.Context(), sdk.Env{}, settingsJSON(path, nil))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("Open made %v (%v)", left, err)
	}
	want := []string{filepath.Dir(path)}
	if r := opened.Reach; r == nil || !slices.Equal(r.Files, want) || !slices.Equal(r.Writes, want) || len(r.Endpoints) > 0 || r.Ambient {
		t.Errorf("Reach is %+v, want the folder of the file and nothing else", r)
	}
	if all := sdk.ParseCapabilities(opened.Capabilities.Names()); all.Names()[0] != "get" || !all.Has(sdk.Refinements|sdk.CanWatch|sdk.CanDecrypt) {
		t.Errorf("capabilities are %v, want all of the contract", all)
	}
}

func TestSchemaSaysThatPathIsAFileOfTheOperator(t *testing.T) {
	schema := string(plugin().Manifest().Schema)
	if want := `"x-keyway-operator":true,"examples":["/var/lib/keyway/secrets.kw"],"minLength":1,"type":"string","format":"path"`; !strings.Contains(schema, want) {
		t.Errorf("the schema lacks %s:\n%s", want, schema)
	}
}
