package config

import (
	"fmt"
	"time"
)

// Config is keyway.yaml. Parse it from the file, or write it as a literal; a literal's zero fields mean the defaults. It
// must not change once it is given to a host.
type Config struct {
	File       string           `yaml:"-"` // where it came from, for messages and relative paths; "" for a literal
	Version    int              `yaml:"version" keyway:"required" enum:"1" doc:"version of this file's format"`
	Name       string           `yaml:"name" doc:"name of this host in audit, metrics and leases; default: the machine's"`
	Plugins    Plugins          `yaml:"plugins" doc:"where provider plugins are"`
	Stores     map[string]Store `yaml:"stores" doc:"the secret stores, by the name that references use"`
	References References       `yaml:"references" doc:"what LiteLLM's os.environ/NAME means"`
	Sources    Sources          `yaml:"sources" doc:"what the host itself may read"`
	Cache      Cache            `yaml:"cache" doc:"how long values are kept; a store may differ"`
	Listeners  []Listener       `yaml:"listeners" doc:"where keyway serve listens; default: keyway.sock in the user's runtime folder, or beside this file"`
	Audit      Audit            `yaml:"audit" doc:"the record of who read and changed what; never a value"`

	at places
}

// Plugins says where the plugin files are.
type Plugins struct {
	// Dir is relative to the configuration's folder. Read it through [Config.PluginDir].
	Dir string `yaml:"dir" default:"plugins" doc:"folder of the plugin files, <name> or <name>-<version>"`
	// Lock is relative to the configuration's folder. Read it through [Config.LockFile].
	Lock string `yaml:"lock" doc:"lock file: which version of each plugin runs, and the digests it must have; default: none"`
	// Unlocked is "refuse" or "warn"; "" is refuse with a lock file, and silence without.
	Unlocked string `yaml:"unlocked" enum:"refuse,warn" doc:"what becomes of a plugin that the lock file does not list; default: refused with a lock file, run without"`
	// Trust holds minisign public keys by provider: with any, the provider's plugin must be signed by one of them.
	Trust   map[string][]string `yaml:"trust" doc:"minisign keys, one of which must have signed the plugin of this provider"`
	Sandbox string              `yaml:"sandbox" default:"best_effort" enum:"strict,best_effort,off" doc:"confinement of plugins: all layers or none starts, those that the system has, none"`
	// Allow widens what the plugin of one provider may do.
	Allow map[string]Allow `yaml:"allow" doc:"what the plugin of this provider may do beyond its confinement"`
}

// Listener is one place where keyway serve listens.
type Listener struct {
	// Unix is relative to the configuration's folder.
	Unix  string `yaml:"unix" keyway:"required" doc:"path of a Unix socket, open to the user that runs keyway and to root"`
	Group string `yaml:"group" doc:"name or number of a group whose members may connect too"`
}

// Audit says where the audit is written.
type Audit struct {
	// File is relative to the configuration's folder. Read it through [Config.Abs].
	File   string `yaml:"file" doc:"file of JSON lines; default: no audit"`
	Rotate int64  `yaml:"rotate" default:"100MiB" form:"size" doc:"size at which a new file is begun"`
	Keep   int    `yaml:"keep" default:"10" doc:"how many old files are kept"`
	// OnFailure is "refuse_changes" (as is "") or "continue".
	OnFailure string `yaml:"on_failure" default:"refuse_changes" enum:"refuse_changes,continue" doc:"what becomes of changes while the audit cannot be written; reads go on in any case"`
}

// Allow is what the operator lets the plugin of one provider do beyond what its stores need.
type Allow struct {
	Network string   `yaml:"network" default:"brokered" enum:"brokered,direct" doc:"brokered: the host dials for it; direct: it opens sockets itself, to the ports of its stores' endpoints"`
	Read    []string `yaml:"read" doc:"files and folders that it may read"`
	Execute []string `yaml:"execute" doc:"files and folders that it may execute: a script's interpreter and its libraries"`
	Memory  int64    `yaml:"memory" default:"256MiB" form:"size" doc:"most memory that it may allocate"`
}

// Store is one configured connection to a provider.
type Store struct {
	Provider string         `yaml:"provider" keyway:"required" doc:"name of the provider, as its plugin gives it"`
	Version  string         `yaml:"version" doc:"which versions of the plugin may serve, for example \">=1.2 <2\"; default: the newest"`
	Required bool           `yaml:"required" default:"false" doc:"not ready until this store has answered"`
	Access   Access         `yaml:"access" default:"read" enum:"read,write,read_write" doc:"what may be done with this store"`
	Settings map[string]any `yaml:"settings" doc:"what the provider needs; the plugin's own schema tells the keys"`
	Cache    *Cache         `yaml:"cache" doc:"how long values are kept, where this store differs"`
	Limits   Limits         `yaml:"limits" doc:"bounds on the calls to this store"`
	// Isolation is "shared" (as is ""), "dedicated" or "team".
	Isolation string `yaml:"isolation" default:"shared" enum:"shared,dedicated,team" doc:"shared: one process with the provider's other stores; dedicated: one of its own; team: with those of teams, without the machine's identity, files or private networks"`
	// Document makes names the top-level fields of the one JSON secret that it names.
	Document string `yaml:"document" doc:"names are fields of this one JSON secret"`
	// CiphertextFrom makes secret://STORE/NAME decrypt what NAME holds there: a store's name, or env, file or cred.
	CiphertextFrom string `yaml:"ciphertext_from" doc:"env, file, cred or a store: where the ciphertext of a name is, which this store decrypts"`
}

// References says what references without a store mean.
type References struct {
	DefaultStore string `yaml:"default_store" doc:"store that answers os.environ/NAME; default: the environment does"`
	// HostedNames limits which NAMEs the default store answers, others come from the environment. Nil: all; empty: none.
	HostedNames []string `yaml:"hosted_names" doc:"the names that the default store answers; default: all"`
	// Fallback is "none" (as is "") or "env": the environment answers a name that the store says does not exist.
	Fallback string `yaml:"fallback" default:"none" enum:"none,env" doc:"who answers a name that the default store says does not exist; never used after another failure"`
}

// Sources limits what the host reads by itself.
type Sources struct {
	// Env holds patterns of environment variables, as path.Match takes them. Nil: all may be read; empty: none.
	Env []string `yaml:"env" doc:"patterns of the variables that secret://env may read; default: all"`
	// File holds the folders that secret://file/NAME looks into, in order. Without one, no file may be read. They are
	// relative to the configuration's folder.
	File []string `yaml:"file" doc:"folders that secret://file may read; default: none"`
}

// Off is a duration of none, where zero means "not set": what 0s in the file becomes.
const Off time.Duration = -1

// Cache says how long values are kept and served. In a literal, and in a store's, a zero field inherits: from the
// configuration's cache, then from the defaults; [Off] means none. [Config.CacheOf] gives the outcome.
type Cache struct {
	TTL                 time.Duration `yaml:"ttl" default:"5m" keyway:"off" doc:"how long a value is served without asking again; 0s: not kept"`
	NegativeTTL         time.Duration `yaml:"negative_ttl" default:"10s" keyway:"off" doc:"how long an answer of not found is kept"`
	SoftTimeout         time.Duration `yaml:"soft_timeout" default:"500ms" keyway:"off" doc:"how long a read waits for the store while an older value may be served"`
	MaxStaleUnreachable time.Duration `yaml:"max_stale_unreachable" default:"1h" keyway:"off" doc:"how long after its last good read a value is served while the store is unreachable"`
	MaxStaleDeleted     time.Duration `yaml:"max_stale_deleted" default:"0s" keyway:"off" doc:"how long after its last good read a value is served although the store says it is gone"`
	MaxStaleDenied      time.Duration `yaml:"max_stale_denied" default:"0s" keyway:"off" doc:"how long after its last good read a value is served although the store refuses us"`
	MaxEntries          int           `yaml:"max_entries" default:"10000" doc:"most values that are kept"`
	MaxBytes            int64         `yaml:"max_bytes" default:"64MiB" form:"size" doc:"most bytes that are kept"`
}

// Limits bound the calls to one store. Zero fields do not bound.
type Limits struct {
	Rate        float64       `yaml:"rate" form:"rate" doc:"most calls in a second, minute or hour: 50/s, 100/m, 1000/h"` // per second
	Burst       int           `yaml:"burst" doc:"calls that may be made at once before rate counts"`
	Concurrency int           `yaml:"concurrency" doc:"most calls at the same time"`
	Timeout     time.Duration `yaml:"timeout" doc:"most time that one call may take"`
}

// Access says what may be done with a store, whatever its provider can do.
type Access uint8

// The kinds of access. The zero value is Read.
const (
	Read Access = iota
	Write
	ReadWrite
)

var accessWords = [...]string{"read", "write", "read_write"}

// CanRead reports whether secrets may be read, listed and decrypted.
func (a Access) CanRead() bool { return a != Write }

// CanWrite reports whether secrets may be written, deleted, restored and encrypted.
func (a Access) CanWrite() bool { return a == Write || a == ReadWrite }

// String gives the word in the file.
func (a Access) String() string {
	if int(a) < len(accessWords) {
		return accessWords[a]
	}
	return fmt.Sprintf("access(%d)", uint8(a))
}

// MarshalText gives the word in the file.
func (a Access) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the word in the file.
func (a *Access) UnmarshalText(text []byte) error {
	for i, w := range accessWords {
		if w == string(text) {
			*a = Access(i)
			return nil
		}
	}
	return fmt.Errorf("access must be one of read, write, read_write")
}
