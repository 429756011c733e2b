package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// wantRefused holds a store to refusing every call with a code and the file's path, and to leaving the folder as it is.
func wantRefused(t *testing.T, path string, want sdk.Code, changes map[string]any) {
	t.Helper()
	before := folder(t, path)
	s := openStore(t, path, changes)
	_, check := s.Check(t.Context())
	_, get := s.Get(t.Context(), sdk.GetRequest{Name: "a"})
	_, put := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("new")})
	_, del := s.Delete(t.Context(), sdk.DeleteRequest{Name: "a"})
	for call, err := range map[string]error{"Check": check, "Get": get, "Put": put, "Delete": del} {
		wantCode(t, err, want, call)
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v: does not name %s", call, err, path)
		}
	}
	if after := folder(t, path); after != before {
		t.Errorf("the folder has changed: %q, was %q", after, before)
	}
}

// folder gives the names and contents of the files beside a path.
func folder(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s=%s;", e.Name(), content(t, filepath.Join(filepath.Dir(path), e.Name())))
	}
	return b.String()
}

func TestAnotherKeyIsToldFromDamageAndChangesNothing(t *testing.T) {
	path := storePath(t)
	mustPut(t, openStore(t, path, nil), "a", "1")
	wantRefused(t, path, sdk.Unauthenticated, map[string]any{"key": keyText("another key")})
	wantValue(t, openStore(t, path, nil), "a", "1")
}

func TestEveryFlippedBitIsDataLoss(t *testing.T) {
	path := storePath(t)
	mustPut(t, openStore(t, path, nil), "a", "1")
	good := []byte(content(t, path))
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := openStore(t, path, nil).Get(t.Context(), sdk.GetRequest{Name: "a"})
		if sdk.CodeOf(err) != sdk.DataLoss {
			t.Fatalf("byte %d flipped: %v, want data loss", i, err)
		}
	}
	wantRefused(t, path, sdk.DataLoss, nil)
}

func TestEveryTruncationIsDataLoss(t *testing.T) {
	path := storePath(t)
	mustPut(t, openStore(t, path, nil), "a", "1")
	for n := len(content(t, path)) - 1; n >= 0; n-- {
		if err := os.Truncate(path, int64(n)); err != nil {
			t.Fatal(err)
		}
		_, err := openStore(t, path, nil).Get(t.Context(), sdk.GetRequest{Name: "a"})
		if sdk.CodeOf(err) != sdk.DataLoss {
			t.Fatalf("cut to %d bytes: %v, want data loss", n, err)
		}
	}
	wantRefused(t, path, sdk.DataLoss, nil)
}

func TestDamageIsSeenByAStoreThatHasReadBefore(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	mustPut(t, s, "a", "1")
	if err := os.WriteFile(path, []byte(content(t, path)+"x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), sdk.GetRequest{Name: "a"})
	wantCode(t, err, sdk.DataLoss, "Get after a byte was added")
}

func TestSealedNonsenseIsDataLoss(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	for what, text := range map[string]string{
		"nothing":           "",
		"length past end":   "\x00\x00\x00\x00\x00\x00\x00\x63{}",
		"huge length":       "\xff\xff\xff\xff\xff\xff\xff\xff{}",
		"not JSON":          "\x00\x00\x00\x00\x00\x00\x00\x01{",
		"null secrets":      "\x00\x00\x00\x00\x00\x00\x00\x10{\"secrets\":null}",
		"no versions":       "\x00\x00\x00\x00\x00\x00\x00\x14{\"secrets\":{\"a\":{}}}",
		"value past end":    "\x00\x00\x00\x00\x00\x00\x00\x2b{\"secrets\":{\"a\":{\"versions\":[{\"size\":999}]}}}",
		"negative size":     "\x00\x00\x00\x00\x00\x00\x00\x2b{\"secrets\":{\"a\":{\"versions\":[{\"size\":-99}]}}}",
		"bytes left over":   "\x00\x00\x00\x00\x00\x00\x00\x0e{\"secrets\":{}}x",
		"JSON of other use": "\x00\x00\x00\x00\x00\x00\x00\x02[]",
	} {
		sealed, err := s.keys.seal(sdk.SensitiveString(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, sealed, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = s.Get(t.Context(), sdk.GetRequest{Name: "a"})
		wantCode(t, err, sdk.DataLoss, what)
	}
}

func TestAFileOfALaterFormatIsLeftAlone(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	mustPut(t, s, "a", "1")
	later := s.keys.headerOf(format + 1)
	if err := os.WriteFile(path, append(later, content(t, path)[headerSize:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, path, sdk.Unavailable, nil)
}

func TestAFileThatIsNotOursIsNeverReplaced(t *testing.T) {
	path := storePath(t)
	if err := os.WriteFile(path, []byte(strings.Repeat("somebody's notes\n", 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, path, sdk.DataLoss, nil)
}

func TestOnlyARegularFileIsAStore(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "real.kw")
	mustPut(t, openStore(t, target, nil), "a", "1")

	link := filepath.Join(dir, "link.kw")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	_, err := openStore(t, link, nil).Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("2")})
	wantCode(t, err, sdk.Unavailable, "Put through a symbolic link")
	wantValue(t, openStore(t, link, nil), "a", "1")
	_, err = openStore(t, dir, nil).Get(t.Context(), sdk.GetRequest{Name: "a"})
	wantCode(t, err, sdk.Unavailable, "Get from a folder")
}

func TestAMissingFolderIsNotAnEmptyStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "unmounted", "secrets.kw")
	s := openStore(t, path, nil)
	_, get := s.Get(t.Context(), sdk.GetRequest{Name: "a"})
	_, put := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("1")})
	wantCode(t, get, sdk.Unavailable, "Get")
	wantCode(t, put, sdk.Unavailable, "Put")
	if put == nil || !strings.Contains(put.Error(), filepath.Dir(path)) {
		t.Errorf("Put: %v: does not name the folder", put)
	}
}

func TestNothingIsOnDiskInClear(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	texts := []string{"canary-name", "canary-value", "canary-description", "canary-label", "canary-idempotency-key-of-32-byte"}
	_, err := s.Put(t.Context(), sdk.PutRequest{Name: texts[0], Value: sdk.SensitiveString(texts[1]), Description: texts[2],
		Labels: map[string]string{texts[3]: texts[3]}, IdempotencyKey: texts[4]})
	if err != nil {
		t.Fatal(err)
	}
	all := folder(t, path)
	key, err := base64.StdEncoding.DecodeString(keyText("the key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(texts, base64.StdEncoding.EncodeToString([]byte(texts[1]))[:12], string(key)) {
		if strings.Contains(all, c) {
			t.Errorf("%q is in the folder in clear", c)
		}
	}
	printed := fmt.Sprintf("%+v %#v %+v", *s.file.seen.Load().doc, s.file.seen.Load().doc.Secrets, *s.keys)
	if strings.Contains(printed, texts[1]) || strings.Contains(printed, string(key)) {
		t.Error("a document or a key prints its secrets")
	}
}

func TestAFullStoreRefusesAndKeepsWhatItHas(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	mustPut(t, s, "a", "1")
	s.file.limit = len(content(t, path)) + 1000
	before := folder(t, path)
	_, err := s.Put(t.Context(), sdk.PutRequest{Name: "b", Value: sdk.NewSensitive(make([]byte, 2000))})
	wantCode(t, err, sdk.ResourceExhausted, "Put past the file's limit")
	if folder(t, path) != before {
		t.Error("the refused Put changed the folder")
	}
	wantValue(t, s, "a", "1")
}
