package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// benchStore holds 1,000 secrets of 100 bytes.
func benchStore(b *testing.B) *store {
	b.Helper()
	opened, err := defined.Open(b.Context(), sdk.Env{}, settingsJSON(filepath.Join(b.TempDir(), "secrets.kw"), nil))
	if err != nil {
		b.Fatal(err)
	}
	s := opened.Store.(*store)
	s.file.disk = hasty{}
	for i := range 1000 {
		if _, err := s.Put(b.Context(), sdk.PutRequest{Name: fmt.Sprint("s", i), Value: sdk.SensitiveString(strings.Repeat("v", 100))}); err != nil {
			b.Fatal(err)
		}
	}
	s.file.disk = system{}
	b.ResetTimer()
	return s
}

func BenchmarkGet(b *testing.B) {
	s := benchStore(b)
	for b.Loop() {
		if _, err := s.Get(b.Context(), sdk.GetRequest{Name: "s500"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	s := benchStore(b)
	for b.Loop() {
		if _, err := s.Put(b.Context(), sdk.PutRequest{Name: "s500", Value: sdk.SensitiveString("v")}); err != nil {
			b.Fatal(err)
		}
	}
}
