package source

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// canary is a value that no error may hold.
const canary = "canary-5e1f"

func environ(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func open(t *testing.T, o Options) *Sources {
	t.Helper()
	if o.Env == nil {
		o.Env = environ()
	}
	s, err := New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// want checks one answer: a value, or a code and a message without the canary.
func want(t *testing.T, what string, s sdk.Secret, err error, value string, code sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != code {
		t.Fatalf("%s: code %v (%v), want %v", what, got, err, code)
	}
	if err != nil && strings.Contains(err.Error(), canary) {
		t.Errorf("%s: the error holds the value", what)
	}
	if !s.Value.Equal(sdk.SensitiveString(value)) {
		t.Errorf("%s: another value of %d bytes, want %d bytes", what, s.Value.Len(), len(value))
	}
}

func TestVariables(t *testing.T) {
	env := environ("OPENAI_API_KEY", canary, "HOME", canary, "OPENAI_EMPTY", "", "OPENAI_BIG", strings.Repeat("x", sdk.MaxValue+1))
	for _, c := range []struct {
		name     string
		patterns []string
		value    string
		code     sdk.Code
	}{
		{"OPENAI_API_KEY", nil, canary, sdk.OK},
		{"HOME", nil, canary, sdk.OK},
		{"OPENAI_API_KEY", []string{"X", "OPENAI_*"}, canary, sdk.OK},
		{"HOME", []string{"OPENAI_*"}, "", sdk.PermissionDenied},
		{"HOME", []string{}, "", sdk.PermissionDenied},
		{"OPENAI_NONE", []string{"OPENAI_*"}, "", sdk.NotFound},
		{"OPENAI_EMPTY", nil, "", sdk.FailedPrecondition},
		{"OPENAI_BIG", nil, "", sdk.InvalidArgument},
		{"A=B", nil, "", sdk.InvalidArgument},
		{"", nil, "", sdk.InvalidArgument},
	} {
		s := open(t, Options{Env: env, EnvPatterns: c.patterns})
		got, err := s.Read(t.Context(), "env", c.name)
		want(t, "Read env/"+c.name, got, err, c.value, c.code)
	}
}

func TestADeniedVariableNamesTheKeyToChange(t *testing.T) {
	_, err := open(t, Options{EnvPatterns: []string{"A"}}).Read(t.Context(), "env", "B")
	if err == nil || !strings.Contains(err.Error(), "sources.env") {
		t.Errorf("error %v, want one that names sources.env", err)
	}
}

func TestFilesAreReadFromTheFirstFolderThatHasThem(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	write(t, a+"/one", "first\n")
	write(t, b+"/one", "second")
	write(t, b+"/deep/two", canary+"\r\n")
	write(t, b+"/lines", "x\n\n")
	write(t, b+"/empty", "\n")
	write(t, b+"/full", strings.Repeat("x", sdk.MaxValue)+"\n")
	write(t, b+"/big", strings.Repeat("x", sdk.MaxValue+1))
	s := open(t, Options{FileRoots: []string{a, b}})
	for _, c := range []struct {
		name, value string
		code        sdk.Code
	}{
		{"one", "first", sdk.OK},
		{"deep/two", canary, sdk.OK},
		{"lines", "x\n", sdk.OK},
		{"full", strings.Repeat("x", sdk.MaxValue), sdk.OK},
		{"empty", "", sdk.FailedPrecondition},
		{"big", "", sdk.InvalidArgument},
		{"deep", "", sdk.InvalidArgument},
		{"none", "", sdk.NotFound},
		{"../one", "", sdk.InvalidArgument},
		{"/etc/hostname", "", sdk.InvalidArgument},
	} {
		got, err := s.Read(t.Context(), "file", c.name)
		want(t, "Read file/"+c.name, got, err, c.value, c.code)
	}
}

func TestNoSymbolicLinkLeavesAFolder(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	write(t, outside+"/secret", canary)
	write(t, root+"/v1/token", "inside")
	for link, to := range map[string]string{"absolute": outside + "/secret", "dir": outside, "up": "../" + filepath.Base(outside) + "/secret", "data": "v1"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, Options{FileRoots: []string{root}})
	for _, name := range []string{"absolute", "dir/secret", "up"} {
		got, err := s.Read(t.Context(), "file", name)
		want(t, "Read file/"+name, got, err, "", sdk.PermissionDenied)
	}
	got, err := s.Read(t.Context(), "file", "data/token")
	want(t, "Read of a link inside", got, err, "inside", sdk.OK)
}

func TestAFolderMayBeReplaced(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/v1/key", "old")
	write(t, dir+"/v2/key", "new")
	link := dir + "/now"
	if err := os.Symlink("v1", link); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{FileRoots: []string{link}})
	got, err := s.Read(t.Context(), "file", "key")
	want(t, "first", got, err, "old", sdk.OK)
	if err := os.Symlink("v2", link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	got, err = s.Read(t.Context(), "file", "key")
	want(t, "second", got, err, "new", sdk.OK)
}

func TestWithoutFoldersNoFileIsRead(t *testing.T) {
	s := open(t, Options{})
	got, err := s.Read(t.Context(), "file", "x")
	want(t, "file", got, err, "", sdk.PermissionDenied)
	got, err = s.Read(t.Context(), "cred", "x")
	want(t, "cred", got, err, "", sdk.PermissionDenied)
}

func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/vault-secret-id", canary)
	write(t, dir+"/sub/x", canary)
	for name, s := range map[string]*Sources{
		"option":   open(t, Options{CredDir: dir}),
		"variable": open(t, Options{Env: environ("CREDENTIALS_DIRECTORY", dir), EnvPatterns: []string{}}),
	} {
		got, err := s.Read(t.Context(), "cred", "vault-secret-id")
		want(t, name, got, err, canary, sdk.OK)
		got, err = s.Read(t.Context(), "cred", "other")
		want(t, name, got, err, "", sdk.NotFound)
		got, err = s.Read(t.Context(), "cred", "sub/x")
		want(t, name, got, err, "", sdk.InvalidArgument)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{EnvPatterns: []string{"["}}); sdk.CodeOf(err) != sdk.InvalidArgument {
		t.Errorf("a malformed pattern: %v, want InvalidArgument", err)
	}
	if _, err := New(Options{FileRoots: []string{t.TempDir() + "/none"}}); sdk.CodeOf(err) != sdk.FailedPrecondition {
		t.Errorf("a missing folder: %v, want FailedPrecondition", err)
	}
}

func TestReadRefusesAnUnknownKindAndAnEndedContext(t *testing.T) {
	s := open(t, Options{Env: environ("A", canary)})
	got, err := s.Read(t.Context(), "vault", "A")
	want(t, "unknown kind", got, err, "", sdk.InvalidArgument)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err = s.Read(ctx, "env", "A")
	want(t, "ended context", got, err, "", sdk.Canceled)
}
