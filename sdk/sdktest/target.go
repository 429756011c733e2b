package sdktest

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// Target is an open store and what the suite may assume about its backend. Store and Scratch are needed; each further
// field lets more promises be tried. A Target serves one run at a time.
type Target struct {
	Store   *dial.Store
	Scratch string // prefix of the names that the suite makes and deletes: "kwtest/"

	// Plugin and Settings are what Store was opened from. They let Describe and Open be tried.
	Plugin   *dial.Plugin
	Settings []byte
	// Open opens the same store once more. Where nil, Plugin and Settings do.
	Open func(ctx context.Context) (*dial.Store, error)
	// SettingsAt gives the same settings with the backend at another "host:port". It lets the suite put a backend there
	// that never answers, and none at all.
	SettingsAt func(address string) []byte
	// Hanging opens a store whose backend never answers. Where nil, Plugin and SettingsAt do.
	Hanging func(ctx context.Context) (*dial.Store, error)

	// Known are secrets that exist, by name, for a store that cannot put. They must not change during the run.
	Known map[string]string
	// Denied is a name on which the backend refuses every call of this store.
	Denied string
	// Document says that the store's values are JSON objects, and that equal means equal as JSON.
	Document bool
	// Sibling opens a store over the same backend and names whose values are another field of the same documents.
	Sibling func(ctx context.Context) (*dial.Store, error)

	// Patience is how long the suite waits for what must come promptly. Zero means 5 s.
	Patience time.Duration

	mu   sync.Mutex
	made []string // names to delete after the run
}

func (t *Target) patience() time.Duration {
	if t.Patience > 0 {
		return t.Patience
	}
	return 5 * time.Second
}

// soon bounds what must come promptly.
func (t *Target) soon(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, t.patience())
}

// name makes a new name below Scratch, in letters that every backend takes.
func (t *Target) name() string { return t.named(t.Scratch + "kw" + random()) }

// named remembers a name for the sweep.
func (t *Target) named(name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made = append(t.made, name)
	return name
}

// random gives 13 random letters and digits that sort and compare alike with and without regard to case.
func random() string {
	b := []byte(rand.Text()[:13])
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c - 'A' + 'a'
		}
	}
	return string(b)
}

// secretText makes a text that occurs nowhere else. An error that holds one holds a value.
func secretText() string { return "kwcanary" + random() }

// value makes a new value of the kind that the store keeps.
func (t *Target) value() sdk.Sensitive { return t.valueOf(secretText()) }

// valueOf wraps plain text, which needs no escaping in JSON.
func (t *Target) valueOf(text string) sdk.Sensitive {
	if t.Document {
		return sdk.SensitiveString(`{"kwtest":"` + text + `"}`)
	}
	return sdk.SensitiveString(text)
}

// create puts a new secret.
func (t *Target) create(ctx context.Context) (name string, value sdk.Sensitive, version string, err error) {
	name = t.name()
	value, version, err = t.write(ctx, name)
	return name, value, version, err
}

// write puts a new value under a name.
func (t *Target) write(ctx context.Context, name string) (value sdk.Sensitive, version string, err error) {
	value = t.value()
	r, err := t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: value})
	return value, r.Version, in("put", err)
}

// existing gives a secret that can be read: one that it puts, or a known one.
func (t *Target) existing(ctx context.Context) (name string, value sdk.Sensitive, err error) {
	if t.Store.Can().Has(sdk.CanPut) {
		name, value, _, err = t.create(ctx)
		return name, value, err
	}
	for n, v := range t.Known {
		return n, sdk.SensitiveString(v), nil
	}
	return "", sdk.Sensitive{}, errNoSecret
}

// opened opens the store once more. The caller closes it.
func (t *Target) opened(ctx context.Context) (*dial.Store, error) {
	open := t.Open
	if open == nil {
		open = func(ctx context.Context) (*dial.Store, error) { return t.Plugin.Open(ctx, handle(), t.Settings) }
	}
	st, err := open(ctx)
	return st, in("open", err)
}

// handle makes one that no opening has had.
func handle() string { return "kwtest~" + random() }

// sweep deletes what the run has made, as thoroughly as the store can. It is best effort: names of failed checks may be
// half made, and a store that cannot delete keeps them.
func (t *Target) sweep(ctx context.Context) {
	t.mu.Lock()
	made := t.made
	t.made = nil
	t.mu.Unlock()
	if !t.Store.Can().Has(sdk.CanDelete) {
		return
	}
	purge := t.Store.Can().Has(sdk.CanPurge)
	for _, name := range made {
		_, _ = t.Store.Delete(ctx, sdk.DeleteRequest{Name: name, Purge: purge})
	}
}
