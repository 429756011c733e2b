// Package wire is the only code that knows both the contract's types and the messages that cross the process border. It
// holds what both ends must agree on: limits, conversions, what a request may ask, what an answer may hold, and errors.
//
// Conversions are total: Encode makes a message that can always be sent, Decode takes any message. What is wrong with a
// request or an answer is told by the Allow and Check functions, which work on the contract's types, so that both ends
// judge alike and neither trusts the other.
package wire

import "github.com/keyway-dev/keyway/sdk"

// The handshake of a host with a plugin process.
const (
	CookieKey   = "KEYWAY_PLUGIN"    // environment variable that says a host is the parent
	CookieValue = "keyway.plugin.v1" // and which contract it speaks
	Protocol    = 1                  // version in the handshake line
	PluginSet   = "provider"         // the one plugin of a process, in go-plugin's words
)

// Limits beside those that sdk exports, in bytes unless they say otherwise.
const (
	MaxSettings    = sdk.MaxMessage - headroom
	MaxSchema      = 256 << 10
	MaxAAD         = 64 << 10 // Google KMS takes the most: https://cloud.google.com/kms/docs/additional-authenticated-data
	MaxToken       = 16 << 10 // a page token
	MaxDescription = 16 << 10
	MaxLabels      = 128     // labels of one secret
	MaxLabelValue  = 4 << 10 // of one label; its key is bounded by sdk.MaxName
	MaxText        = 1 << 10 // a line of an answer: a message, an identity, a media type
	MaxItems       = 1024    // entries of any list in an answer that has no limit of its own

	headroom = 64 << 10 // what a full message may hold beside what is counted
)
