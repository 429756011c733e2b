package example

import (
	"sync"

	"github.com/keyway-dev/keyway/sdk"
)

// Backend is the secret manager that the stores of one provider reach. A test holds it to change secrets behind the
// stores' backs, to make calls fail or hang, and to count them. Names are the backend's own, with the prefix of the
// settings in front. It is safe for concurrent use.
type Backend struct {
	mu    sync.Mutex
	data  map[string]*dataset
	fails map[string]error         // by name; "" is every name
	hangs map[string]chan struct{} // closed on release
	total int
	calls map[call]int
}

type call struct{ op, name string }

// defaultData is the default of the setting data.
const defaultData = "default"

// NewBackend makes an empty one.
func NewBackend() *Backend {
	return &Backend{data: map[string]*dataset{}, fails: map[string]error{}, hangs: map[string]chan struct{}{}, calls: map[call]int{}}
}

// Set gives a secret of the default data a new version, whatever has become of it, as somebody else at the backend would.
// It is not counted as a call, and watches hear of it. It answers the version's id.
func (b *Backend) Set(name, value string) string {
	return b.dataset(defaultData).set(name, sdk.SensitiveString(value))
}

// Delete removes a secret of the default data beyond recovery, if there is one.
func (b *Backend) Delete(name string) {
	_ = b.dataset(defaultData).purge(name) // a secret that is not there is gone already
}

// dataset gives the secrets that stores with the same setting data share.
func (b *Backend) dataset(name string) *dataset {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.data[name]
	if d == nil {
		d = newDataset()
		b.data[name] = d
	}
	return d
}
