package image

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Digest is the SHA-256 of an image.
type Digest [sha256.Size]byte

const algorithm = "sha256:"

// String is "sha256:" and 64 hexadecimal digits.
func (d Digest) String() string { return algorithm + hex.EncodeToString(d[:]) }

// Short is enough of the digest for people to tell two apart: "sha256:9f2c41d07b3e".
func (d Digest) Short() string { return d.String()[:len(algorithm)+12] }

// IsZero reports whether there is no digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// ParseDigest reads what String gives.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	digits, ok := strings.CutPrefix(text, algorithm)
	if !ok || len(digits) != hex.EncodedLen(len(d)) || digits != strings.ToLower(digits) {
		return Digest{}, fmt.Errorf("a digest is %q and %d hexadecimal digits", algorithm, hex.EncodedLen(len(d)))
	}
	if _, err := hex.Decode(d[:], []byte(digits)); err != nil {
		return Digest{}, fmt.Errorf("a digest is %q and %d hexadecimal digits", algorithm, hex.EncodedLen(len(d)))
	}
	return d, nil
}

// DigestOf is the digest of what r gives, to its end.
func DigestOf(r io.Reader) (Digest, error) {
	h := sha256.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{r}, make([]byte, step)); err != nil {
		return Digest{}, err
	}
	return Digest(h.Sum(nil)), nil
}
