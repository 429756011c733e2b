package wire

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/sdk"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// EncodeManifest gives the answer of Describe.
func EncodeManifest(m sdk.Manifest) *pb.DescribeResponse {
	return &pb.DescribeResponse{
		Name:           valid(m.Name),
		Version:        valid(m.Version),
		Summary:        Line(m.Summary, MaxText),
		DocsUrl:        Line(m.Docs, MaxText),
		Sdk:            Line(m.SDK, MaxText),
		Capabilities:   validAll(m.Capabilities),
		SettingsSchema: valid(string(m.Schema)),
		Network:        valid(m.Network),
		Compat:         validMap(m.Compat),
	}
}

// DecodeManifest takes the answer of Describe, without the words that this contract does not know.
func DecodeManifest(p *pb.DescribeResponse) sdk.Manifest {
	m := sdk.Manifest{
		Name:         p.GetName(),
		Version:      p.GetVersion(),
		Summary:      Line(p.GetSummary(), MaxText),
		Docs:         Line(p.GetDocsUrl(), MaxText),
		SDK:          Line(p.GetSdk(), MaxText),
		Capabilities: sdk.ParseCapabilities(p.GetCapabilities()).Names(),
		Network:      p.GetNetwork(),
		Compat:       validMap(p.GetCompat()),
	}
	if p.GetSettingsSchema() != "" {
		m.Schema = json.RawMessage(p.GetSettingsSchema())
	}
	return m
}

// The forms of a provider's name and of its version, as the contract gives them.
var (
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	versionForm = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

const (
	maxVersionText = 128 // bytes of a plugin's version
	maxWord        = 64  // bytes of a capability's word
)

// CheckManifest refuses what no plugin may say of itself: Internal.
func CheckManifest(m sdk.Manifest) error {
	switch {
	case !nameForm.MatchString(m.Name):
		return bug("describe: the plugin's name %q does not match %s", Line(m.Name, maxReason), nameForm)
	case len(m.Version) > maxVersionText || !versionForm.MatchString(m.Version):
		return bug("describe %s: the plugin's version %q is not a semantic version", m.Name, Line(m.Version, maxReason))
	case m.Network != "" && m.Network != "brokered" && m.Network != "direct":
		return bug("describe %s: network %q is neither brokered nor direct", m.Name, Line(m.Network, maxReason))
	case len(m.Compat) > MaxItems:
		return bug("describe %s: %d compat entries, over the limit of %d", m.Name, len(m.Compat), MaxItems)
	case len(m.Capabilities) > MaxItems:
		return bug("describe %s: %d capabilities, over the limit of %d", m.Name, len(m.Capabilities), MaxItems)
	}
	for _, word := range m.Capabilities {
		if word == "" || len(word) > maxWord || !utf8.ValidString(word) || strings.ContainsFunc(word, noLetterOfWord) {
			return bug("describe %s: capability %q is not a word of 1 to %d bytes", m.Name, Line(word, maxReason), maxWord)
		}
	}
	return checkSchema(m)
}

// noLetterOfWord reports whether a capability's word cannot hold the character. A later contract may have words in any script.
func noLetterOfWord(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }

func checkSchema(m sdk.Manifest) error {
	switch s := bytes.TrimSpace(m.Schema); {
	case len(m.Schema) > MaxSchema:
		return bug("describe %s: the settings schema has %d bytes, over the limit of %d", m.Name, len(m.Schema), MaxSchema)
	case !bytes.HasPrefix(s, []byte("{")) || !json.Valid(s):
		return bug("describe %s: the settings schema is not a JSON object", m.Name)
	}
	for k, v := range m.Compat {
		if k == "" || len(k) > MaxText || len(v) > MaxDescription || strings.ContainsFunc(k, unsafeRune) {
			return bug("describe %s: compat entry %q is malformed", m.Name, Line(k, maxReason))
		}
	}
	return nil
}

// bug is a breach of the contract by the provider or the plugin.
func bug(format string, args ...any) error { return sdk.Errorf(sdk.Internal, format, args...) }
