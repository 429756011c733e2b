package sdktest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

func failureChecks() []Check {
	return []Check{
		promise("failure/classified", "every failure that a caller can cause has a code that tells what to do, not Unknown or Internal", 0, failureClassified),
		promise("failure/no-value", "no error holds a value", 0, failureNoValue),
		promise("failure/one-line", "an error is one line that says what was asked for, and at most 1 KiB", 0, failureOneLine),
		promise("call/canceled", "a call whose caller has left is Canceled", sdk.CanGet, callCanceled),
		promise("call/expired", "a call whose time is over is DeadlineExceeded", sdk.CanGet, callExpired),
	}
}

// failure is a call that a caller made wrongly, and what came of it.
type failure struct {
	call string
	err  error
}

// provoke makes every wrong call that the store's capabilities allow, each with values that hold canary.
func (t *Target) provoke(ctx context.Context, canary string) ([]failure, error) {
	var out []failure
	note := func(call string, err error) {
		if err != nil {
			out = append(out, failure{call, err})
		}
	}
	can, st := t.Store.Can(), t.Store
	if can.Has(sdk.CanGet) {
		_, err := st.Get(ctx, sdk.GetRequest{Name: t.name()})
		note("get of a missing name", err)
	}
	if can.Has(sdk.CanStat) {
		_, err := st.Stat(ctx, sdk.StatRequest{Name: t.name()})
		note("stat of a missing name", err)
	}
	if can.Has(sdk.CanVersions) {
		_, err := st.Versions(ctx, sdk.VersionsRequest{Name: t.name(), PageSize: 1})
		note("versions of a missing name", err)
	}
	if can.Has(sdk.CanDelete) {
		_, err := st.Delete(ctx, sdk.DeleteRequest{Name: t.name()})
		note("delete of a missing name", err)
	}
	if can.Has(sdk.CanRestore) {
		note("restore of a missing name", st.Restore(ctx, sdk.RestoreRequest{Name: t.name()}))
	}
	if err := t.provokePut(ctx, canary, note); err != nil {
		return nil, err
	}
	t.provokeCrypt(ctx, canary, note)
	if t.Denied != "" && can.Has(sdk.CanGet) {
		_, err := st.Get(ctx, sdk.GetRequest{Name: t.Denied})
		note("get of a denied name", err)
	}
	return out, nil
}

func (t *Target) provokePut(ctx context.Context, canary string, note func(string, error)) error {
	can := t.Store.Can()
	if !can.Has(sdk.CanPut) {
		return nil
	}
	name := t.name()
	if _, err := t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: t.valueOf(canary)}); err != nil {
		return in("put", err)
	}
	put := func(call string, r sdk.PutRequest) {
		_, err := t.Store.Put(ctx, r)
		note(call, err)
	}
	put("put of a bad name", sdk.PutRequest{Name: "../" + name, Value: t.valueOf(canary)})
	put("put of a value that is no text", sdk.PutRequest{Name: t.name(), Value: sdk.SensitiveString("\xff" + canary)})
	put("put of a value over the limit", sdk.PutRequest{Name: t.name(), Value: t.valueOf(strings.Repeat(canary, sdk.MaxValue/len(canary)+1))})
	if can.Has(sdk.CanPutIfAbsent) {
		put("put if absent on a secret that exists", sdk.PutRequest{Name: name, Value: t.valueOf(canary), If: sdk.IfAbsent()})
	}
	if can.Has(sdk.CanPutIfVersion) {
		put("put if another version is current", sdk.PutRequest{Name: name, Value: t.valueOf(canary), If: sdk.IfVersion("987654321")})
	}
	if t.Denied != "" {
		put("put of a denied name", sdk.PutRequest{Name: t.Denied, Value: t.valueOf(canary)})
	}
	return nil
}

func (t *Target) provokeCrypt(ctx context.Context, canary string, note func(string, error)) {
	can := t.Store.Can()
	if can.Has(sdk.CanEncrypt) {
		_, err := t.Store.Encrypt(ctx, sdk.EncryptRequest{Key: "kw" + random(), Plaintext: sdk.SensitiveString(canary)})
		note("encrypt with a key that does not exist", err)
	}
	if can.Has(sdk.CanDecrypt) {
		_, err := t.Store.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: []byte(canary)})
		note("decrypt of what is no ciphertext", err)
	}
}

func failureClassified(ctx context.Context, t *Target) error {
	failures, err := t.provoke(ctx, secretText())
	if err != nil {
		return err
	}
	for _, f := range failures {
		switch code := sdk.CodeOf(f.err); {
		case code == sdk.Unknown, code == sdk.Internal:
			return fmt.Errorf("%s: code %s, want one that says what to do (%w)", f.call, code.String(), f.err)
		case dial.IsTransport(f.err):
			return fmt.Errorf("%s: a bare status without the contract's Error (%w)", f.call, f.err)
		}
	}
	return nil
}

func failureNoValue(ctx context.Context, t *Target) error {
	canary := secretText()
	failures, err := t.provoke(ctx, canary)
	if err != nil {
		return err
	}
	for _, f := range failures {
		text := f.err.Error()
		var e *sdk.Error
		if errors.As(f.err, &e) {
			text += e.Reason + e.RequestID
		}
		if strings.Contains(text, canary) {
			return fmt.Errorf("%s: the error holds the value", f.call) // and so is not quoted
		}
	}
	return nil
}

func failureOneLine(ctx context.Context, t *Target) error {
	const most = 1 << 10 // bytes
	failures, err := t.provoke(ctx, secretText())
	if err != nil {
		return err
	}
	for _, f := range failures {
		var e *sdk.Error
		if !errors.As(f.err, &e) {
			return fmt.Errorf("%s: an error without the contract's Error (%w)", f.call, f.err)
		}
		if e.Message == "" || len(e.Message) > most || strings.ContainsAny(e.Message, "\r\n") {
			return fmt.Errorf("%s: a message of %d bytes, want one line of 1 to %d", f.call, len(e.Message), most)
		}
	}
	return nil
}

func callCanceled(ctx context.Context, t *Target) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	_, err := t.Store.Get(ctx, sdk.GetRequest{Name: t.name()})
	return refused("get whose caller has left", err, sdk.Canceled)
}

func callExpired(ctx context.Context, t *Target) error {
	ctx, cancel := context.WithTimeout(ctx, 0)
	defer cancel()
	_, err := t.Store.Get(ctx, sdk.GetRequest{Name: t.name()})
	return refused("get whose time is over", err, sdk.DeadlineExceeded)
}
