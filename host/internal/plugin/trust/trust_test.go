package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"

	"aead.dev/minisign"
	"golang.org/x/crypto/blake2b"
)

// pair makes a key, and what signs by it.
func pair(t *testing.T) (Key, minisign.PrivateKey) {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, public.String()), private
}

func parsed(t *testing.T, text string) Key {
	t.Helper()
	k, err := ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func verifyText(text string, signature []byte, keys ...Key) (string, error) {
	return Verify(strings.NewReader(text), int64(len(text)), signature, keys)
}

func TestEitherKindOfSignatureIsVerified(t *testing.T) {
	key, private := pair(t)
	other, _ := pair(t)
	old, oldSignature := legacy(t, []byte("plugin"))
	for name, c := range map[string]struct {
		key       Key
		signature []byte
	}{"hashed": {key, minisign.Sign(private, []byte("plugin"))}, "streamed": {key, streamed(private, "plugin")}, "legacy": {old, oldSignature}} {
		signer, err := verifyText("plugin", c.signature, other, key, old)
		if err != nil || signer != c.key.ID() {
			t.Errorf("%s: signer %q, %v, want %q", name, signer, err, c.key.ID())
		}
	}
}

func streamed(private minisign.PrivateKey, text string) []byte {
	r := minisign.NewReader(strings.NewReader(text))
	var sink bytes.Buffer
	_, _ = sink.ReadFrom(r)
	return r.Sign(private)
}

// legacy signs as minisign did before it hashed, with a key of its own.
func legacy(t *testing.T, text []byte) (Key, []byte) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw := append([]byte("Ed\x01\x02\x03\x04\x05\x06\x07\x08"), public...)
	s := minisign.Signature{Algorithm: minisign.EdDSA, KeyID: 0x0807060504030201, TrustedComment: "trusted", UntrustedComment: "untrusted"}
	copy(s.Signature[:], ed25519.Sign(private, text))
	copy(s.CommentSignature[:], ed25519.Sign(private, append(s.Signature[:], s.TrustedComment...)))
	signature, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, base64.StdEncoding.EncodeToString(raw)), signature
}

func TestWhatIsNotSignedByATrustedKeyIsRefused(t *testing.T) {
	key, private := pair(t)
	foreign, stranger := pair(t)
	old, oldSignature := legacy(t, []byte("plugin"))
	good := minisign.SignWithComments(private, []byte("plugin"), "version 1", "for people")
	for name, c := range map[string]struct {
		text      string
		signature []byte
		keys      []Key
		says      string
	}{
		"changed file":            {"plugim", good, []Key{key}, "does not fit"},
		"longer file":             {"plugin\n", good, []Key{key}, "does not fit"},
		"changed trusted comment": {"plugin", bytes.Replace(good, []byte("version 1"), []byte("version 2"), 1), []Key{key}, "does not fit"},
		"foreign key":             {"plugin", minisign.Sign(stranger, []byte("plugin")), []Key{key}, "signed by key " + foreign.ID() + ", and trusted is only " + key.ID()},
		"no key":                  {"plugin", good, nil, "trusted is no key"},
		"no signature":            {"plugin", nil, []Key{key}, "not one of minisign"},
		"cut off":                 {"plugin", good[:len(good)-20], []Key{key}, "not one of minisign"},
		"text":                    {"plugin", []byte("-----BEGIN PGP SIGNATURE-----"), []Key{key}, "not one of minisign"},
		"changed legacy file":     {"plugim", oldSignature, []Key{old}, "does not fit"},
	} {
		signer, err := verifyText(c.text, c.signature, c.keys...)
		if signer != "" || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: signer %q, %v, want an error with %q", name, signer, err, c.says)
		}
	}
}

// TestTheIDOfAKeyProvesNothing gives a stranger's signature the ID of a trusted key.
func TestTheIDOfAKeyProvesNothing(t *testing.T) {
	key, _ := pair(t)
	_, stranger := pair(t)
	var s minisign.Signature
	if err := s.UnmarshalText(minisign.Sign(stranger, []byte("plugin"))); err != nil {
		t.Fatal(err)
	}
	s.KeyID = key.public.ID()
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if signer, err := verifyText("plugin", text, key); err == nil {
		t.Errorf("a stranger's signature is taken for that of %q", signer)
	}
}

// TestAHashIsNotTheFile signs the hash of a file in the old way, which is no signature of the file.
func TestAHashIsNotTheFile(t *testing.T) {
	hash := blake2b.Sum512([]byte("plugin"))
	key, signature := legacy(t, hash[:])
	if signer, err := verifyText("plugin", signature, key); err == nil {
		t.Errorf("the old kind of signature of a hash is taken for that of %q", signer)
	}
}

func TestALargeFileNeedsTheNewKind(t *testing.T) {
	key, signature := legacy(t, []byte("x"))
	if _, err := Verify(strings.NewReader(""), maxLegacy+1, signature, []Key{key}); err == nil || !strings.Contains(err.Error(), "current minisign") {
		t.Errorf("a large file with the old kind of signature: %v, want what to do", err)
	}
}

func TestKeysAreReadAsMinisignWritesThem(t *testing.T) {
	const text = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
	k, err := ParseKey(text)
	if err != nil || k.ID() != "E7620F1842B4E81F" {
		t.Errorf("ParseKey = %v, %v, want key E7620F1842B4E81F", k.ID(), err)
	}
	if whole, err := ParseKey("untrusted comment: minisign public key E7620F1842B4E81F\n" + text); err != nil || whole.ID() != k.ID() {
		t.Errorf("ParseKey of the whole file = %v, %v, want the same key", whole.ID(), err)
	}
	for _, bad := range []string{"", "RWQ", text[:len(text)-1], "X" + text[1:], text + text} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("ParseKey(%q) gives a key", bad)
		}
	}
	if _, err := ParseKeys([]string{text, "x"}); err == nil || !strings.Contains(err.Error(), "key 2") {
		t.Errorf("ParseKeys with a bad second: %v, want that it is the second", err)
	}
}
