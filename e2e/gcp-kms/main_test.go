//go:build e2e && unix

// Package gcpkms_test holds the compiled provider "gcp-kms", and the fake that its own tests use, to what was recorded of the
// real service.
package gcpkms_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyway-dev/keyway/e2e/recordings"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const pkg = "github.com/keyway-dev/keyway/plugins/gcp-kms"

type set = map[string]any

func startPlugin(t *testing.T) *dial.Plugin {
	t.Helper()
	return sdktest.Start(t, sdktest.Build(t, pkg))
}

// settingsOf are those of a store without a login, with more or others.
func settingsOf(t *testing.T, more set) []byte {
	t.Helper()
	all := set{"auth": set{"none": set{}}}
	maps.Copy(all, more)
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func openStore(t *testing.T, p *dial.Plugin, more set) *dial.Store {
	t.Helper()
	st, err := p.Open(t.Context(), fmt.Sprintf("test~%d", handles(t)), settingsOf(t, more))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = st.Close(context.Background()) })
	return st
}

// handles gives a number for a test's store, since subtests share a plugin.
func handles(t *testing.T) uint32 { return crc32.ChecksumIEEE([]byte(t.Name())) }

// keyIn is the key of the first exchange.
func keyIn(exchanges []recordings.Exchange) string {
	q, _ := exchanges[0].Request.(interface{ GetName() string })
	return q.GetName()
}

// withVersions makes a key unless it exists.
func withVersions(srv *gcpkms.Server, name string, versions int) {
	if srv.HasKey(name) {
		return
	}
	srv.CreateKey(name, kmspb.ProtectionLevel_SOFTWARE)
	for range versions - 1 {
		srv.AddVersion(name)
	}
}

// sumOf reports whether data has its checksum. Nothing needs none.
func sumOf(data []byte, sum *wrapperspb.Int64Value) bool {
	return len(data) == 0 && sum == nil || sum != nil && sum.GetValue() == int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}

func wantSame(t *testing.T, what string, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("%s: got {%v}, want {%v}", what, got, want)
	}
}

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}
