// Package config is the operator's file, keyway.yaml: its Go types, a strict reader that reports every problem at its line,
// the checks that need no plugin, the check of a store's settings against its plugin's schema, and the JSON Schema that
// editors use. Decoder, schema and defaults are all read off the same struct tags, so they cannot drift apart:
//
//	yaml     the key in the file; "-" is not in the file
//	doc      one line for the schema
//	default  what an absent key means, written as in the file
//	enum     the allowed words, separated by commas
//	form     "size" (64MiB) or "rate" (50/s) for numbers that are written with a unit
//	keyway   "required", or "off": 0 is not "unset" but "none", held as [Off]
//
// Nothing here opens a network connection or starts a process, and no message ever holds a literal of the settings: it may
// be a secret that stands in the wrong place.
package config
