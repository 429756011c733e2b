package main

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/keyway-dev/keyway/sdk"
)

// A sealed file is
//
//	"keyway\x00" | format, 1 byte | key id, 16 bytes | SHA-256 of these, first 8 bytes | XChaCha20-Poly1305 (nonce, text, tag)
//
// with everything before the nonce as associated data. The sum tells a damaged header from another key: without it, one bit
// flipped in the key id would read as "wrong key".
const (
	magic      = "keyway\x00"
	format     = 1
	keyIDSize  = 16 // bytes
	sumSize    = 8  // bytes
	headerSize = len(magic) + 1 + keyIDSize + sumSize
	nonceSize  = 24 // bytes; random ones of this size never meet, however often a file is written
	tagSize    = 16 // bytes
)

// keys is what comes out of the settings' key. Each use has a key of its own, so that nothing sealed for one use opens as
// another.
type keys struct {
	id   []byte // of the settings' key; safe to print
	file tink.AEAD
	data map[string]dataKey // by each name that a caller may use
}

func newKeys(master sdk.Sensitive, names []string) (*keys, error) {
	id, err := derive(master, "keyway local: key id", keyIDSize)
	if err != nil {
		return nil, err
	}
	file, err := cipher(master, "keyway local: file")
	if err != nil {
		return nil, err
	}
	k := &keys{id: id.Reveal(), file: file, data: map[string]dataKey{}}
	for _, name := range append([]string{k.String()}, names...) {
		if k.data[name], err = newDataKey(master, name); err != nil {
			return nil, err
		}
	}
	k.data[""] = k.data[k.String()]
	return k, nil
}

// String gives the id of the settings' key, for people to compare.
func (k *keys) String() string { return hex.EncodeToString(k.id) }

// derive makes a key of one use. No use's text begins another's.
func derive(master sdk.Sensitive, use string, size int) (sdk.Sensitive, error) {
	raw, err := hkdf.Key(sha256.New, master.Reveal(), nil, use, size)
	return sdk.NewSensitive(raw), err
}

func cipher(master sdk.Sensitive, use string) (tink.AEAD, error) {
	key, err := derive(master, use, keySize)
	if err != nil {
		return nil, err
	}
	return subtle.NewXChaCha20Poly1305(key.Reveal())
}

func (k *keys) header() []byte { return k.headerOf(format) }

func (k *keys) headerOf(format byte) []byte {
	h := append([]byte(magic), format)
	h = append(h, k.id...)
	sum := sha256.Sum256(h)
	return append(h, sum[:sumSize]...)
}

// seal encrypts the text of a file.
func (k *keys) seal(text sdk.Sensitive) ([]byte, error) {
	h := k.header()
	box, err := k.file.Encrypt(text.Reveal(), h)
	if err != nil {
		return nil, err
	}
	return append(h, box...), nil
}

// open undoes seal. Errors are DataLoss for a file that was cut or changed, Unauthenticated for one that another key has
// sealed, and Unavailable for a format of a later version.
func (k *keys) open(sealed []byte) (sdk.Sensitive, error) {
	if len(sealed) < headerSize+nonceSize+tagSize {
		return sdk.Sensitive{}, sdk.Errorf(sdk.DataLoss, "damaged: %d bytes are too few for a Keyway store", len(sealed))
	}
	h := sealed[:headerSize]
	sum := sha256.Sum256(h[:headerSize-sumSize])
	if !bytes.HasPrefix(h, []byte(magic)) || !bytes.Equal(h[headerSize-sumSize:], sum[:sumSize]) {
		return sdk.Sensitive{}, sdk.Errorf(sdk.DataLoss, "damaged, or not a Keyway store: its header is wrong")
	}
	if f := h[len(magic)]; f != format {
		return sdk.Sensitive{}, sdk.Errorf(sdk.Unavailable, "written in format %d, and this plugin reads format %d; use a newer plugin", f, format)
	}
	if id := h[len(magic)+1 : headerSize-sumSize]; !bytes.Equal(id, k.id) {
		return sdk.Sensitive{}, sdk.Errorf(sdk.Unauthenticated, "sealed with another key (the file's key id is %x, the settings' is %v)", id, k)
	}
	text, err := k.file.Decrypt(sealed[headerSize:], h)
	if err != nil {
		return sdk.Sensitive{}, sdk.Errorf(sdk.DataLoss, "damaged: the content does not match its tag")
	}
	return sdk.NewSensitive(text), nil
}
