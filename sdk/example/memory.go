package example

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// defaultWindow is how long a deleted secret can be restored where the caller does not say.
const defaultWindow = 30 * 24 * time.Hour

// aliasPrevious is the alias of the version before the current one.
const aliasPrevious = "previous"

// dataset is one set of secrets and keys.
type dataset struct {
	mu       sync.Mutex
	secrets  map[string]*secret
	planted  map[string]bool
	last     int // the last version id, of all secrets: a name that is purged and made anew never repeats an id
	keys     map[string]cipher.AEAD
	watchers map[*watcher]bool
}

type secret struct {
	history     []version // oldest first, never empty
	description string
	labels      map[string]string
	until       time.Time // deleted, and restorable until then; zero: live
}

type version struct {
	id      string
	value   sdk.Sensitive
	created time.Time
	key     string // idempotency key of the Put that made it
}

func newDataset() *dataset {
	return &dataset{secrets: map[string]*secret{}, planted: map[string]bool{}, keys: map[string]cipher.AEAD{}, watchers: map[*watcher]bool{}}
}

func (s *secret) current() version { return s.history[len(s.history)-1] }

func (v version) secret() sdk.Secret {
	return sdk.Secret{Value: v.value, Version: v.id, Created: v.created}
}

// find gives a secret, live or restorable. A deleted one whose time is over is gone for good.
func (d *dataset) find(name string) (*secret, error) {
	s := d.secrets[name]
	if s != nil && !s.until.IsZero() && !time.Now().Before(s.until) {
		delete(d.secrets, name)
		s = nil
	}
	if s == nil {
		return nil, errNoSecret
	}
	return s, nil
}

func (d *dataset) live(name string) (*secret, error) {
	s, err := d.find(name)
	if err == nil && !s.until.IsZero() {
		return nil, errDeleted
	}
	return s, err
}

// version reads one version; id is an id, an alias, or empty for the current one.
func (d *dataset) version(name, id string) (version, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.live(name)
	if err != nil {
		return version{}, err
	}
	if id == "" {
		return s.current(), nil
	}
	if n := len(s.history); id == aliasPrevious && n > 1 {
		return s.history[n-2], nil
	}
	i := slices.IndexFunc(s.history, func(v version) bool { return v.id == id })
	if i < 0 {
		return version{}, errNoVersion
	}
	return s.history[i], nil
}

// put judges the precondition and writes, under one lock.
func (d *dataset) put(name string, r sdk.PutRequest) (id string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.live(name)
	if errors.Is(err, errDeleted) {
		return "", err
	}
	if s != nil {
		if id, repeated := s.madeBy(r); repeated {
			return id, nil
		}
	}
	switch want := r.If.Version(); {
	case r.If.Absent() && s != nil:
		return "", errExists
	case want != "" && (s == nil || s.current().id != want):
		return "", errConflict
	}
	if s == nil {
		s = &secret{description: r.Description, labels: maps.Clone(r.Labels)}
		d.secrets[name] = s
	}
	return d.add(name, s, r.Value, r.IdempotencyKey), nil
}

// madeBy finds the version that the same Put made before.
func (s *secret) madeBy(r sdk.PutRequest) (id string, ok bool) {
	if r.IdempotencyKey == "" {
		return "", false
	}
	i := slices.IndexFunc(s.history, func(v version) bool { return v.key == r.IdempotencyKey && v.value.Equal(r.Value) })
	if i < 0 {
		return "", false
	}
	return s.history[i].id, true
}

// add appends a version, with a copy of the value: the caller's bytes are the caller's.
func (d *dataset) add(name string, s *secret, value sdk.Sensitive, key string) (id string) {
	d.last++
	id = strconv.Itoa(d.last)
	s.history = append(s.history, version{id: id, value: sdk.NewSensitive(slices.Clone(value.Reveal())), created: time.Now(), key: key})
	d.notify(sdk.Event{Name: name, Version: id})
	return id
}

// set adds a version without any condition.
func (d *dataset) set(name string, value sdk.Sensitive) (id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.find(name)
	if err != nil {
		s = &secret{}
		d.secrets[name] = s
	}
	s.until = time.Time{}
	return d.add(name, s, value, "")
}

// plant is set, once for each name.
func (d *dataset) plant(name string, value sdk.Sensitive) {
	d.mu.Lock()
	known := d.planted[name] || d.secrets[name] != nil
	d.planted[name] = true
	d.mu.Unlock()
	if !known {
		d.set(name, value)
	}
}

func (d *dataset) remove(name string, window time.Duration) (until time.Time, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.find(name)
	if err != nil {
		return time.Time{}, err
	}
	if s.until.IsZero() {
		if window == 0 {
			window = defaultWindow
		}
		s.until = time.Now().Add(window)
		d.notify(sdk.Event{Name: name})
	}
	return s.until, nil
}

func (d *dataset) purge(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.find(name); err != nil {
		return err
	}
	delete(d.secrets, name)
	d.notify(sdk.Event{Name: name})
	return nil
}

func (d *dataset) restore(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.find(name)
	if err != nil {
		return err
	}
	s.until = time.Time{}
	d.notify(sdk.Event{Name: name, Version: s.current().id})
	return nil
}

func (d *dataset) meta(name string) (sdk.Meta, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.live(name)
	if err != nil {
		return sdk.Meta{}, err
	}
	return s.meta(name), nil
}

func (s *secret) meta(name string) sdk.Meta {
	return sdk.Meta{Name: name, Version: s.current().id, Description: s.description, Labels: maps.Clone(s.labels),
		Created: s.history[0].created, Updated: s.current().created}
}

// list gives the live secrets whose name begins with prefix, by name.
func (d *dataset) list(prefix string) []sdk.Meta {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []sdk.Meta
	for _, name := range slices.Sorted(maps.Keys(d.secrets)) {
		if s, err := d.live(name); err == nil && strings.HasPrefix(name, prefix) {
			out = append(out, s.meta(name))
		}
	}
	return out
}

func (d *dataset) versions(name string) ([]sdk.Version, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.find(name)
	if err != nil {
		return nil, err
	}
	state := sdk.StateEnabled
	if !s.until.IsZero() {
		state = sdk.StateDeleted
	}
	out := make([]sdk.Version, 0, len(s.history))
	for i, v := range slices.Backward(s.history) {
		x := sdk.Version{Version: v.id, Current: i == len(s.history)-1, State: state, Created: v.created}
		if i == len(s.history)-2 {
			x.Aliases = []string{aliasPrevious}
		}
		out = append(out, x)
	}
	return out, nil
}

// key gives the key of a name, which is made on its first use.
func (d *dataset) key(name string) (cipher.AEAD, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.keys[name]; k != nil {
		return k, nil
	}
	var bytes [32]byte
	rand.Read(bytes[:])
	block, err := aes.NewCipher(bytes[:])
	if err != nil {
		return nil, err
	}
	k, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	d.keys[name] = k
	return k, nil
}
