package wire_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

func TestARequestWithAFieldOfALaterContractIsRefusedByNumber(t *testing.T) {
	r := &pb.DeleteRequest{Store: "s", Name: "n", Purge: true}
	if err := wire.AllowKnown("Delete", r); err != nil {
		t.Errorf("with fields of this contract: %v, want no error", err)
	}
	r.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), 1))
	if err := wire.AllowKnown("Delete", r); sdk.CodeOf(err) != sdk.Unimplemented || !strings.Contains(err.Error(), "delete: the request has a field 9,") {
		t.Errorf("with field 9: %v, want Unimplemented that names it", err)
	}
}
