package main

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// document is the content of a store file. One that has been read or written is never changed: a writer clones it.
type document struct {
	// Floor is the highest version number that a purged secret had. New secrets count on from it, so that a name and a
	// version mean the same value for ever.
	Floor   uint64            `json:"floor"`
	Secrets map[string]record `json:"secrets"`
	names   []string          // of Secrets, sorted; see index
}

// record is one secret: its versions, oldest first, at least one.
type record struct {
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Created     time.Time         `json:"created"`
	Until       time.Time         `json:"until,omitzero"` // deleted, and recoverable until then; zero: live
	Versions    []revision        `json:"versions"`
}

type revision struct {
	Number  uint64        `json:"number"`
	Created time.Time     `json:"created"`
	Once    string        `json:"once,omitempty"` // the idempotency key it was put with
	Size    int           `json:"size"`           // bytes
	Value   sdk.Sensitive `json:"-"`
}

func (v revision) id() string { return strconv.FormatUint(v.Number, 10) }

func (r record) current() revision { return r.Versions[len(r.Versions)-1] }
func (r record) deleted() bool     { return !r.Until.IsZero() }

// gone reports whether the secret's time to be restored is over.
func (r record) gone(now time.Time) bool { return r.deleted() && !now.Before(r.Until) }

// find gives the secret of a name: NotFound where there is none. Where live is set, a deleted one is FailedPrecondition.
func (d *document) find(name string, now time.Time, live bool) (record, error) {
	r, ok := d.Secrets[name]
	if !ok || r.gone(now) {
		return record{}, sdk.Errorf(sdk.NotFound, "no such secret")
	}
	if live && r.deleted() {
		return record{}, sdk.Errorf(sdk.FailedPrecondition, "deleted; it can be restored until %s", r.Until.Format(time.RFC3339))
	}
	return r, nil
}

// clone gives a document to change. Records are values; a writer that changes one's versions clones those too.
func (d *document) clone() *document {
	return &document{Floor: d.Floor, Secrets: maps.Clone(d.Secrets)}
}

// remove drops a secret beyond recovery.
func (d *document) remove(name string) {
	d.Floor = max(d.Floor, d.Secrets[name].current().Number)
	delete(d.Secrets, name)
}

// sweep drops the deleted secrets whose time is over.
func (d *document) sweep(now time.Time) {
	for name, r := range d.Secrets {
		if r.gone(now) {
			d.remove(name)
		}
	}
}

func (d *document) index() { d.names = slices.Sorted(maps.Keys(d.Secrets)) }

func newDocument() *document { return &document{Secrets: map[string]record{}} }

// encode gives the text to seal: the length of the JSON as 8 bytes, the JSON, then the values in the order of names and
// versions. Values stay out of the JSON, so that they are Sensitive wherever they are held.
func (d *document) encode() (sdk.Sensitive, error) {
	d.index()
	meta, err := json.Marshal(d)
	if err != nil {
		return sdk.Sensitive{}, err
	}
	text := append(binary.BigEndian.AppendUint64(nil, uint64(len(meta))), meta...)
	for _, name := range d.names {
		for _, v := range d.Secrets[name].Versions {
			text = append(text, v.Value.Reveal()...)
		}
	}
	return sdk.NewSensitive(text), nil
}

// decode undoes encode. The text was sealed by us, so a fault is a defect or a rewound format: DataLoss.
func decode(text sdk.Sensitive) (*document, error) {
	malformed := sdk.Errorf(sdk.DataLoss, "damaged: its content is malformed")
	b := text.Reveal()
	if len(b) < 8 || binary.BigEndian.Uint64(b) > uint64(len(b)-8) {
		return nil, malformed
	}
	n := int(binary.BigEndian.Uint64(b)) //nolint:gosec // bounded by the length just above
	meta, values := b[8:8+n], b[8+n:]
	d := newDocument()
	if err := json.Unmarshal(meta, d); err != nil || d.Secrets == nil {
		return nil, malformed
	}
	d.index()
	for _, name := range d.names {
		versions := d.Secrets[name].Versions
		if len(versions) == 0 {
			return nil, malformed
		}
		for i := range versions {
			v := &versions[i]
			if v.Size < 1 || v.Size > len(values) {
				return nil, malformed
			}
			v.Value, values = sdk.NewSensitive(values[:v.Size:v.Size]), values[v.Size:]
		}
	}
	if len(values) > 0 {
		return nil, malformed
	}
	return d, nil
}
