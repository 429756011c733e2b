package example

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// store is one open store. It holds nothing that changes: what calls share lives in the backend, behind its lock.
type store struct {
	settings Settings
	backend  *Backend
	data     *dataset
	log      *slog.Logger
}

// A capability is a method. These lines say which are meant, and fail to compile when a signature drifts.
var (
	_ sdk.Getter      = (*store)(nil)
	_ sdk.BatchGetter = (*store)(nil)
	_ sdk.Stater      = (*store)(nil)
	_ sdk.Lister      = (*store)(nil)
	_ sdk.Versioner   = (*store)(nil)
	_ sdk.Putter      = (*store)(nil)
	_ sdk.Deleter     = (*store)(nil)
	_ sdk.Restorer    = (*store)(nil)
	_ sdk.Encrypter   = (*store)(nil)
	_ sdk.Decrypter   = (*store)(nil)
	_ sdk.Watcher     = (*store)(nil)
)

// open makes a store. It sends nothing to the backend: a wrong token or an unreachable server shows at the first call, and
// a host can open a store to see whether its settings are right.
func open(b *Backend, env sdk.Env, s Settings) *store {
	d := b.dataset(s.Data)
	for name, value := range s.Seed {
		d.plant(s.Prefix+name, sdk.SensitiveString(value))
	}
	return &store{settings: s, backend: b, data: d, log: env.Logger}
}

// Check makes the cheapest call that shows whether the login works.
func (st *store) Check(ctx context.Context) (sdk.Report, error) {
	if _, err := st.call(ctx, "check", ""); err != nil {
		return sdk.Report{}, err
	}
	report := sdk.Report{Identity: "anonymous"}
	if !st.settings.Token.IsZero() {
		report.Identity = "token holder"
	}
	if st.settings.ReadOnly {
		report.Notes = []string{"the store is read-only"}
	}
	return report, nil
}

// Close has nothing to free: the data belong to the backend. The host has ended watches and calls before.
func (st *store) Close(context.Context) error { return nil }

// Get reads one secret.
func (st *store) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	name, err := st.read(ctx, "get", r.Name)
	if err != nil {
		return sdk.Secret{}, err
	}
	v, err := st.data.version(name, r.Version)
	if err != nil {
		return sdk.Secret{}, classify("get", r.Name, err)
	}
	return v.secret(), nil
}

// GetBatch reads many secrets in one call of the backend. Each name has its own answer; only what concerns the call as a
// whole is the call's error.
func (st *store) GetBatch(ctx context.Context, r sdk.BatchRequest) ([]sdk.GetResult, error) {
	full := make([]string, len(r.Names))
	for i, n := range r.Names {
		full[i] = st.settings.Prefix + n
	}
	if err := st.login(); err != nil {
		return nil, classify("get_batch", st.settings.Prefix, err)
	}
	st.backend.arrive("get_batch", full...)
	if err := sleep(ctx, st.settings.Delay); err != nil {
		return nil, classify("get_batch", st.settings.Prefix, err)
	}
	out := make([]sdk.GetResult, len(r.Names))
	for i, n := range r.Names {
		out[i].Secret, out[i].Err = st.item(ctx, n, full[i])
	}
	return out, nil
}

func (st *store) item(ctx context.Context, name, full string) (sdk.Secret, error) {
	if err := st.allow(ctx, name, full); err != nil {
		return sdk.Secret{}, classify("get", name, err)
	}
	v, err := st.data.version(full, "")
	if err != nil {
		return sdk.Secret{}, classify("get", name, err)
	}
	return v.secret(), nil
}

// call is what every call on a secret begins with. It answers the backend's name for name.
func (st *store) call(ctx context.Context, op, name string) (full string, err error) {
	full = st.settings.Prefix + name
	return full, classify(op, name, st.request(ctx, op, name, full))
}

// read is call for those that take the settings' delay.
func (st *store) read(ctx context.Context, op, name string) (full string, err error) {
	if full, err = st.call(ctx, op, name); err != nil {
		return "", err
	}
	return full, classify(op, name, sleep(ctx, st.settings.Delay))
}

func (st *store) request(ctx context.Context, op, name, full string) error {
	if err := st.login(); err != nil {
		return err
	}
	st.backend.arrive(op, full)
	err := st.allow(ctx, name, full)
	if err != nil {
		st.log.DebugContext(ctx, "call refused", "op", op, "code", codeOf(err)) // never a value
	}
	return err
}

// login stands for a session: a provider that has one logs in on the first call and shares it among all calls.
func (st *store) login() error {
	want := st.settings.RequireToken
	if !want.IsZero() && !want.Equal(st.settings.Token) {
		return errToken
	}
	return nil
}

func (st *store) allow(ctx context.Context, name, full string) error {
	if slices.Contains(st.settings.Denied, name) {
		return errDenied
	}
	return st.backend.admit(ctx, full)
}

// sleep waits as long as d or ctx, whichever ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
