package example

import (
	"context"

	"github.com/keyway-dev/keyway/sdk"
)

// Put writes one version. The precondition is judged by the backend, together with the write: a provider that reads first
// and writes then loses a race that it promised to win.
func (st *store) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	name, err := st.call(ctx, "put", r.Name)
	if err != nil {
		return sdk.PutResult{}, err
	}
	id, err := st.data.put(name, r)
	return sdk.PutResult{Version: id}, classify("put", r.Name, err)
}

// Delete removes a secret so that Restore can bring it back, unless it is told to purge.
func (st *store) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	name, err := st.call(ctx, "delete", r.Name)
	if err != nil {
		return sdk.DeleteResult{}, err
	}
	if r.Purge {
		return sdk.DeleteResult{}, classify("delete", r.Name, st.data.purge(name))
	}
	until, err := st.data.remove(name, r.RecoveryWindow)
	if err != nil {
		return sdk.DeleteResult{}, classify("delete", r.Name, err)
	}
	return sdk.DeleteResult{Recoverable: true, Until: until}, nil
}

// Restore undoes a Delete that did not purge.
func (st *store) Restore(ctx context.Context, r sdk.RestoreRequest) error {
	name, err := st.call(ctx, "restore", r.Name)
	if err != nil {
		return err
	}
	return classify("restore", r.Name, st.data.restore(name))
}
