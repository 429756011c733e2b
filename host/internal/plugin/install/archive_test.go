package install

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/keyway-dev/keyway/sdk"
)

// member is a file of an archive.
type member struct {
	header  tar.Header
	content string
}

func file(name string, mode int64, content string) member {
	return member{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}, content}
}

// archive packs members.
func archive(t *testing.T, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, m := range members {
		if err := w.WriteHeader(&m.header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAnArchiveOfOneProgramIsInstalled(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(t)
	s.Trust = map[string][]string{"vault": {public.String()}}
	program := describes(s.ran, "vault", "1.2.0", "")
	s.Source = filepath.Join(t.TempDir(), "vault_linux_amd64.tar.gz")
	s.write(s.Source, string(archive(t, file("./vault", 0o755, program), file("vault.minisig", 0o644, string(minisign.Sign(private, []byte(program)))))))
	if r, err := s.install(); err != nil || r.Signer == "" {
		t.Fatalf("Install: %+v, %v", r, err)
	}
	s.wantFolder("vault-1.2.0", "vault-1.2.0.minisig")
}

func TestHostileArchivesAreRefused(t *testing.T) {
	good := func(ran string) member { return file("vault", 0o755, describes(ran, "vault", "1.2.0", "")) }
	link := func(kind byte, name, to string) member {
		return member{tar.Header{Typeflag: kind, Name: name, Linkname: to, Mode: 0o755}, ""}
	}
	s := newShop(t)
	g := good(s.ran)
	packed := archive(t, g)
	for name, c := range map[string]struct {
		content []byte
		says    string
	}{
		"path out of it":        {archive(t, file("../vault", 0o755, "x")), "not that of a file alone"},
		"deep path out of it":   {archive(t, file("a/../../vault", 0o755, "x")), "not that of a file alone"},
		"absolute":              {archive(t, file("/etc/cron.d/vault", 0o755, "x")), "not that of a file alone"},
		"in a folder":           {archive(t, file("vault/vault", 0o755, "x")), "not that of a file alone"},
		"with a backslash":      {archive(t, file(`..\vault`, 0o755, "x")), "not that of a file alone"},
		"dots":                  {archive(t, file("..", 0o755, "x")), "not that of a file alone"},
		"symbolic link":         {archive(t, link(tar.TypeSymlink, "vault", "/bin/sh")), "not a regular file"},
		"link then through it":  {archive(t, link(tar.TypeSymlink, "d", "/tmp"), file("d/vault", 0o755, "x")), "not a regular file"},
		"hard link":             {archive(t, g, link(tar.TypeLink, "other", "vault")), "not a regular file"},
		"folder":                {archive(t, link(tar.TypeDir, "d/", "")), "not a regular file"},
		"device":                {archive(t, link(tar.TypeBlock, "vault", "")), "not a regular file"},
		"pipe":                  {archive(t, link(tar.TypeFifo, "vault", "")), "not a regular file"},
		"two programs":          {archive(t, g, file("other", 0o755, "x")), "more than one program"},
		"the same one twice":    {archive(t, g, g), "more than one program"},
		"two signatures":        {archive(t, g, file("a.minisig", 0o644, ""), file("b.minisig", 0o644, "")), "more than one signature"},
		"something else":        {archive(t, g, file("README", 0o644, "x")), "neither a program nor a signature"},
		"nothing":               {archive(t), "no program in it"},
		"only a signature":      {archive(t, file("vault.minisig", 0o644, "")), "no program in it"},
		"data behind it":        {append(bytes.Clone(packed), "more"...), "behind the end"},
		"another one behind it": {append(bytes.Clone(packed), packed...), "behind the end"},
		"data in it behind it":  {hiddenTail(t, g), "behind the end"},
		"cut off":               {packed[:len(packed)/2], "damaged"},
		"broken":                {flip(packed), "damaged"},
		"no archive":            {[]byte("\x1f\x8b nothing"), "no gzip file"},
		"no tar":                {zipped(t, "hello"), "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			s.Source = filepath.Join(t.TempDir(), "vault.tar.gz")
			s.write(s.Source, string(c.content))
			s.wantRefused(sdk.FailedPrecondition, c.says)
		})
	}
	if _, err := os.Stat(s.ran); err == nil {
		t.Error("a program of a refused archive has run")
	}
}

func zipped(t *testing.T, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := io.WriteString(w, content)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// hiddenTail is an archive with more behind its end, packed together.
func hiddenTail(t *testing.T, m member) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return zipped(t, string(plain)+"more")
}

// flip changes a bit of the checksum.
func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-5] ^= 1
	return b
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	const most = 1 << 20
	full, over := strings.Repeat("x", most), strings.Repeat("x", most+1)
	dir := t.TempDir()
	for name, content := range map[string]string{"program": over, "archive": string(archive(t, file("vault", 0o755, over))), "archive of many": string(archive(t,
		file("vault", 0o755, full), file("vault.minisig", 0o644, full)))} {
		path := filepath.Join(dir, "source")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if s, err := stage(path, t.TempDir(), most); !errors.Is(err, errTooLarge) {
			t.Errorf("%s: stage = %+v, %v, want that it is too large", name, s, err)
		}
	}
	s := newShop(t)
	if err := os.Truncate(s.Source, maxSize+1); err != nil { // a hole: it takes no space
		t.Fatal(err)
	}
	s.wantRefused(sdk.FailedPrecondition, "larger than the limit of 256 MiB")
}
