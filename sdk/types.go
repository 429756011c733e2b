package sdk

import "time"

// Limits of the contract. A provider may have smaller ones; it answers InvalidArgument beyond them.
const (
	MaxValue   = 1 << 20 // bytes of one value, plaintext or ciphertext
	MaxMessage = 4 << 20 // bytes of one message on the wire, gRPC's own default
	MaxBatch   = 100     // names in one GetBatch
	MaxPage    = 500     // items a page may be asked for
	MaxName    = 1024    // bytes of a name, key or version
)

// Report is what Check learned.
type Report struct {
	Identity string   // whom the backend takes us for: an ARN, a token's display name
	Notes    []string // true but worth knowing: "the token ends in 2 h and cannot be renewed"
}

// GetRequest names one secret. Version is an id, or an alias that the backend's own read takes there; empty means
// current. A version is only set where the store has [CanGetVersion].
type GetRequest struct{ Name, Version string }

// Secret is one version of a secret.
type Secret struct {
	Value     Sensitive
	Version   string    // always an id, never an alias; empty where reads do not tell
	MediaType string    // a hint; "application/json" for a document
	Created   time.Time // zero where unknown
	Expires   time.Time // end of a lease; the host caches no longer than this. Zero: never
}

// BatchRequest holds 1 to [MaxBatch] distinct names.
type BatchRequest struct{ Names []string }

// GetResult is the answer for one name of a batch: a secret, or why not.
type GetResult struct {
	Secret Secret
	Err    error
}

// StatRequest names one secret.
type StatRequest struct{ Name string }

// Meta describes a secret without its value. Fields a backend does not tell stay zero.
type Meta struct {
	Name        string // Get(Name) works
	Version     string // current; may be empty in a list
	Description string
	Labels      map[string]string
	Created     time.Time
	Updated     time.Time
	Expires     time.Time
}

// ListRequest asks for one page of live secrets whose whole name begins with Prefix. PageSize is 1 to [MaxPage].
type ListRequest struct {
	Prefix    string
	PageToken string // Next of the page before; empty for the first
	PageSize  int
}

// ListPage is one page; an empty Next ends the listing.
type ListPage struct {
	Items []Meta
	Next  string
}

// VersionsRequest asks for one page of the versions of a secret. PageSize is 1 to [MaxPage].
type VersionsRequest struct {
	Name      string
	PageToken string
	PageSize  int
}

// VersionsPage is one page; an empty Next ends the listing.
type VersionsPage struct {
	Versions []Version
	Next     string
}

// Version is one version of a secret, without its value.
type Version struct {
	Version string
	Current bool
	State   State
	Aliases []string // names the backend gives it: "AWSPREVIOUS"
	Created time.Time
	Expires time.Time
}

// State is what has become of a version. The numbers are the wire's.
type State int

// States of a version. Deleted is recoverable, destroyed is not.
const (
	StateUnknown State = iota
	StateEnabled
	StateDisabled
	StateDeleted
	StateDestroyed
)

var stateNames = [...]string{"unknown", "enabled", "disabled", "deleted", "destroyed"}

// String gives the state as a lower-case word.
func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return stateNames[0]
	}
	return stateNames[s]
}

// PutRequest writes one secret. Description and Labels stand behind [CanPutLabels] and are given to a secret that this
// Put creates; one that exists keeps its own.
type PutRequest struct {
	Name           string
	Value          Sensitive
	If             Precondition
	Description    string
	Labels         map[string]string
	IdempotencyKey string // a hint of 32 to 64 bytes: where the backend can tell, repeating it adds no version
}

// PutResult names the version that Put made; empty where the backend does not tell.
type PutResult struct{ Version string }

// Precondition is what must hold for a Put to happen. The zero value is none.
type Precondition struct {
	absent  bool
	compare bool // keeps IfVersion of an empty version apart from no precondition
	version string
}

// IfAbsent lets a Put only create: AlreadyExists otherwise. It stands behind [CanPutIfAbsent].
func IfAbsent() Precondition { return Precondition{absent: true} }

// IfVersion lets a Put happen only while version v is current: Aborted otherwise. It stands behind [CanPutIfVersion].
// An empty v is InvalidArgument at the Put: it must not write as if there were no condition.
func IfVersion(v string) Precondition { return Precondition{compare: true, version: v} }

// Absent reports whether this is IfAbsent.
func (p Precondition) Absent() bool { return p.absent }

// Version gives IfVersion's version, or an empty text.
func (p Precondition) Version() string { return p.version }

// IsZero reports whether there is no precondition.
func (p Precondition) IsZero() bool { return p == Precondition{} }

// DeleteRequest removes one secret. Purge stands behind [CanPurge] and means beyond recovery when the call returns;
// RecoveryWindow stands behind [CanDeleteWindow] and means recoverable for at least that long. Zero values ask for the
// safest the backend has.
type DeleteRequest struct {
	Name           string
	Purge          bool
	RecoveryWindow time.Duration
}

// DeleteResult tells whether Restore can undo the delete, and until when (zero: unknown).
type DeleteResult struct {
	Recoverable bool
	Until       time.Time
}

// RestoreRequest names one deleted secret.
type RestoreRequest struct{ Name string }

// EncryptRequest encrypts Plaintext. An empty Key means the key of the settings. AAD stands behind [CanAAD].
type EncryptRequest struct {
	Key       string
	Plaintext Sensitive
	AAD       []byte
}

// EncryptResult holds the ciphertext and the key (with its version, if the backend names it) that Decrypt accepts.
type EncryptResult struct {
	Ciphertext []byte
	Key        string
}

// DecryptRequest undoes EncryptRequest with the same AAD.
type DecryptRequest struct {
	Key        string
	Ciphertext []byte
	AAD        []byte
}

// DecryptResult holds the plaintext and the key that was used.
type DecryptResult struct {
	Plaintext Sensitive
	Key       string
}

// Event hints that a secret may have changed. An empty name means that anything may have.
type Event struct{ Name, Version string }
