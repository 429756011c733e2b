package wire_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
)

const all = ^sdk.Capabilities(0)

func TestRefinedFieldsNeedTheirCapability(t *testing.T) {
	value := sdk.SensitiveString("v")
	put := func(r sdk.PutRequest) func(sdk.Capabilities) error {
		r.Name, r.Value = "a", value
		return func(can sdk.Capabilities) error { return wire.AllowPut(can, r) }
	}
	cases := []struct {
		field string
		need  sdk.Capabilities
		allow func(can sdk.Capabilities) error
	}{
		{"version", sdk.CanGetVersion, func(can sdk.Capabilities) error { return wire.AllowGet(can, sdk.GetRequest{Name: "a", Version: "1"}) }},
		{"if_absent", sdk.CanPutIfAbsent, put(sdk.PutRequest{If: sdk.IfAbsent()})},
		{"if_version", sdk.CanPutIfVersion, put(sdk.PutRequest{If: sdk.IfVersion("1")})},
		{"labels", sdk.CanPutLabels, put(sdk.PutRequest{Labels: map[string]string{"k": "v"}})},
		{"description", sdk.CanPutLabels, put(sdk.PutRequest{Description: "d"})},
		{"purge", sdk.CanPurge, func(can sdk.Capabilities) error {
			return wire.AllowDelete(can, sdk.DeleteRequest{Name: "a", Purge: true})
		}},
		{"recovery_window", sdk.CanDeleteWindow, func(can sdk.Capabilities) error {
			return wire.AllowDelete(can, sdk.DeleteRequest{Name: "a", RecoveryWindow: time.Hour})
		}},
		{"aad", sdk.CanAAD, func(can sdk.Capabilities) error {
			return wire.AllowEncrypt(can, sdk.EncryptRequest{Plaintext: value, AAD: []byte("x")})
		}},
		{"aad", sdk.CanAAD, func(can sdk.Capabilities) error {
			return wire.AllowDecrypt(can, sdk.DecryptRequest{Ciphertext: []byte("c"), AAD: []byte("x")})
		}},
	}
	for _, c := range cases {
		t.Run(c.need.String()+" "+c.field, func(t *testing.T) {
			if err := c.allow(all); err != nil {
				t.Errorf("with the capability: %v", err)
			}
			err := c.allow(all &^ c.need)
			if sdk.CodeOf(err) != sdk.Unimplemented || !strings.Contains(err.Error(), c.field) {
				t.Errorf("without: %v, want unimplemented and the field's name %q", err, c.field)
			}
		})
	}
}

func TestMalformedRequestsNameTheirLimit(t *testing.T) {
	one := sdk.SensitiveString("v")
	big := sdk.NewSensitive(make([]byte, sdk.MaxValue+1))
	many := make([]string, sdk.MaxBatch+1)
	for i := range many {
		many[i] = fmt.Sprint("n", i)
	}
	labels := map[string]string{}
	for i := range wire.MaxLabels + 1 {
		labels[fmt.Sprint(i)] = ""
	}
	put := func(r sdk.PutRequest) error {
		if r.Name == "" {
			r.Name = "a"
		}
		if r.Value.IsZero() {
			r.Value = one
		}
		return wire.AllowPut(all, r)
	}
	cases := []struct {
		name string
		err  error
		says string
	}{
		{"an empty name", wire.AllowGet(all, sdk.GetRequest{}), "name is empty"},
		{"a name that climbs", wire.AllowStat(all, sdk.StatRequest{Name: "a/../b"}), `".."`},
		{"a version with a control character", wire.AllowGet(all, sdk.GetRequest{Name: "a", Version: "1\n"}), "control character"},
		{"a version over the limit", wire.AllowGet(all, sdk.GetRequest{Name: "a", Version: strings.Repeat("v", sdk.MaxName+1)}), "1024"},
		{"no names in a batch", wire.AllowBatch(all, sdk.BatchRequest{}), "1 to 100"},
		{"too many names in a batch", wire.AllowBatch(all, sdk.BatchRequest{Names: many}), "1 to 100"},
		{"a name twice in a batch", wire.AllowBatch(all, sdk.BatchRequest{Names: []string{"a", "b", "a"}}), "twice"},
		{"a bad name in a batch", wire.AllowBatch(all, sdk.BatchRequest{Names: []string{"a", "/"}}), "segment"},
		{"a page of nothing", wire.AllowList(all, sdk.ListRequest{}), "1 to 500"},
		{"a page too large", wire.AllowVersions(all, sdk.VersionsRequest{Name: "a", PageSize: 501}), "1 to 500"},
		{"a prefix that is not text", wire.AllowList(all, sdk.ListRequest{Prefix: "\xff", PageSize: 1}), "UTF-8"},
		{"a token too large", wire.AllowList(all, sdk.ListRequest{PageSize: 1, PageToken: strings.Repeat("t", wire.MaxToken+1)}), "16384"},
		{"an empty value", wire.AllowPut(all, sdk.PutRequest{Name: "a"}), "empty"},
		{"a value over the limit", put(sdk.PutRequest{Value: big}), "1048576"},
		{"IfVersion without a version", put(sdk.PutRequest{If: sdk.IfVersion("")}), "names no version"},
		{"a short idempotency key", put(sdk.PutRequest{IdempotencyKey: "short"}), "32 to 64"},
		{"too many labels", put(sdk.PutRequest{Labels: labels}), "128"},
		{"a label without a key", put(sdk.PutRequest{Labels: map[string]string{"": "v"}}), "label"},
		{"a label value over the limit", put(sdk.PutRequest{Labels: map[string]string{"k": strings.Repeat("v", wire.MaxLabelValue+1)}}), "4096"},
		{"a description over the limit", put(sdk.PutRequest{Description: strings.Repeat("d", wire.MaxDescription+1)}), "16384"},
		{"a negative window", wire.AllowDelete(all, sdk.DeleteRequest{Name: "a", RecoveryWindow: -1}), "negative"},
		{"purge with a window", wire.AllowDelete(all, sdk.DeleteRequest{Name: "a", Purge: true, RecoveryWindow: 1}), "exclude"},
		{"restore without a name", wire.AllowRestore(all, sdk.RestoreRequest{}), "name is empty"},
		{"an empty plaintext", wire.AllowEncrypt(all, sdk.EncryptRequest{}), "plaintext is empty"},
		{"a ciphertext over the limit", wire.AllowDecrypt(all, sdk.DecryptRequest{Ciphertext: make([]byte, sdk.MaxValue+1)}), "1048576"},
		{"additional data over the limit", wire.AllowEncrypt(all, sdk.EncryptRequest{Plaintext: one, AAD: make([]byte, wire.MaxAAD+1)}), "65536"},
		{"an empty handle", wire.AllowOpen("", nil), "store handle"},
		{"a handle over two lines", wire.AllowOpen("a\nb", nil), "store handle"},
		{"settings over the limit", wire.AllowOpen("a~1", bytes.Repeat([]byte("s"), wire.MaxSettings+1)), "limit"},
	}
	for _, c := range cases {
		if sdk.CodeOf(c.err) != sdk.InvalidArgument || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%s: %v, want invalid argument and %q", c.name, c.err, c.says)
		}
	}
}

func TestRequestsAtTheLimitPass(t *testing.T) {
	full := sdk.NewSensitive(make([]byte, sdk.MaxValue))
	for name, err := range map[string]error{
		"put":     wire.AllowPut(all, sdk.PutRequest{Name: strings.Repeat("n", sdk.MaxName), Value: full, IdempotencyKey: strings.Repeat("k", 64)}),
		"encrypt": wire.AllowEncrypt(all, sdk.EncryptRequest{Plaintext: full, AAD: make([]byte, wire.MaxAAD)}),
		"list":    wire.AllowList(all, sdk.ListRequest{PageSize: sdk.MaxPage}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
