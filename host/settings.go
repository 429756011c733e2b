package host

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

// settingsFresh is how old a value may be that goes into the settings of a store which is being opened.
const settingsFresh = time.Second

// settingsRefs are the references in the settings of one store. They are live: a changed value opens the store anew.
type settingsRefs struct {
	mu        sync.Mutex
	now       config.Store   // as it is configured now
	tree      map[string]any // its settings with absolute paths
	following bool
}

// config gives the store as it is configured now; a reload may change its settings and version.
func (m *member) config() config.Store {
	m.secrets.mu.Lock()
	defer m.secrets.mu.Unlock()
	return m.secrets.now
}

// configure changes the store's configuration; a nil tree leaves the settings.
func (m *member) configure(c config.Store, tree map[string]any) {
	m.secrets.mu.Lock()
	defer m.secrets.mu.Unlock()
	m.secrets.now = c
	if tree != nil {
		m.secrets.tree, m.secrets.following = tree, false
	}
}

func (m *member) settingsTree() map[string]any {
	m.secrets.mu.Lock()
	defer m.secrets.mu.Unlock()
	return m.secrets.tree
}

// settings resolves a store's settings to the JSON that its plugin takes. Values are read past the cache: credentials are
// asked for when the store opens, which is seldom, and mostly because the old ones ended.
func (h *Host) settings(ctx context.Context, m *member) (sdk.Sensitive, error) {
	var failed error
	out := copyTree(m.settingsTree(), "", func(path, text string) string {
		if failed != nil || !hasReference(text) {
			return literal(text)
		}
		b, err := h.bind(text)
		if err == nil {
			err = b.revalidate(ctx)
		}
		var v *Value
		if err == nil {
			v, err = b.get(ctx)
		}
		if err != nil {
			failed = sdk.Errorf(sdk.CodeOf(err), "settings.%s: %w", path, err)
			return ""
		}
		return string(v.Reveal())
	})
	if failed != nil {
		return sdk.Sensitive{}, failed
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return sdk.Sensitive{}, sdk.Errorf(sdk.InvalidArgument, "settings of store %s: not JSON: %T", m.name, err)
	}
	h.followSettings(m)
	return sdk.NewSensitive(raw), nil
}

// revalidate reads every reference of the binding anew, unless that was done a moment ago.
func (b *binding) revalidate(ctx context.Context) error {
	for _, p := range b.parts {
		if p.reading == nil {
			continue
		}
		if _, err := p.reading.entry.Revalidate(ctx, settingsFresh); err != nil {
			return located(p.reading.ref, err)
		}
	}
	return nil
}

// followSettings has the store opened anew whenever a value in its settings changes.
func (h *Host) followSettings(m *member) {
	m.secrets.mu.Lock()
	defer m.secrets.mu.Unlock()
	if m.secrets.following {
		return
	}
	m.secrets.following = true
	copyTree(m.secrets.tree, "", func(_, text string) string {
		if b, err := h.bind(text); err == nil && hasReference(text) {
			for _, p := range b.parts {
				if p.reading != nil {
					p.reading.follow(m)
				}
			}
		}
		return text
	})
}

// follow kicks the member when the reading's value is another than before.
func (r *reading) follow(m *member) {
	var last *Value
	r.entry.Subscribe(func(v *Value, err error) {
		if err != nil {
			return // the open store goes on with what it has
		}
		if last != nil && v.newerThan(last) {
			select {
			case m.reopen <- struct{}{}:
			default: // one is waiting already
			}
		}
		last = v
	})
}

// reopenLoop opens the store anew when it is kicked. The old opening serves until the new one has opened.
func (m *member) reopenLoop(ctx context.Context, h *Host) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.reopen:
		}
		changed, err := m.store.Renew(ctx)
		if err != nil {
			h.log.Warn("a setting changed, but the store did not open with it; the old opening serves on",
				"store", m.name, "code", sdk.CodeOf(err).String(), "error", err)
			continue
		}
		if changed {
			h.log.Info("a setting changed; the store was opened anew", "store", m.name)
		}
	}
}
