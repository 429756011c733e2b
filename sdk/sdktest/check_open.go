package sdktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

func openChecks() []Check {
	return []Check{
		promise("open/unknown-setting", "a setting that the schema does not have is InvalidArgument, named by its path and without its value", 0, openUnknownSetting).with(givenPlugin),
		promise("open/not-an-object", "settings that are no JSON object are InvalidArgument", 0, openNotAnObject).with(givenPlugin),
		promise("open/same-handle", "the same handle with the same settings is no error, with others AlreadyExists", 0, openSameHandle).with(givenPlugin),
		promise("open/stable", "what a store can do and reach depends on its settings only", 0, openStable).with(givenOpen),
		promise("open/twice", "two openings of a store are independent: closing one leaves the other", 0, openTwice).with(givenOpen),
		promise("open/sends-nothing", "Open sends nothing to the backend", 0, openSendsNothing).with(givenAddress),
		promise("check/answers", "Check finds a store that works to work", 0, checkAnswers),
	}
}

// withSetting adds a member to the target's settings.
func (t *Target) withSetting(key, value string) ([]byte, error) {
	var members map[string]any
	if err := json.Unmarshal(t.Settings, &members); err != nil {
		return nil, errors.New("the target's settings are not a JSON object")
	}
	members[key] = value
	return json.Marshal(members)
}

func openUnknownSetting(ctx context.Context, t *Target) error {
	const key = "kwtest-no-such-setting"
	canary := secretText()
	settings, err := t.withSetting(key, canary)
	if err != nil {
		return err
	}
	err = t.refusesToOpen(ctx, settings)
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.InvalidArgument {
		return refused("open with an unknown setting", err, sdk.InvalidArgument)
	}
	if strings.Contains(e.Error(), canary) {
		return errors.New("open with an unknown setting: the error holds the setting's value")
	}
	for _, p := range e.Problems {
		if p.Path == "/"+key {
			return nil
		}
	}
	return fmt.Errorf("open with an unknown setting: no problem at /%s (%w)", key, err)
}

func openNotAnObject(ctx context.Context, t *Target) error {
	for _, raw := range []string{`[]`, `"text"`, `{`, `{}{}`} {
		err := t.refusesToOpen(ctx, []byte(raw))
		if err := refused("open with settings "+raw, err, sdk.InvalidArgument); err != nil {
			return err
		}
	}
	return nil
}

// refusesToOpen answers the error of an Open that should fail, and closes what it opened otherwise.
func (t *Target) refusesToOpen(ctx context.Context, settings []byte) error {
	st, err := t.Plugin.Open(ctx, handle(), settings)
	if err == nil {
		_ = st.Close(ctx)
	}
	return err
}

func openSameHandle(ctx context.Context, t *Target) error {
	h := handle()
	st, err := t.Plugin.Open(ctx, h, t.Settings)
	if err != nil {
		return in("open", err)
	}
	defer st.Close(ctx)
	if _, err := t.Plugin.Open(ctx, h, t.Settings); err != nil {
		return in("open with the same handle and settings", err)
	}
	// One blank more makes other settings: they are compared as bytes.
	_, err = t.Plugin.Open(ctx, h, append([]byte(" "), t.Settings...))
	return refused("open with the same handle and other settings", err, sdk.AlreadyExists)
}

func openStable(ctx context.Context, t *Target) error {
	st, err := t.opened(ctx)
	if err != nil {
		return err
	}
	defer st.Close(ctx)
	if st.Can() != t.Store.Can() {
		return fmt.Errorf("open: one opening claims %v, another %v", t.Store.Can(), st.Can())
	}
	if !reflect.DeepEqual(st.Reach(), t.Store.Reach()) {
		return fmt.Errorf("open: one opening reaches %v, another %v", t.Store.Reach(), st.Reach())
	}
	return nil
}

func openTwice(ctx context.Context, t *Target) error {
	other, err := t.opened(ctx)
	if err != nil {
		return err
	}
	if err := in("close", other.Close(ctx)); err != nil {
		return err
	}
	_, err = t.Store.Check(ctx)
	if err := in("check after another opening was closed", err); err != nil {
		return err
	}
	_, err = other.Check(ctx)
	if !dial.IsUnknownStore(err) {
		return fmt.Errorf("check of the closed opening: code %s, want an unknown store (%w)", sdk.CodeOf(err).String(), err)
	}
	return nil
}

func openSendsNothing(ctx context.Context, t *Target) error {
	hole, err := newBlackHole()
	if err != nil {
		return err
	}
	defer hole.close()
	ctx, cancel := t.soon(ctx)
	defer cancel()
	st, err := t.Plugin.Open(ctx, handle(), t.SettingsAt(hole.address()))
	if err != nil {
		return in("open while the backend does not answer", err)
	}
	defer st.Close(ctx)
	switch n, err := hole.connections(ctx); {
	case err != nil:
		return err
	case n > 0:
		return fmt.Errorf("open: dialled the backend %d times, want none", n)
	}
	return nil
}

func checkAnswers(ctx context.Context, t *Target) error {
	_, err := t.Store.Check(ctx)
	return in("check", err)
}
