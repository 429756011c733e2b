package sdktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

var errNoSecret = errors.New("the target knows no secret that exists")

// What a target may lack, each as a sentence or "".

func givenSecret(t *Target) string {
	if t.Store.Can().Has(sdk.CanPut) || len(t.Known) > 0 {
		return ""
	}
	return errNoSecret.Error()
}

func givenDenied(t *Target) string {
	return lackingIf(t.Denied == "", "the target names no denied secret")
}

func givenPlugin(t *Target) string {
	return lackingIf(t.Plugin == nil || t.Settings == nil, "the target gives no Plugin with Settings")
}

func givenOpen(t *Target) string {
	return lackingIf(t.Open == nil && givenPlugin(t) != "", "the target cannot open its store once more")
}

func givenAddress(t *Target) string {
	return lackingIf(t.Plugin == nil || t.SettingsAt == nil, "the target gives no Plugin with SettingsAt")
}

func givenHanging(t *Target) string {
	return lackingIf(t.Hanging == nil && givenAddress(t) != "", "the target gives no backend that hangs")
}

func givenSibling(t *Target) string {
	return lackingIf(t.Sibling == nil, "the target gives no Sibling")
}

func lackingIf(lacking bool, what string) string {
	if lacking {
		return what
	}
	return ""
}

// in says which call failed where a check expected none to.
func in(call string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: code %s, want no error (%w)", call, sdk.CodeOf(err).String(), err)
}

// refused is nil where err carries one of the codes.
func refused(call string, err error, codes ...sdk.Code) error {
	got := sdk.CodeOf(err)
	if slices.Contains(codes, got) {
		return nil
	}
	words := make([]string, len(codes))
	for i, c := range codes {
		words[i] = c.String()
	}
	if err == nil {
		return fmt.Errorf("%s: no error, want %s", call, strings.Join(words, " or "))
	}
	return fmt.Errorf("%s: code %s, want %s (%w)", call, got.String(), strings.Join(words, " or "), err)
}

// holds is nil where the current value of a name is want.
func (t *Target) holds(ctx context.Context, name string, want sdk.Sensitive) error {
	return t.holdsIn(ctx, t.Store, name, want)
}

func (t *Target) holdsIn(ctx context.Context, st *dial.Store, name string, want sdk.Sensitive) error {
	got, err := st.Get(ctx, sdk.GetRequest{Name: name})
	if err != nil {
		return in(fmt.Sprintf("get %q", name), err)
	}
	return t.same(fmt.Sprintf("get %q", name), got.Value, want)
}

// same compares two values without printing either.
func (t *Target) same(call string, got, want sdk.Sensitive) error {
	if got.Equal(want) || t.Document && sameJSON(got.Reveal(), want.Reveal()) {
		return nil
	}
	return fmt.Errorf("%s: another value came back: %d bytes, want %d", call, got.Len(), want.Len())
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return decodeJSON(a, &x) == nil && decodeJSON(b, &y) == nil && reflect.DeepEqual(x, y)
}

func decodeJSON(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(into)
}
