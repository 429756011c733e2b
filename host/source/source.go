package source

import (
	"context"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// Options are what [New] needs. The zero value reads the process's environment and no files.
type Options struct {
	// Env looks a variable up; nil is os.LookupEnv.
	Env func(string) (string, bool)
	// EnvPatterns name the variables that secret://env, os.environ/ and oidc/env may read, as path.Match takes them.
	// Nil: all; empty: none.
	EnvPatterns []string
	// FileRoots are the folders that secret://file/NAME looks into, in order. Without one no file may be read.
	FileRoots []string
	// CredDir is the folder of secret://cred; empty: that of the variable CREDENTIALS_DIRECTORY.
	CredDir string
	// HTTPClient asks for identity tokens; nil is one that follows no redirect, and
	// the environment's proxy for https only.
	HTTPClient *http.Client
}

// Sources reads secrets. It caches nothing and is safe for concurrent use.
type Sources struct {
	env      func(string) (string, bool)
	patterns []string
	files    folders
	cred     folders
	tokens   folders // where oidc/file may look
	client   *http.Client
}

// New checks the options: a malformed pattern is InvalidArgument, a root of FileRoots that is no folder FailedPrecondition. A
// missing credentials folder is no error before it is asked.
func New(o Options) (*Sources, error) {
	s := &Sources{env: o.Env, patterns: slices.Clone(o.EnvPatterns), client: o.HTTPClient}
	for _, p := range s.patterns {
		if _, err := path.Match(p, ""); err != nil {
			return nil, sdk.Errorf(sdk.InvalidArgument, "read the pattern %q of sources.env: it is malformed", p)
		}
	}
	if s.env == nil {
		s.env = os.LookupEnv
	}
	if s.client == nil {
		s.client = newClient()
	}
	s.files = folders{"sources.file", slices.Clone(o.FileRoots)}
	s.tokens = folders{dirs: append(tokenFolders(s.env), s.files.dirs...)}
	s.cred.named = "CREDENTIALS_DIRECTORY"
	if cred := o.CredDir; cred != "" {
		s.cred.dirs = []string{cred}
	} else if cred, _ = s.env(s.cred.named); cred != "" {
		s.cred.dirs = []string{cred}
	}
	if err := s.files.check(); err != nil {
		return nil, err
	}
	return s, nil
}

// Close frees idle connections. Later reads make new ones.
func (s *Sources) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// Read reads one secret of kind env, file or cred. Nothing of it is kept.
//
// NotFound: the variable is not set, the file does not exist. PermissionDenied: the sources do not allow it, the system
// refuses it, or a path would leave its folder. FailedPrecondition: it is set but empty. InvalidArgument: the kind or
// name is malformed, or the value is over [sdk.MaxValue]. Of a file one newline at the end is left away, as editors and
// echo put it there.
func (s *Sources) Read(ctx context.Context, kind, name string) (sdk.Secret, error) {
	if err := ctx.Err(); err != nil {
		return sdk.Secret{}, sdk.Errorf(sdk.CodeOf(err), "read %s/%s: %w", kind, name, err)
	}
	if err := sdk.CheckName(name); err != nil {
		return sdk.Secret{}, err
	}
	switch kind {
	case "env":
		return s.variable(name)
	case "file":
		return s.files.read("file", name)
	case "cred":
		if strings.Contains(name, "/") {
			return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument, "read cred/%s: a credential's name has no slash", name)
		}
		return s.cred.read("cred", name)
	}
	return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument, "read %s/%s: the kinds are env, file and cred", kind, name)
}

func (s *Sources) variable(name string) (sdk.Secret, error) {
	switch {
	case strings.ContainsAny(name, "=\x00"):
		return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument, "read env/%s: a variable's name has no \"=\"", name)
	case !s.allowed(name):
		return sdk.Secret{}, sdk.Errorf(sdk.PermissionDenied, "read env/%s: sources.env does not allow this variable", name)
	}
	value, ok := s.env(name)
	if !ok {
		return sdk.Secret{}, sdk.Errorf(sdk.NotFound, "read env/%s: the variable is not set", name)
	}
	return secret("env/"+name, sdk.SensitiveString(value))
}

func (s *Sources) allowed(name string) bool {
	if s.patterns == nil {
		return true
	}
	for _, p := range s.patterns {
		if ok, err := path.Match(p, name); ok && err == nil {
			return true
		}
	}
	return false
}

// secret checks a value's size. A set but empty variable or file is a mistake, never a secret.
func secret(what string, v sdk.Sensitive) (sdk.Secret, error) {
	switch n := v.Len(); {
	case n == 0:
		return sdk.Secret{}, sdk.Errorf(sdk.FailedPrecondition, "read %s: it is empty", what)
	case n > sdk.MaxValue:
		return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument, "read %s: it is over the limit of %d bytes", what, sdk.MaxValue)
	}
	return sdk.Secret{Value: v}, nil
}

// token is secret for an identity token, which ends when its exp claim says.
func token(what string, v sdk.Sensitive) (sdk.Secret, error) {
	out, err := secret(what, v)
	if err != nil {
		return out, err
	}
	out.Expires = expiry(v)
	if !out.Expires.IsZero() && !out.Expires.After(time.Now()) {
		return sdk.Secret{}, sdk.Errorf(sdk.FailedPrecondition, "read %s: the token expired at %s", what, out.Expires.UTC().Format(time.RFC3339))
	}
	return out, nil
}
