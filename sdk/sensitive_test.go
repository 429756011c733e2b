package sdk_test

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/sdk"
)

const canary = "canary-7f3a"

// Exported for the encoders that only see exported fields; hidden is what printing code reaches all the same.
type holder struct {
	Name   string
	Value  sdk.Sensitive
	hidden sdk.Sensitive
	deep   *holder
}

// carriers are the places from which a secret was seen to leak in other designs.
func carriers() map[string]any {
	s := sdk.SensitiveString(canary)
	h := holder{Name: "n", Value: s, hidden: s, deep: &holder{hidden: s}}
	return map[string]any{
		"a value":            s,
		"a pointer":          &s,
		"a struct":           h,
		"a pointer to one":   &h,
		"an unexported only": struct{ v sdk.Sensitive }{s},
		"a slice":            []sdk.Sensitive{s},
		"an array":           [1]sdk.Sensitive{s},
		"a map's value":      map[string]sdk.Sensitive{"k": s},
		"any in a map":       map[string]any{"k": s},
		"a secret":           sdk.Secret{Value: s, Version: "1"},
		"a put":              sdk.PutRequest{Name: "n", Value: s},
		"a result":           []sdk.GetResult{{Secret: sdk.Secret{Value: s}}},
		"an error":           fmt.Errorf("get: %v", s),
		"a contract's error": sdk.Errorf(sdk.Internal, "get %v: %w", s, errors.New("x")),
		"a channel's holder": struct {
			C chan sdk.Sensitive
			V sdk.Sensitive
		}{make(chan sdk.Sensitive), s},
	}
}

// leaks finds the canary as text, in hexadecimal, as a list of bytes and as base64.
func leaks(out string) bool {
	list := strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]")
	base, _ := json.Marshal([]byte(canary))
	lower := strings.ToLower(out)
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("% x", canary), list, strings.ReplaceAll(list, " ", ", "), strings.Trim(string(base), `"=`)} {
		if strings.Contains(lower, strings.ToLower(form)) {
			return true
		}
	}
	return false
}

func TestTheBatteryWouldFindALeak(t *testing.T) {
	for _, verb := range []string{"%s", "%x", "%X", "% x", "%v", "%d"} {
		if out := fmt.Sprintf(verb, []byte(canary)); !leaks(out) {
			t.Errorf("a byte slice under %s prints %q, and leaks does not see it", verb, out)
		}
	}
}

func TestNoVerbPrintsASensitive(t *testing.T) {
	verbs := []string{"%v", "%+v", "%#v", "%s", "%+s", "%q", "%#q", "%+q", "%x", "%X", "% x", "%#x", "%d", "%o", "%b", "%c", "%U", "%e",
		"%g", "%t", "%p", "%T", "%w", "%Z", "%100v", "%-100s", "%.3s", "%[1]*[1]v"}
	for name, c := range carriers() {
		for _, verb := range verbs {
			if out := fmt.Sprintf(verb, c); leaks(out) {
				t.Errorf("%s under %s prints its value", name, verb)
			}
		}
		for print, out := range map[string]string{"Sprint": fmt.Sprint(c), "Sprintln": fmt.Sprintln("x", c), "Errorf": fmt.Errorf("%v", c).Error()} {
			if leaks(out) {
				t.Errorf("%s under %s prints its value", name, print)
			}
		}
	}
}

func TestNoLogPrintsASensitive(t *testing.T) {
	var b bytes.Buffer
	opts := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	for handlerName, h := range map[string]slog.Handler{"text": slog.NewTextHandler(&b, opts), "json": slog.NewJSONHandler(&b, opts)} {
		for name, c := range carriers() {
			b.Reset()
			log := slog.New(h)
			log.Info("m", "v", c)
			log.With("v", c).Info("m")
			log.WithGroup("g").Info("m", slog.Group("h", slog.Any("v", c)))
			if leaks(b.String()) {
				t.Errorf("%s in the %s log shows its value", name, handlerName)
			}
		}
	}
}

func TestNoEncoderWritesASensitive(t *testing.T) {
	encoders := map[string]func(v any) ([]byte, error){
		"json": json.Marshal,
		"xml":  xml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.Bytes(), err
		},
		"yaml": func(v any) (out []byte, err error) {
			defer func() { // its encoder panics for what it cannot encode
				if x := recover(); x != nil {
					err = fmt.Errorf("panic: %v", x)
				}
			}()
			return yaml.Marshal(v)
		},
		"text": func(v any) ([]byte, error) {
			if m, ok := v.(encoding.TextMarshaler); ok {
				return m.MarshalText()
			}
			return nil, nil
		},
	}
	for format, encode := range encoders {
		for name, c := range carriers() {
			out, err := encode(c)
			if leaks(string(out)) || err != nil && leaks(err.Error()) {
				t.Errorf("%s as %s shows its value", name, format)
			}
		}
		for _, v := range []any{sdk.SensitiveString(canary), holder{Value: sdk.SensitiveString(canary)}} {
			if out, err := encode(v); err == nil && out != nil {
				t.Errorf("a %T as %s is %s: want an error, since a redacted text that is sent as a password does harm", v, format, out)
			}
		}
	}
}

func TestSensitivesAreReadAndCompared(t *testing.T) {
	var zero sdk.Sensitive
	s := sdk.SensitiveString(canary)
	switch {
	case !zero.IsZero() || zero.Len() != 0 || zero.Reveal() != nil:
		t.Error("the zero value is not empty")
	case string(s.Reveal()) != canary || s.Len() != len(canary) || s.IsZero():
		t.Error("a value is not what it was made of")
	case !s.Equal(sdk.NewSensitive([]byte(canary))) || s.Equal(zero) || !zero.Equal(sdk.SensitiveString("")):
		t.Error("Equal does not compare the bytes")
	}
	raw := []byte(canary)
	var u sdk.Sensitive
	if err := u.UnmarshalText(raw); err != nil {
		t.Fatal(err)
	}
	raw[0] = 'X'
	if !u.Equal(s) {
		t.Error("UnmarshalText keeps its caller's bytes instead of a copy")
	}
}
