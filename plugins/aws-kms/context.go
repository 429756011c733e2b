package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"

	"github.com/keyway-dev/keyway/sdk"
)

// context gives the encryption context of a call: the pairs of the settings, and those of aad, a JSON object of strings.
// AWS compares it pair by pair and to the letter, so the text of aad may be spaced and ordered as it likes. A pair of the
// settings is fixed: a call may repeat it and not change it.
// https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html
func (st *store) context(op string, aad []byte) (map[string]string, error) {
	own, err := readPairs(aad)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidArgument, "%s: the additional data %w", op, err)
	}
	if len(own) == 0 && len(st.s.Context) == 0 {
		return nil, nil
	}
	for k, v := range st.s.Context {
		if own[k] != v {
			if _, set := own[k]; set {
				return nil, sdk.Errorf(sdk.InvalidArgument, "%s: the additional data set %q, which the settings' context fixes to another value", op, k)
			}
		}
	}
	pairs := maps.Clone(st.s.Context)
	if pairs == nil {
		pairs = map[string]string{}
	}
	maps.Copy(pairs, own)
	return pairs, nil
}

// readPairs reads a JSON object of strings, in which no name is twice: readers disagree on which of two counts.
func readPairs(raw []byte) (map[string]string, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	shape := errors.New("must be one JSON object of strings: AWS binds an encryption context of pairs")
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, shape
	}
	pairs := map[string]string{}
	for d.More() {
		var v *string
		t, err := d.Token()
		k, ok := t.(string)
		if err != nil || !ok || d.Decode(&v) != nil || v == nil {
			return nil, shape
		}
		if _, twice := pairs[k]; twice {
			return nil, errors.New("have a name twice")
		}
		pairs[k] = *v
	}
	if _, err := d.Token(); err != nil {
		return nil, shape
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, shape
	}
	return pairs, nil
}
