// Package kinds names the candidates: each is one way in which a new version of a plugin can turn out.
package kinds

import (
	"strconv"
	"strings"
)

// Kind is one candidate's behaviour. One that begins with a read may be followed by "@N": its first N reads in a process are
// good ones. See [Kind.After].
type Kind string

// Candidates that do what they should.
const (
	Good      Kind = "good"
	NoVersion Kind = "no-version" // its reads do not tell versions, which is allowed
	Noise     Kind = "noise"      // prints lines of 300 KiB on both streams, before it serves and with every read
)

// Candidates that cannot be started, or are not what they should be.
const (
	Exits           Kind = "exits"            // ends with code 3 instead of serving; describes itself well
	Hangs           Kind = "hangs"            // never serves; describes itself well
	DescribeHangs   Kind = "describe-hangs"   // --describe does not end
	DescribeCrashes Kind = "describe-crashes" // serves, and panics at the call Describe
	OtherName       Kind = "other-name"       // calls itself "thief"
	OtherNameLive   Kind = "other-name-live"  // --describe says "bank", the running process "thief"
	OtherVersion    Kind = "other-version"    // calls itself version 9.9.9
	OldContract     Kind = "old-contract"     // shakes hands with protocol 0
	FutureContract  Kind = "future-contract"  // shakes hands with protocol 2
	HugeSchema      Kind = "huge-schema"      // a settings schema of 5 MB
	RemoteSchema    Kind = "remote-schema"    // a settings schema that refers to another document, by URL
	Direct          Kind = "direct"           // opens its sockets itself
)

// Candidates that start, and cannot do what the version before does for a store.
const (
	ReadOnly     Kind = "read-only"     // lacks put and delete
	NewEndpoint  Kind = "new-endpoint"  // also wants to dial collector.example:443
	NeedsSetting Kind = "needs-setting" // requires the new setting region
	CannotOpen   Kind = "cannot-open"   // opens no store: FailedPrecondition
	CannotLogin  Kind = "cannot-login"  // opens, and Check is Unauthenticated
)

// Candidates that go wrong with a read.
const (
	Crashes    Kind = "crashes"     // the process ends
	Panics     Kind = "panics"      // in the provider, which costs the call and not the process
	Stalls     Kind = "stalls"      // answers when the caller's deadline has passed
	Faulty     Kind = "faulty"      // one read in FaultyEvery is Internal
	OtherValue Kind = "other-value" // answers the value of the secret named OtherSecret
	Refuses    Kind = "refuses"     // InvalidArgument
	Forgets    Kind = "forgets"     // NotFound
	Hog        Kind = "hog"         // allocates HogBytes, and keeps them
	Big        Kind = "big"         // a value of 2 MiB, past its own SDK
	Empty      Kind = "empty"       // an empty value, past its own SDK
)

const (
	// FaultyEvery is which read of [Faulty] fails: every 20th, 5 %.
	FaultyEvery = 20
	// HogBytes is more than a plugin's default memory bound, and little enough for a machine where nothing bounds it.
	HogBytes = 768 << 20
	// OtherSecret is the secret whose value [OtherValue] answers for every name.
	OtherSecret = "other"
)

// All gives every kind.
func All() []Kind {
	return []Kind{Good, NoVersion, Noise,
		Exits, Hangs, DescribeHangs, DescribeCrashes, OtherName, OtherNameLive, OtherVersion, OldContract, FutureContract,
		HugeSchema, RemoteSchema, Direct,
		ReadOnly, NewEndpoint, NeedsSetting, CannotOpen, CannotLogin,
		Crashes, Panics, Stalls, Faulty, OtherValue, Refuses, Forgets, Hog, Big, Empty}
}

// WithoutSDK reports whether the kind breaks rules that the SDK keeps for every plugin, so that it is written without one.
// Such a candidate has no secret manager behind it and takes no "@N".
func (k Kind) WithoutSDK() bool {
	switch k {
	case DescribeHangs, DescribeCrashes, OtherNameLive, OldContract, FutureContract, HugeSchema, RemoteSchema, Big, Empty:
		return true
	}
	return false
}

// After gives the kind whose first n reads in each process are good ones.
func (k Kind) After(n int) Kind { return k + "@" + Kind(strconv.Itoa(n)) }

// Split undoes [Kind.After]; n is 0 for a kind without it.
func (k Kind) Split() (base Kind, n int) {
	name, count, _ := strings.Cut(string(k), "@")
	n, _ = strconv.Atoi(count)
	return Kind(name), n
}
