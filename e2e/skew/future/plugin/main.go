// Command plugin is a plugin built for a later state of the contract: it says words, and sends fields and numbers, that no
// host of today knows.
package main

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/keyway-dev/keyway/e2e/skew/first/keyway/plugin/v1"
	"github.com/keyway-dev/keyway/e2e/skew/first/memory"
)

func main() {
	memory.Plugin{
		Name:     "future",
		Words:    []string{"forecast", "get.if_newer"},
		Manifest: map[string]any{"licence": "MIT", "forecast": map[string]any{"days": 7}},
		Extend:   func(m proto.Message) { extend(m.ProtoReflect()) },
	}.Main()
}

// Fields that a later contract may have, one of each wire type, in every message.
const (
	textField   protowire.Number = 1000
	numberField protowire.Number = 1001
	fixedField  protowire.Number = 1002
)

// quarantined is a state that a later contract may have.
const quarantined = 77

// extend adds the fields to a message and to all messages in it.
func extend(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				extend(v.List().Get(i).Message())
			}
		default:
			extend(v.Message())
		}
		return true
	})
	if v, ok := m.Interface().(*pluginv1.Version); ok && !v.GetCurrent() {
		v.State = quarantined
	}
	b := protowire.AppendTag(nil, textField, protowire.BytesType)
	b = protowire.AppendString(b, "what a later contract says")
	b = protowire.AppendTag(b, numberField, protowire.VarintType)
	b = protowire.AppendVarint(b, 1<<40)
	b = protowire.AppendTag(b, fixedField, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, 1)
	m.SetUnknown(b)
}
