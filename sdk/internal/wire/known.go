package wire

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/keyway-dev/keyway/sdk"
)

// AllowKnown refuses a request with a field of a contract newer than this one: Unimplemented. A host sends such a field only
// to a store that claims its capability, so one that arrives would have been ignored in silence.
func AllowKnown(op string, request proto.Message) error {
	unknown := request.ProtoReflect().GetUnknown()
	if len(unknown) == 0 {
		return nil
	}
	field, _, _ := protowire.ConsumeField(unknown)
	return sdk.Errorf(sdk.Unimplemented, "%s: the request has a field %d, which this plugin does not know, so it cannot be honoured", strings.ToLower(op), field)
}
