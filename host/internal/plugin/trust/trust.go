// Package trust verifies who signed a plugin: minisign signatures by keys that the operator declares.
package trust

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"aead.dev/minisign"
)

// Suffix is what a signature's file is called beyond the file that it signs.
const Suffix = ".minisig"

// MaxSignature bounds a signature's file, in bytes: the signature and two comments.
const MaxSignature = 16 << 10

// maxLegacy bounds what a signature of the old kind may sign: it needs all of the bytes in memory.
const maxLegacy = 128 << 20

// Key is a public key.
type Key struct{ public minisign.PublicKey }

// ParseKey reads a key as minisign writes it: "RW" and 54 more characters, or the whole .pub file.
func ParseKey(text string) (Key, error) {
	var k Key
	if err := k.public.UnmarshalText([]byte(text)); err != nil {
		return Key{}, errors.New("not a minisign public key: it is the second line of a .pub file, RW and 54 more characters")
	}
	return k, nil
}

// ParseKeys is ParseKey for several.
func ParseKeys(texts []string) ([]Key, error) {
	var keys []Key
	for i, text := range texts {
		k, err := ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// ID names the key as minisign does, 16 hexadecimal digits. It is for people and proves nothing.
func (k Key) ID() string { return id(k.public.ID()) }

func id(n uint64) string { return fmt.Sprintf("%016X", n) }

// Verify verifies that one of the keys signed the first size bytes of image, and gives the key's ID. The error says what to
// do: it names the key that signed and the keys that are trusted.
func Verify(image io.ReaderAt, size int64, signature []byte, keys []Key) (signer string, err error) {
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return "", errors.New("its signature file is not one of minisign")
	}
	at := slices.IndexFunc(keys, func(k Key) bool { return k.public.ID() == s.KeyID })
	if at < 0 {
		return "", fmt.Errorf("it is signed by key %s, and trusted is %s; get the publisher's signature, or add the key to plugins.trust", id(s.KeyID), names(keys))
	}
	good, err := verify(io.NewSectionReader(image, 0, size), s.Algorithm, signature, keys[at].public)
	if err != nil {
		return "", err
	}
	if !good {
		return "", fmt.Errorf("its signature by key %s does not fit: the file, its signature or the signature's comment was changed, or the signature is of another build; get both again", keys[at].ID())
	}
	return keys[at].ID(), nil
}

func verify(image *io.SectionReader, algorithm uint16, signature []byte, key minisign.PublicKey) (bool, error) {
	if algorithm == minisign.HashEdDSA {
		r := minisign.NewReader(image)
		if _, err := io.Copy(io.Discard, r); err != nil {
			return false, fmt.Errorf("reading it: %w", err)
		}
		return r.Verify(key, signature), nil
	}
	if image.Size() > maxLegacy {
		return false, fmt.Errorf("its signature is of minisign's old kind, which is taken for files up to %d MiB; sign it with a current minisign", maxLegacy>>20)
	}
	all := make([]byte, image.Size())
	if _, err := io.ReadFull(image, all); err != nil {
		return false, fmt.Errorf("reading it: %w", err)
	}
	return minisign.Verify(key, all, signature), nil
}

func names(keys []Key) string {
	if len(keys) == 0 {
		return "no key"
	}
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID()
	}
	return "only " + strings.Join(ids, ", ")
}
