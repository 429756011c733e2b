package sdktest

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

func limitChecks() []Check {
	return []Check{
		promise("limit/names", "a name that is empty, too long, walks up or holds control characters is InvalidArgument", sdk.CanGet, limitNames),
		promise("limit/put-names", "Put refuses such names as well", sdk.CanPut, limitPutNames),
		promise("limit/longest-name", "a name of the largest length is looked up, or refused as InvalidArgument", sdk.CanGet, limitLongestName),
		promise("limit/versions", "a version that is too long or holds control characters is InvalidArgument", sdk.CanGet|sdk.CanGetVersion, limitVersions),
		promise("limit/empty", "an empty value is InvalidArgument", sdk.CanPut, limitEmpty),
		promise("limit/oversize", "a value over the contract's size is InvalidArgument, and the error names the limit", sdk.CanPut, limitOversize),
		promise("limit/plaintext", "a plaintext over the contract's size is InvalidArgument", sdk.CanEncrypt, limitPlaintext),
	}
}

// badNames are names that no backend may ever see.
func badNames() []string {
	return []string{"", "/", "..", "../etc/passwd", "a/../b", "a/./b", "a//b", "/a", "a/", "a\x00b", "a\nb", "a\x7f", "a\xff",
		strings.Repeat("n", sdk.MaxName+1)}
}

func limitNames(ctx context.Context, t *Target) error {
	for _, n := range badNames() {
		_, err := t.Store.Get(ctx, sdk.GetRequest{Name: n})
		if err := refused(fmt.Sprintf("get %.20q", n), err, sdk.InvalidArgument); err != nil {
			return err
		}
	}
	return nil
}

func limitPutNames(ctx context.Context, t *Target) error {
	for _, n := range badNames() {
		_, err := t.Store.Put(ctx, sdk.PutRequest{Name: n, Value: t.value()})
		if err := refused(fmt.Sprintf("put %.20q", n), err, sdk.InvalidArgument); err != nil {
			return err
		}
	}
	return nil
}

func limitLongestName(ctx context.Context, t *Target) error {
	name := t.Scratch + random() + strings.Repeat("n", sdk.MaxName)
	_, err := t.Store.Get(ctx, sdk.GetRequest{Name: name[:sdk.MaxName]})
	return refused("get of a name of the largest length", err, sdk.NotFound, sdk.InvalidArgument)
}

func limitVersions(ctx context.Context, t *Target) error {
	for _, v := range []string{"a\x00", "a\n", "a\xff", strings.Repeat("1", sdk.MaxName+1)} {
		_, err := t.Store.Get(ctx, sdk.GetRequest{Name: t.Scratch + "kw" + random(), Version: v})
		if err := refused(fmt.Sprintf("get of version %.20q", v), err, sdk.InvalidArgument); err != nil {
			return err
		}
	}
	return nil
}

func limitEmpty(ctx context.Context, t *Target) error {
	_, err := t.Store.Put(ctx, sdk.PutRequest{Name: t.name()})
	return refused("put of an empty value", err, sdk.InvalidArgument)
}

func tooLarge() sdk.Sensitive {
	return sdk.NewSensitive(bytes.Repeat([]byte("k"), sdk.MaxValue+1))
}

func limitOversize(ctx context.Context, t *Target) error {
	_, err := t.Store.Put(ctx, sdk.PutRequest{Name: t.name(), Value: tooLarge()})
	if err := refused("put of a value over the limit", err, sdk.InvalidArgument); err != nil {
		return err
	}
	if limit := fmt.Sprint(sdk.MaxValue); !strings.Contains(err.Error(), limit) {
		return fmt.Errorf("put of a value over the limit: the error does not name the limit of %s bytes (%w)", limit, err)
	}
	return nil
}

func limitPlaintext(ctx context.Context, t *Target) error {
	_, err := t.Store.Encrypt(ctx, sdk.EncryptRequest{Plaintext: tooLarge()})
	return refused("encrypt of a plaintext over the limit", err, sdk.InvalidArgument)
}
