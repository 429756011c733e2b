package refs

import (
	"errors"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestSetChangesOneMemberAndNothingElse(t *testing.T) {
	for _, c := range []struct{ value, pointer, text, want string }{
		{`{}`, "/a", "v", `{"a":"v"}`},
		{` { } `, "/a", "v", ` {"a":"v" } `},
		{`{"a":"old"}`, "/a", "v", `{"a":"v"}`},
		{"{\n  \"b\": 1e400,\n  \"a\" : {\"x\": null},\n  \"c\": [1, 2]\n}", "/a", "v", "{\n  \"b\": 1e400,\n  \"a\" : \"v\",\n  \"c\": [1, 2]\n}"},
		{`{"a": {"x": "1", "y": "2"}, "z": 9007199254740993}`, "/a/y", "<&>", `{"a": {"x": "1", "y": "<&>"}, "z": 9007199254740993}`},
		{`{"b":1}`, "/a/x/y", "v", `{"b":1,"a":{"x":{"y":"v"}}}`},
		{`{"l":[{"k":"1"},{"k":"2"}]}`, "/l/1/k", "v", `{"l":[{"k":"1"},{"k":"v"}]}`},
		{`["x", "y"]`, "/0", "v", `["v", "y"]`},
		{`{"a/b":"1","m~n":"2"}`, "/a~1b", "v", `{"a/b":"v","m~n":"2"}`},
		{`{"m~n":"2"}`, "/m~0n", "v", `{"m~n":"v"}`},
		{`{}`, "/", "v", `{"":"v"}`},
		{`{"\u0061":"1"}`, "/a", "v", `{"\u0061":"v"}`},
	} {
		got, err := Set([]byte(c.value), c.pointer, c.text)
		if err != nil || string(got) != c.want {
			t.Errorf("Set(%s, %q) = %s, %v, want %s", c.value, c.pointer, got, err, c.want)
			continue
		}
		if back, err := Select(got, c.pointer); err != nil || string(back) != c.text {
			t.Errorf("Select(%s, %q) = %q, %v, want %q", got, c.pointer, back, err, c.text)
		}
	}
}

func TestSetRefusesWhatItCannotChangeWithoutLoss(t *testing.T) {
	for _, c := range []struct {
		value, pointer, text string
		want                 sdk.Code
	}{
		{`{}`, "a", "v", sdk.InvalidArgument},
		{`{}`, "", "v", sdk.InvalidArgument},
		{`{}`, "/a~2", "v", sdk.InvalidArgument},
		{`{}`, "/a", "\xff", sdk.InvalidArgument},
		{`{"a":"1","a":"2"}`, "/a", "v", sdk.InvalidArgument},
		{`no json`, "/a", "v", sdk.FailedPrecondition},
		{`"text"`, "/a", "v", sdk.FailedPrecondition},
		{`{"a":"text"}`, "/a/b", "v", sdk.FailedPrecondition},
		{`[]`, "/0", "v", sdk.NotFound},
		{`{"l":["x"]}`, "/l/-", "v", sdk.NotFound},
	} {
		got, err := Set([]byte(c.value), c.pointer, c.text)
		if !errors.Is(err, c.want) {
			t.Errorf("Set(%s, %q) = %s, %v, want %v", c.value, c.pointer, got, err, c.want)
		}
	}
}
