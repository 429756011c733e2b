package image

import (
	"strings"
	"testing"
)

func TestADigestReadsWhatItWrites(t *testing.T) {
	d, err := DigestOf(strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if d.String() != want || d.Short() != want[:19] || d.IsZero() {
		t.Errorf("digest of abc = %v, short %v, zero %v; want %v", d, d.Short(), d.IsZero(), want)
	}
	if back, err := ParseDigest(d.String()); err != nil || back != d {
		t.Errorf("ParseDigest(%v) = %v, %v", d, back, err)
	}
}

func TestWhatIsNoDigestIsRefused(t *testing.T) {
	for _, text := range []string{"", "sha256:", "ba78", "sha1:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("0", 63),
		"sha256:" + strings.Repeat("0", 66), "sha256:" + strings.Repeat("A", 64), "sha256:" + strings.Repeat("g", 64)} {
		if d, err := ParseDigest(text); err == nil || !d.IsZero() {
			t.Errorf("ParseDigest(%q) = %v, %v, want an error", text, d, err)
		}
	}
}
