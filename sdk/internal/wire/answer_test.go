package wire_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
)

func TestAnswersThatBreakTheContractAreBugs(t *testing.T) {
	one := sdk.SensitiveString("v")
	far := time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC)
	list := sdk.ListRequest{PageSize: 1}
	versions := sdk.VersionsRequest{Name: "a", PageSize: 1}
	cases := map[string]error{
		"an empty value":                  wire.CheckSecret("get", "a", sdk.Secret{}, sdk.DataLoss),
		"a version that is not text":      wire.CheckSecret("get", "a", sdk.Secret{Value: one, Version: "\xff"}, sdk.DataLoss),
		"an expiry that is no time":       wire.CheckSecret("get", "a", sdk.Secret{Value: one, Expires: far}, sdk.DataLoss),
		"too few results":                 wire.CheckResults([]string{"a", "b"}, make([]sdk.GetResult, 1), sdk.DataLoss),
		"metadata of another secret":      wire.CheckMeta("a", sdk.Meta{Name: "b"}),
		"a name that no read takes":       wire.CheckPage(list, sdk.ListPage{Items: []sdk.Meta{{Name: "a//b"}}}),
		"more than the page asked for":    wire.CheckPage(list, sdk.ListPage{Items: []sdk.Meta{{Name: "a"}, {Name: "b"}}}),
		"a token without end":             wire.CheckPage(list, sdk.ListPage{Next: strings.Repeat("t", wire.MaxToken+1)}),
		"a version without an id":         wire.CheckVersionsPage(versions, sdk.VersionsPage{Versions: []sdk.Version{{}}}),
		"a written version over lines":    wire.CheckPutResult("a", sdk.PutResult{Version: "1\n2"}),
		"a recovery time that is no time": wire.CheckDeleteResult("a", sdk.DeleteResult{Until: far}),
		"an empty ciphertext":             wire.CheckEncryptResult(sdk.EncryptResult{Key: "k"}, sdk.DataLoss),
		"an empty plaintext":              wire.CheckDecryptResult(sdk.DecryptResult{}, sdk.DataLoss),
		"an event for no name":            wire.CheckEvent(sdk.Event{Name: "../a"}),
		"a place that is not text":        wire.CheckReach("h", &sdk.Reach{Endpoints: []string{"a:1\nb:2"}}),
		"places without end":              wire.CheckReach("h", &sdk.Reach{Files: make([]string, wire.MaxItems+1)}),
	}
	for name, err := range cases {
		if sdk.CodeOf(err) != sdk.Internal {
			t.Errorf("%s: %v, want internal", name, err)
		}
	}
}

func TestAValueOverTheLimitIsNamedWithItsSize(t *testing.T) {
	s := sdk.Secret{Value: sdk.NewSensitive(make([]byte, sdk.MaxValue+7))}
	for _, over := range []sdk.Code{sdk.InvalidArgument, sdk.DataLoss} {
		if err := wire.CheckSecret("get", "a", s, over); sdk.CodeOf(err) != over || !strings.Contains(err.Error(), "1048583 bytes") {
			t.Errorf("CheckSecret: %v, want %v and the size", err, over)
		}
	}
}

func TestBadResultsOfABatchConcernOnlyTheirNames(t *testing.T) {
	var none *sdk.Error
	results := []sdk.GetResult{
		{Secret: sdk.Secret{Value: sdk.SensitiveString("v")}},
		{Secret: sdk.Secret{}},
		{Err: sdk.NotFound},
		{Secret: sdk.Secret{Value: sdk.SensitiveString("w")}, Err: none},
	}
	if err := wire.CheckResults([]string{"a", "b", "c", "d"}, results, sdk.DataLoss); err != nil {
		t.Fatalf("CheckResults: %v", err)
	}
	for i, want := range []sdk.Code{sdk.OK, sdk.Internal, sdk.NotFound, sdk.OK} {
		if got := sdk.CodeOf(results[i].Err); got != want {
			t.Errorf("result %d: %v, want %v", i, results[i].Err, want)
		}
	}
}

func TestABatchThatIsFullTellsWhichToAskForAlone(t *testing.T) {
	full := sdk.GetResult{Secret: sdk.Secret{Value: sdk.NewSensitive(make([]byte, sdk.MaxValue))}}
	small := sdk.GetResult{Secret: sdk.Secret{Value: sdk.SensitiveString("v")}}
	got := wire.DecodeResults(wire.EncodeResults([]sdk.GetResult{full, full, full, full, small, full}))
	for i, want := range []sdk.Code{sdk.OK, sdk.OK, sdk.OK, sdk.ResourceExhausted, sdk.OK, sdk.ResourceExhausted} {
		if code := sdk.CodeOf(got[i].Err); code != want {
			t.Errorf("result %d: %v, want %v", i, got[i].Err, want)
		}
	}
}

func TestManifestsAreJudged(t *testing.T) {
	good := sdk.Manifest{Name: "aws-sm", Version: "1.2.3-rc.1+b", Schema: json.RawMessage(`{"type":"object"}`),
		Capabilities: []string{"get", "put.if_version", "Ω-later"}}
	if err := wire.CheckManifest(good); err != nil {
		t.Fatalf("a good manifest: %v", err)
	}
	cases := map[string]func(m *sdk.Manifest){
		"a name with a slash":      func(m *sdk.Manifest) { m.Name = "a/b" },
		"no name":                  func(m *sdk.Manifest) { m.Name = "" },
		"a version of two numbers": func(m *sdk.Manifest) { m.Version = "1.2" },
		"a version without end":    func(m *sdk.Manifest) { m.Version = "1.2.3-" + strings.Repeat("a", 200) },
		"an unknown network":       func(m *sdk.Manifest) { m.Network = "tor" },
		"no schema":                func(m *sdk.Manifest) { m.Schema = nil },
		"a schema that is a list":  func(m *sdk.Manifest) { m.Schema = json.RawMessage(`[]`) },
		"a schema that is cut":     func(m *sdk.Manifest) { m.Schema = json.RawMessage(`{"a":`) },
		"a schema without end": func(m *sdk.Manifest) {
			m.Schema = json.RawMessage(`{"a":"` + strings.Repeat("b", wire.MaxSchema) + `"}`)
		},
		"a capability with a space":       func(m *sdk.Manifest) { m.Capabilities = []string{"get", "put all"} },
		"a capability over lines":         func(m *sdk.Manifest) { m.Capabilities = []string{"get\nbad: x"} },
		"a capability without letters":    func(m *sdk.Manifest) { m.Capabilities = []string{""} },
		"a capability that is not text":   func(m *sdk.Manifest) { m.Capabilities = []string{"get\xff"} },
		"a capability that is a sentence": func(m *sdk.Manifest) { m.Capabilities = []string{strings.Repeat("a", 65)} },
		"capabilities without end":        func(m *sdk.Manifest) { m.Capabilities = slices.Repeat([]string{"a"}, wire.MaxItems+1) },
		"a compat key over lines":         func(m *sdk.Manifest) { m.Compat = map[string]string{"a\nb": "c"} },
	}
	for name, breakIt := range cases {
		m := good
		breakIt(&m)
		if err := wire.CheckManifest(m); sdk.CodeOf(err) != sdk.Internal {
			t.Errorf("%s: %v, want internal", name, err)
		}
	}
}
