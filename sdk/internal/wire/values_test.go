package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
)

// source makes values of the contract's types out of a fuzzer's bytes. When full is set, no field is empty.
type source struct {
	data []byte
	full bool
}

func (s *source) byte() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

func (s *source) bytes() []byte {
	n := min(int(s.byte())%40, len(s.data))
	b := slices.Clone(s.data[:n])
	s.data = s.data[n:]
	if s.full && len(b) == 0 {
		b = []byte("x")
	}
	return b
}

func (s *source) int63() int64 {
	var n int64
	for range 8 {
		n = n<<8 | int64(s.byte())
	}
	return n & math.MaxInt64
}

func (s *source) text() string {
	t := wire.Line(string(s.bytes()), 200)
	if s.full && t == "" {
		t = "text"
	}
	return t
}

func (s *source) time() time.Time {
	if !s.full && s.byte()%2 == 0 {
		return time.Time{}
	}
	const years = 8000 * 365 * 24 * 3600
	return time.Unix(s.int63()%years, s.int63()%1e9).UTC()
}

func (s *source) duration() time.Duration {
	if d := time.Duration(s.int63()); d != 0 || !s.full {
		return d
	}
	return time.Second
}

func (s *source) err() *sdk.Error {
	codes := []sdk.Code{sdk.Canceled, sdk.NotFound, sdk.ResourceExhausted, sdk.Unauthenticated}
	e := &sdk.Error{}
	s.fill(reflect.ValueOf(e).Elem())
	e.Code = codes[int(s.byte())%len(codes)]
	if e.Message == "" {
		e.Message = e.Code.String() // an error always has a message on the wire
	}
	return e
}

func (s *source) precondition() sdk.Precondition {
	switch v := s.text(); {
	case s.byte()%3 == 0 && !s.full:
		return sdk.Precondition{}
	case s.byte()%2 == 0:
		return sdk.IfAbsent()
	default:
		return sdk.IfVersion(v)
	}
}

func (s *source) fill(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *sdk.Sensitive:
		*p = sdk.NewSensitive(s.bytes())
	case *time.Time:
		*p = s.time()
	case *time.Duration:
		*p = s.duration()
	case *sdk.State:
		*p = sdk.StateEnabled + sdk.State(s.byte()%4)
	case *sdk.Precondition:
		*p = s.precondition()
	case *json.RawMessage:
		*p = json.RawMessage(`{"type":"object"}`)
	case *error:
		if s.byte()%2 == 0 {
			*p = s.err()
		}
	default:
		s.fillKind(v)
	}
}

func (s *source) fillKind(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s.text())
	case reflect.Bool:
		v.SetBool(s.full || s.byte()%2 == 1)
	case reflect.Int:
		v.SetInt(1 + int64(s.byte()))
	case reflect.Slice:
		n := int(s.byte()) % 4
		if s.full {
			n = 2
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(s.bytes())
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			s.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{s.text(): s.text()}))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				s.fill(v.Field(i))
			}
		}
	}
}

// show writes a value with everything in it, for comparing what has functions inside. Empty and nil are alike, as on the
// wire.
func show(v any) string {
	var b strings.Builder
	showValue(&b, reflect.ValueOf(v))
	return b.String()
}

func showValue(b *strings.Builder, v reflect.Value) {
	if !v.IsValid() {
		b.WriteString("none")
		return
	}
	switch x := v.Interface().(type) {
	case sdk.Sensitive:
		fmt.Fprintf(b, "%x", x.Reveal())
		return
	case time.Time:
		b.WriteString(x.Format(time.RFC3339Nano))
		return
	case sdk.Precondition:
		fmt.Fprintf(b, "absent %v version %q none %v", x.Absent(), x.Version(), x.IsZero())
		return
	case error:
		var e *sdk.Error
		if errors.As(x, &e) && e != nil {
			v = reflect.ValueOf(*e)
		}
	}
	showKind(b, v)
}

func showKind(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		showValue(b, v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			showValue(b, v.Index(i))
			b.WriteByte(',')
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				b.WriteString(f.Name + ":")
				showValue(b, v.Field(i))
				b.WriteByte('\n')
			}
		}
	default:
		fmt.Fprintf(b, "%#v", v.Interface())
	}
}
