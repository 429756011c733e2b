// Package refs reads the texts that name a secret, and selects one field of a JSON secret.
//
//	secret://STORE/NAME[?version=V][#/json/pointer]   a secret of a store, or of the host's own sources env, file and cred
//	decrypt://STORE/BASE64URL                         a ciphertext, decrypted by a store that can
//	os.environ/NAME                                   LiteLLM's form: NAME in the default store or the environment
//	oidc/PROVIDER/AUDIENCE                            LiteLLM's form: an identity token of the place we run at
//
// A reference is a whole text, or stands inside one as ${secret://…}; see [Split]. Texts are parsed once, when
// configuration is read: the zero-allocation path works on the parsed [Ref], which is comparable and so a map key.
//
// Everything here is pure and safe for concurrent use.
package refs
