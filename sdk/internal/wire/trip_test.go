package wire_test

import (
	"bytes"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// trip is one conversion there and back.
type trip struct {
	name string
	// run makes a value and sends it through the wire. It answers the message, and the value before and after.
	run func(s *source) (m proto.Message, before, after any)
	// hostile decodes any message that unmarshals from the bytes.
	hostile func(raw []byte)
}

func newTrip[T any, M interface {
	*P
	proto.Message
}, P any](name string, encode func(T) M, decode func(M) T, mend ...func(*T)) trip {
	return trip{
		name: name,
		run: func(s *source) (proto.Message, any, any) {
			var x T
			s.fill(reflect.ValueOf(&x).Elem())
			for _, f := range mend {
				f(&x)
			}
			sent := encode(x)
			raw, err := proto.Marshal(sent)
			if err != nil {
				panic(name + " cannot be sent: " + err.Error())
			}
			got := M(new(P))
			if err := proto.Unmarshal(raw, got); err != nil {
				panic(name + " cannot be received: " + err.Error())
			}
			return sent, x, decode(got)
		},
		hostile: func(raw []byte) {
			got := M(new(P))
			if proto.Unmarshal(raw, got) != nil {
				return
			}
			if _, err := proto.Marshal(encode(decode(got))); err != nil {
				panic(name + " from the wire cannot be sent again: " + err.Error())
			}
		},
	}
}

// on gives a request's conversion its handle.
func on[T, M any](encode func(string, T) M) func(T) M {
	return func(r T) M { return encode("main~1", r) }
}

type opened struct {
	Can   sdk.Capabilities
	Reach *sdk.Reach
}

func trips() []trip {
	known := func(m *sdk.Manifest) { m.Capabilities = []string{"get", "put"} }
	either := func(rs *[]sdk.GetResult) {
		for i := range *rs {
			if (*rs)[i].Err != nil {
				(*rs)[i].Secret = sdk.Secret{}
			}
		}
	}
	reach := func(o *opened) {
		o.Can = sdk.CanGet | sdk.CanWatch
		o.Reach = &sdk.Reach{Endpoints: []string{"h:1"}, Files: []string{"/f"}, Ambient: true, Writes: []string{"/w"}}
	}
	return []trip{
		newTrip("manifest", wire.EncodeManifest, wire.DecodeManifest, known),
		newTrip("opened", func(o opened) *pb.OpenResponse { return wire.EncodeOpened(o.Can, o.Reach) },
			func(p *pb.OpenResponse) opened { c, r := wire.DecodeOpened(p); return opened{c, r} }, reach),
		newTrip("report", wire.EncodeReport, wire.DecodeReport),
		newTrip("event", wire.EncodeEvent, wire.DecodeEvent),
		newTrip("get", on(wire.EncodeGet), wire.DecodeGet),
		newTrip("secret", wire.EncodeSecret, wire.DecodeSecret),
		newTrip("batch", on(wire.EncodeBatch), wire.DecodeBatch),
		newTrip("results", wire.EncodeResults, wire.DecodeResults, either),
		newTrip("stat", on(wire.EncodeStat), wire.DecodeStat),
		newTrip("meta", wire.EncodeMeta, wire.DecodeMeta),
		newTrip("list", on(wire.EncodeList), wire.DecodeList),
		newTrip("page", wire.EncodePage, wire.DecodePage),
		newTrip("versions", on(wire.EncodeVersions), wire.DecodeVersions),
		newTrip("versions page", wire.EncodeVersionsPage, wire.DecodeVersionsPage),
		newTrip("put", on(wire.EncodePut), wire.DecodePut),
		newTrip("put result", wire.EncodePutResult, wire.DecodePutResult),
		newTrip("delete", on(wire.EncodeDelete), wire.DecodeDelete),
		newTrip("delete result", wire.EncodeDeleteResult, wire.DecodeDeleteResult),
		newTrip("restore", on(wire.EncodeRestore), wire.DecodeRestore),
		newTrip("encrypt", on(wire.EncodeEncrypt), wire.DecodeEncrypt),
		newTrip("encrypt result", wire.EncodeEncryptResult, wire.DecodeEncryptResult),
		newTrip("decrypt", on(wire.EncodeDecrypt), wire.DecodeDecrypt),
		newTrip("decrypt result", wire.EncodeDecryptResult, wire.DecodeDecryptResult),
	}
}

// A field that a conversion forgets is lost in silence, so a value with every field set must set every field of its
// message, and come back as it was.
func TestEveryFieldCrossesTheWire(t *testing.T) {
	for _, tr := range trips() {
		t.Run(tr.name, func(t *testing.T) {
			m, before, after := tr.run(&source{data: bytes.Repeat([]byte{7, 'a', 'b', 'c', 1, 2, 3, 4, 'd'}, 400), full: true})
			for _, f := range unset(m.ProtoReflect()) {
				t.Errorf("field %s of the message is not set", f)
			}
			if b, a := show(before), show(after); a != b {
				t.Errorf("after the wire:\n%s\nwant\n%s", a, b)
			}
		})
	}
}

// unset names the fields of a message, and of the messages in it, that hold nothing. One member of a oneof is enough.
func unset(m protoreflect.Message) []string {
	var out []string
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch one := f.ContainingOneof(); {
		case !m.Has(f) && (one == nil || m.WhichOneof(one) == nil):
			out = append(out, string(f.FullName()))
		case !m.Has(f) || f.Message() == nil || f.IsMap():
		case f.IsList():
			out = append(out, unset(m.Get(f).List().Get(0).Message())...)
		case f.Message().ParentFile().Package() == "keyway.plugin.v1":
			out = append(out, unset(m.Get(f).Message())...)
		}
	}
	return out
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("seed"))
	f.Add(bytes.Repeat([]byte{3, 'x', 0xff, 0, 1}, 60))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, tr := range trips() {
			if _, before, after := tr.run(&source{data: data}); show(before) != show(after) {
				t.Errorf("%s after the wire:\n%s\nwant\n%s", tr.name, show(after), show(before))
			}
		}
	})
}

func FuzzHostileBytes(f *testing.F) {
	f.Add([]byte{0x0a, 0x03, 'a', '/', 'b'})
	f.Add([]byte{0x22, 0x0b, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x10})
	f.Fuzz(func(_ *testing.T, raw []byte) {
		for _, tr := range trips() {
			tr.hostile(raw)
		}
		var e pb.Error
		if proto.Unmarshal(raw, &e) == nil {
			_ = wire.Status(wire.DecodeError(&e))
		}
	})
}
