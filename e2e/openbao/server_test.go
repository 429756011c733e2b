//go:build e2e && unix

package openbao_test

import (
	"testing"

	"github.com/keyway-dev/keyway/e2e/openbao"
)

func TestServerKeepsAndForgetsAndSeals(t *testing.T) {
	srv := openbao.Start(t)
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/a", map[string]any{"k": "v"})
	if got := srv.Read(t, mount+"/a")["k"]; got != "v" {
		t.Errorf("read back %v, want v", got)
	}
	srv.Seal(t)
	if _, err := srv.Client().Logical().ReadWithContext(t.Context(), mount+"/a"); err == nil {
		t.Error("a sealed server answered a read")
	}
	srv.Unseal(t)
	if got := srv.Read(t, mount+"/a")["k"]; got != "v" {
		t.Errorf("after unseal read %v, want v", got)
	}
	srv.Stop()
	if _, err := srv.Client().Sys().SealStatusWithContext(t.Context()); err == nil {
		t.Error("a stopped server answered")
	}
}

func TestServerSpeaksTLSAndAsksForACertificate(t *testing.T) {
	srv := openbao.Start(t, openbao.ClientCert())
	if srv.CA == "" || srv.Read(t, "sys/mounts")["sys/"] == nil {
		t.Error("the client with the certificate was not served")
	}
}
