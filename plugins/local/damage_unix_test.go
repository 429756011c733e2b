//go:build unix

package main

import (
	"syscall"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestAPipeIsNoStoreAndHangsNobody(t *testing.T) {
	path := storePath(t)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, path, nil)
	_, get := s.Get(t.Context(), sdk.GetRequest{Name: "a"})
	_, put := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("1")})
	wantCode(t, get, sdk.Unavailable, "Get")
	wantCode(t, put, sdk.Unavailable, "Put")
}
