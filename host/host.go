package host

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/cache"
	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/internal/readmap"
	"github.com/keyway-dev/keyway/host/internal/store"
	"github.com/keyway-dev/keyway/host/source"
	"github.com/keyway-dev/keyway/sdk"
)

// What the host reads itself costs little and may change at any time (a projected token, say), so it is not kept long.
const (
	sourceTTL     = 10 * time.Second
	sourceTimeout = 10 * time.Second
)

// Host is an open configuration. All methods are safe for concurrent use.
type Host struct {
	cfg          *config.Config
	current      atomic.Pointer[config.Config] // cfg with the settings and versions of the last reload
	log          *slog.Logger
	sources      *source.Sources
	sourcePolicy cache.Policy
	cache        *cache.Cache[*Value]
	bindings     readmap.Map[*binding]
	table        *store.Table
	members      atomic.Pointer[map[string]*member] // replaced when a store is added
	fleet        *fleet
	swaps        swaps
	audit        *recorder // nil: nothing is recorded
	hosted       map[string]bool
	fallbacks    sync.Map // names that the environment answered for the store

	ctx       context.Context // ends with Close; background work hangs on it
	stop      context.CancelFunc
	mu        sync.Mutex
	closed    bool
	closeDone chan struct{}
	wg        sync.WaitGroup
}

// member is one store of the configuration.
type member struct {
	name    string
	cfg     config.Store
	plugin  atomic.Pointer[running] // what serves it
	store   *store.Store
	policy  cache.Policy
	singly  atomic.Int64 // batches that the backend refused as a whole
	ready   atomic.Bool  // a required store has answered
	reopen  chan struct{}
	secrets settingsRefs
	recent  recent
	trial   atomic.Pointer[trial] // of the last swap, while it is watched
}

// Open opens a configuration: config.Load's, litellm's, or a literal. It checks all of it, starts the plugins and opens the
// stores; ctx bounds Open only.
//
// What is wrong in the configuration stops it: the problems come as one *config.Error, with file, line and field of each
// (InvalidArgument). So do a plugin that is missing or does not start, and a required store whose backend refuses us. A
// backend that cannot be reached does not stop it: that is a state, which [Host.Ready] and [Host.Stores] tell, and which
// mends itself.
func Open(ctx context.Context, cfg *config.Config, opts ...Option) (*Host, error) {
	o := newOptions(opts)
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, log: o.logger, hosted: map[string]bool{}}
	h.current.Store(cfg)
	for _, n := range cfg.References.HostedNames {
		h.hosted[n] = true
	}
	if err := h.open(ctx, o); err != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), sourceTimeout)
		defer cancel()
		return nil, errors.Join(err, h.Close(closing))
	}
	return h, nil
}

func (h *Host) open(ctx context.Context, o options) error {
	all := h.cfg.CacheOf("")
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.cache = cache.New(cache.Options[*Value]{MaxEntries: all.MaxEntries, MaxBytes: all.MaxBytes, MarkStale: markStale})
	h.table = store.NewTable(o.openStore)
	h.members.Store(&map[string]*member{})
	h.swaps.trials = map[string]*trial{}
	h.fleet = &fleet{given: o.providers}
	recorder, err := h.newRecorder(o.audit)
	if err != nil {
		return err
	}
	h.audit = recorder
	po := pluginOptions(h.cfg, o)
	if h.audit != nil {
		po.Events = h.audit.plugin
	}
	h.fleet.catalog = plugin.NewCatalog(po)
	h.sourcePolicy = policyOf(all, sourceTimeout)
	h.sourcePolicy.TTL = min(h.sourcePolicy.TTL, sourceTTL)
	sources, err := source.New(sourceOptions(h.cfg, o))
	if err != nil {
		return err
	}
	h.sources = sources
	serving, err := h.startPlugins(ctx)
	if err != nil {
		return err
	}
	if err := h.checkSettings(serving); err != nil {
		return err
	}
	members := map[string]*member{}
	for name, r := range serving {
		members[name] = h.newMember(name, h.cfg.Stores[name], r)
	}
	h.members.Store(&members)
	return h.openStores(ctx)
}

func pluginOptions(cfg *config.Config, o options) plugin.Options {
	out := plugin.Configured(cfg)
	out.RunDir, out.Logger, out.Env = o.runDir, o.logger, o.pluginEnv
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := o.environ(name); ok {
			out.Proxy = append(out.Proxy, name+"="+value)
		}
	}
	return out
}

func sourceOptions(cfg *config.Config, o options) source.Options {
	roots := make([]string, len(cfg.Sources.File))
	for i, r := range cfg.Sources.File {
		roots[i] = cfg.Abs(r)
	}
	cred, _ := o.environ("CREDENTIALS_DIRECTORY")
	return source.Options{Env: o.environ, EnvPatterns: cfg.Sources.Env, FileRoots: roots, CredDir: cred}
}

func policyOf(c config.Cache, load time.Duration) cache.Policy {
	return cache.Policy{TTL: c.TTL, NegativeTTL: c.NegativeTTL, SoftTimeout: c.SoftTimeout, LoadTimeout: load,
		MaxStaleUnreachable: c.MaxStaleUnreachable, MaxStaleDeleted: c.MaxStaleDeleted, MaxStaleDenied: c.MaxStaleDenied}
}

// What each access lets a store be used for.
const (
	readAccess = sdk.CanGet | sdk.CanGetVersion | sdk.CanGetBatch | sdk.CanStat | sdk.CanList | sdk.CanVersions |
		sdk.CanDecrypt | sdk.CanAAD | sdk.CanWatch
	writeAccess = sdk.CanPut | sdk.CanPutIfAbsent | sdk.CanPutIfVersion | sdk.CanPutLabels | sdk.CanDelete | sdk.CanPurge |
		sdk.CanDeleteWindow | sdk.CanRestore | sdk.CanEncrypt | sdk.CanAAD
)

func allowed(a config.Access) (c sdk.Capabilities) {
	if a.CanRead() {
		c |= readAccess
	}
	if a.CanWrite() {
		c |= writeAccess
	}
	return c
}

// stores gives the members by name; the map does not change.
func (h *Host) stores() map[string]*member { return *h.members.Load() }

func (h *Host) newMember(name string, c config.Store, r *running) *member {
	limits := store.Limits{Rate: c.Limits.Rate, Burst: c.Limits.Burst, Concurrency: c.Limits.Concurrency, Timeout: c.Limits.Timeout}
	load := limits.Timeout
	if load <= 0 {
		load = store.DefaultTimeout
	}
	m := &member{name: name, cfg: c, policy: policyOf(h.cfg.CacheOf(name), load), reopen: make(chan struct{}, 1)}
	m.plugin.Store(r)
	m.configure(c, h.cfg.AbsPaths(name, r.schema))
	m.store = h.table.Add(store.Spec{
		Name: name, Provider: r, Allow: allowed(c.Access), Limits: limits, Logger: h.log,
		Settings: func(ctx context.Context) (sdk.Sensitive, error) { return h.settings(ctx, m) },
		Changed:  func(e sdk.Event) { h.changed(m, e) },
		Observe:  func(o store.Observation) { h.observe(m, o) },
	})
	return m
}

// observe is told of every call on the store.
func (h *Host) observe(m *member, o store.Observation) {
	h.audit.call(m, o)
	if o.Err == nil && o.Op == "get" && o.Version == "" {
		m.recent.add(o.Name)
	}
	if t := m.trial.Load(); t != nil {
		t.observe(m, o)
	}
}

// member finds a configured store.
func (h *Host) member(name string) (*member, error) {
	if m := h.stores()[name]; m != nil {
		return m, nil
	}
	return nil, sdk.Errorf(sdk.NotFound, "there is no store %q in the configuration; it has %s", name, storeNames(h.stores()))
}

// changed has what a store says may have changed read anew; live values at once. The older value stays for the time in which
// the store cannot be reached.
func (h *Host) changed(m *member, e sdk.Event) {
	expire, name := h.cache.Expire, e.Name
	if name == "" {
		expire = h.cache.ExpireAll
	}
	h.keys(m.name, name, expire)
}

// forget has the next read of a secret ask the store: this host has just changed it.
func (h *Host) forget(store, name string) { h.keys(store, name, h.cache.Invalidate) }

// keys gives the cache's keys of the current version of a secret, or what those of all secrets of a store begin with.
func (h *Host) keys(store, name string, f func(key string)) {
	if name == "" {
		f(key("secret", store, ""))
	} else {
		f(secretKey(store, name, ""))
	}
	if h.cfg.References.DefaultStore == store {
		f(key("environ", name))
	}
}

// spawn runs f on a goroutine that Close waits for; false when the host is closed.
func (h *Host) spawn(f func(ctx context.Context)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.wg.Go(func() { f(h.ctx) })
	return true
}

// Close ends everything the host started: it lets running calls finish until ctx ends, closes the stores and stops the
// plugins. Lives keep their last value. Calling it again waits for the first call.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	if h.closeDone != nil {
		done := h.closeDone
		h.mu.Unlock()
		<-done
		return nil
	}
	h.closed, h.closeDone = true, make(chan struct{})
	defer close(h.closeDone)
	h.mu.Unlock()
	h.stop()
	h.cache.Close()
	h.table.Close(ctx)
	h.wg.Wait()
	failed := stopAll(ctx, h.fleet.plugins())
	failed = append(failed, h.audit.close(ctx))
	if h.sources != nil {
		failed = append(failed, h.sources.Close())
	}
	return errors.Join(failed...)
}

func stopAll(ctx context.Context, plugins []*running) []error {
	var mu sync.Mutex
	var failed []error
	var wg sync.WaitGroup
	for _, p := range plugins {
		if p.process == nil {
			continue
		}
		wg.Go(func() {
			if err := p.process.Stop(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			}
		})
	}
	wg.Wait()
	return failed
}

var _ store.Session = (*plugin.Generation)(nil)
