package sdk

import "context"

// Store is one configured connection to a backend, made by the function given to [Define]. All methods of a store may run
// at the same time; Close runs once, after all others have returned.
type Store interface {
	// Check makes one cheap call that changes nothing and tells whom the backend takes us for. Its errors are those of a
	// login: Unauthenticated, PermissionDenied, Unavailable.
	Check(ctx context.Context) (Report, error)
	// Close frees what the store holds; it may end a session at the backend. ctx bounds it, and whatever it leaves
	// undone is lost.
	Close(ctx context.Context) error
}

// Getter reads one secret: capability "get". An absent secret or version is NotFound; one that exists but is disabled or
// deleted recoverably is FailedPrecondition. The answer's value is never empty.
type Getter interface {
	Get(ctx context.Context, r GetRequest) (Secret, error)
}

// BatchGetter reads the current versions of 1 to [MaxBatch] distinct names: capability "get_batch". It answers one result
// per name, in order, each with its own error, and splits the names to what its backend takes in a call. An error of
// the whole call that is NotFound, PermissionDenied, FailedPrecondition or InvalidArgument tells the host to ask one by
// one: a provider never falls back by itself, because that hides a batch which never works.
type BatchGetter interface {
	GetBatch(ctx context.Context, r BatchRequest) ([]GetResult, error)
}

// Stater tells about one secret without its value: capability "stat". Codes as for [Getter].
type Stater interface {
	Stat(ctx context.Context, r StatRequest) (Meta, error)
}

// Lister lists live secrets by a plain text prefix of the whole name, through folders: capability "list". A page may be
// short, even empty, while a token follows; every name it answers works in Get.
type Lister interface {
	List(ctx context.Context, r ListRequest) (ListPage, error)
}

// Versioner lists the versions of one secret, newest first: capability "versions".
type Versioner interface {
	Versions(ctx context.Context, r VersionsRequest) (VersionsPage, error)
}

// Putter writes a secret: capability "put". Without a precondition it creates the secret or adds a version. A failed
// precondition is AlreadyExists (IfAbsent) or Aborted (IfVersion) and has changed nothing.
type Putter interface {
	Put(ctx context.Context, r PutRequest) (PutResult, error)
}

// Deleter removes a secret in the way that is safest to undo, unless asked to purge: capability "delete". A missing
// secret is NotFound or no error, as the backend does; the host takes both as done.
type Deleter interface {
	Delete(ctx context.Context, r DeleteRequest) (DeleteResult, error)
}

// Restorer brings a recoverably deleted secret back: capability "restore". A secret that is not deleted is no error; one
// that is beyond recovery is NotFound.
type Restorer interface {
	Restore(ctx context.Context, r RestoreRequest) error
}

// Encrypter encrypts with a key that stays in the backend: capability "encrypt".
type Encrypter interface {
	Encrypt(ctx context.Context, r EncryptRequest) (EncryptResult, error)
}

// Decrypter undoes [Encrypter]: capability "decrypt". It accepts the key that Encrypt answered. A ciphertext that is
// malformed or was made with other additional data is InvalidArgument.
type Decrypter interface {
	Decrypt(ctx context.Context, r DecryptRequest) (DecryptResult, error)
}

// Watcher reports hints that secrets may have changed: capability "watch". It returns when ctx ends. The first event is
// Event{}, sent once subscribed: from there on it reports. An event is a hint, so it may repeat and need not be ordered.
type Watcher interface {
	Watch(ctx context.Context, emit func(Event) error) error
}
