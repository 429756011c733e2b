package sdktest

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	"github.com/keyway-dev/keyway/sdk"
)

const putGet = sdk.CanPut | sdk.CanGet

func putChecks() []Check {
	return []Check{
		promise("put/round-trip", "Get answers what Put wrote", putGet, putRoundTrip),
		promise("put/exact", "a value comes back byte for byte, blanks and line ends included, or Put refuses it as InvalidArgument", putGet, putExact),
		promise("put/binary", "a value that is no text comes back byte for byte, or Put refuses it as InvalidArgument", putGet, putBinary),
		promise("put/largest", "a value of the contract's largest size comes back whole, or Put refuses it as InvalidArgument", putGet, putLargest),
		promise("put/update", "Put over a secret that exists makes a new version current", putGet, putUpdate),
		promise("put/repeat", "a Put that is repeated with its idempotency key is no error and leaves the value", putGet, putRepeat),
		promise("put/labels", "a new secret gets the description and labels of its Put", sdk.CanPut|sdk.CanPutLabels|sdk.CanStat, putLabels),
		promise("put/labels-stay", "a secret that exists keeps its description and labels", sdk.CanPut|sdk.CanPutLabels|sdk.CanStat, putLabelsStay),
		promise("put/denied", "Put on a name that the backend refuses is PermissionDenied", sdk.CanPut, putDenied).with(givenDenied),
	}
}

func putRoundTrip(ctx context.Context, t *Target) error {
	name, value, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	return t.holds(ctx, name, value)
}

func putExact(ctx context.Context, t *Target) error {
	return t.putEither(ctx, "\n  "+secretText()+" \"<&>\\é\U0001F511\t\r\n\n")
}

func putBinary(ctx context.Context, t *Target) error {
	return t.putEither(ctx, "\x00\xff\xfe"+secretText()+"\x80\x00")
}

func putLargest(ctx context.Context, t *Target) error {
	return t.putEither(ctx, string(bytes.Repeat([]byte("k"), sdk.MaxValue)))
}

// putEither writes raw bytes, whatever kind of values the store keeps. What it takes it must give back.
func (t *Target) putEither(ctx context.Context, raw string) error {
	name, value := t.name(), sdk.SensitiveString(raw)
	if _, err := t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: value}); err != nil {
		return refused("put", err, sdk.InvalidArgument)
	}
	return t.holds(ctx, name, value)
}

func putUpdate(ctx context.Context, t *Target) error {
	name, _, first, err := t.create(ctx)
	if err != nil {
		return err
	}
	value, second, err := t.write(ctx, name)
	if err != nil {
		return err
	}
	if first != "" && first == second {
		return fmt.Errorf("put twice: both answered version %q", first)
	}
	return t.holds(ctx, name, value)
}

func putRepeat(ctx context.Context, t *Target) error {
	r := sdk.PutRequest{Name: t.name(), Value: t.value(), IdempotencyKey: random() + random() + random()}
	for range 2 {
		if _, err := t.Store.Put(ctx, r); err != nil {
			return in("put with an idempotency key", err)
		}
	}
	return t.holds(ctx, r.Name, r.Value)
}

func (t *Target) labelled() sdk.PutRequest {
	return sdk.PutRequest{Name: t.name(), Value: t.value(), Description: "made by a test", Labels: map[string]string{"kwtest": random(), "team": "red"}}
}

func putLabels(ctx context.Context, t *Target) error {
	r := t.labelled()
	if _, err := t.Store.Put(ctx, r); err != nil {
		return in("put with labels", err)
	}
	return t.wears(ctx, r)
}

func putLabelsStay(ctx context.Context, t *Target) error {
	r := t.labelled()
	if _, err := t.Store.Put(ctx, r); err != nil {
		return in("put with labels", err)
	}
	again := sdk.PutRequest{Name: r.Name, Value: t.value(), Description: "another", Labels: map[string]string{"team": "blue"}}
	if _, err := t.Store.Put(ctx, again); err != nil {
		return in("put with other labels", err)
	}
	return t.wears(ctx, r)
}

// wears is nil where a secret has the description and labels of r. The backend may add labels of its own.
func (t *Target) wears(ctx context.Context, r sdk.PutRequest) error {
	m, err := t.Store.Stat(ctx, sdk.StatRequest{Name: r.Name})
	if err != nil {
		return in("stat", err)
	}
	ours := maps.Clone(m.Labels)
	maps.DeleteFunc(ours, func(k, _ string) bool { _, asked := r.Labels[k]; return !asked })
	if !maps.Equal(ours, r.Labels) {
		return fmt.Errorf("stat: labels %v, want %v", m.Labels, r.Labels)
	}
	if m.Description != r.Description {
		return fmt.Errorf("stat: description %q, want %q", m.Description, r.Description)
	}
	return nil
}

func putDenied(ctx context.Context, t *Target) error {
	_, err := t.Store.Put(ctx, sdk.PutRequest{Name: t.Denied, Value: t.value()})
	return refused("put on a denied name", err, sdk.PermissionDenied)
}
