// Package sdk is the contract between Keyway's host and a provider: code that speaks to one kind of secret manager.
//
// A provider is a settings struct, a function that opens a store from it, and the capability interfaces the store has:
//
//	type Settings struct {
//		Address string        `json:"address" keyway:"required" doc:"Where the vault listens."`
//		Token   sdk.Sensitive `json:"token" keyway:"required" doc:"How to log in."`
//	}
//
//	func open(ctx context.Context, env sdk.Env, s Settings) (*store, error) { … }
//
//	func main() { serve.Main(sdk.Define(sdk.About{Name: "myvault", Version: "1.0.0"}, open)) }
//
// # Which interfaces to implement
//
// [Store] is the base and the only one required. Each further interface is one capability; leave out what the backend
// cannot do, since an absent method is answered as [Unimplemented] and a stub is a lie:
//
//   - [Getter] reads one secret, [BatchGetter] many in fewer calls of the backend's own batch.
//   - [Stater], [Lister] and [Versioner] tell about secrets, never their values.
//   - [Putter], [Deleter] and [Restorer] change them.
//   - [Encrypter] and [Decrypter] use a key that stays in the backend.
//   - [Watcher] hints that something changed.
//
// Some request fields stand behind a refinement word ([CanGetVersion], [CanPutIfAbsent], …), because losing them in
// silence would do harm. A settings type claims the ones its stores honour in its method
//
//	Capabilities(methods Capabilities) Capabilities
//
// which gets what the store's methods show and answers what a store with these settings can do. Two more optional methods
// of a settings type are pure functions of it: Validate() []Problem for rules across fields, and Reach() Reach for the
// network endpoints and files that its stores use.
//
// # Rules
//
//   - Opening a store sends nothing to the backend. Log in on the first call.
//   - The only network is [Env]'s DialContext and HTTPClient.
//   - Values are 1 byte to [MaxValue] bytes. Put then Get answers the same bytes.
//   - Names and versions are text by [CheckName] and [CheckVersion]; the host and serve have checked them before a call.
//   - Errors carry a [Code], say "op object: reason", and never hold a value.
//   - Every method returns soon after its context ends.
//
// The package imports the standard library only, so that a module which imports it inherits nothing.
package sdk
