package source

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// tokenTimeout bounds one request for an identity token. Both services answer in well under a second.
const tokenTimeout = 10 * time.Second

// OIDC gets an identity token, as the reference oidc/PROVIDER/AUDIENCE names it. Expires is the token's own exp claim, read
// without verifying anything: whoever trusts the token verifies it.
//
//	google        from the metadata service, for the audience
//	github        from the Actions runner, for the audience
//	azure         the file of AZURE_FEDERATED_TOKEN_FILE; the audience is fixed by whoever writes it
//	circleci      the variable CIRCLE_OIDC_TOKEN; circleci_v2: CIRCLE_OIDC_TOKEN_V2
//	file          a file with an absolute path (oidc/file//var/run/secrets/token) inside the folders of
//	              LITELLM_OIDC_ALLOWED_CREDENTIAL_DIRS, by default /var/run/secrets and /run/secrets, or of sources.file
//	env           the variable; sources.env must allow it
//	env_path      the file that the variable names, under the rules of both
//
// NotFound: we do not run at such a place. PermissionDenied: not allowed. Unavailable and DeadlineExceeded: the service did
// not answer. FailedPrecondition: the token is empty or has expired. InvalidArgument: provider or audience malformed.
func (s *Sources) OIDC(ctx context.Context, provider, audience string) (sdk.Secret, error) {
	what := "oidc/" + provider
	switch provider {
	case "google", "github":
		if audience == "" {
			return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument, "read %s: it needs an audience, %s/AUDIENCE", what, what)
		}
		ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
		defer cancel()
		if provider == "google" {
			return s.google(ctx, what, audience)
		}
		return s.github(ctx, what, audience)
	case "azure":
		return s.fileOf(what, "AZURE_FEDERATED_TOKEN_FILE", s.readAny)
	case "circleci":
		return s.place(what, "CIRCLE_OIDC_TOKEN")
	case "circleci_v2":
		return s.place(what, "CIRCLE_OIDC_TOKEN_V2")
	case "file":
		return s.readAllowed(what, audience)
	case "env", "env_path":
		if err := sdk.CheckName(audience); err != nil {
			return sdk.Secret{}, err
		}
		if !s.allowed(audience) {
			return sdk.Secret{}, sdk.Errorf(sdk.PermissionDenied, "read %s/%s: sources.env does not allow this variable", what, audience)
		}
		if provider == "env" {
			return s.place(what, audience)
		}
		return s.fileOf(what, audience, s.readAllowed)
	}
	return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument,
		"read %s: the providers are google, github, azure, circleci, circleci_v2, file, env and env_path", what)
}

// place reads a token that the place we run at puts into a variable.
func (s *Sources) place(what, variable string) (sdk.Secret, error) {
	v, ok := s.env(variable)
	if !ok {
		return sdk.Secret{}, sdk.Errorf(sdk.NotFound, "read %s: the variable %s is not set", what, variable)
	}
	return token(what, sdk.SensitiveString(v))
}

// fileOf reads the file that a variable names.
func (s *Sources) fileOf(what, variable string, read func(what, file string) (sdk.Secret, error)) (sdk.Secret, error) {
	file, ok := s.env(variable)
	if !ok || file == "" {
		return sdk.Secret{}, sdk.Errorf(sdk.NotFound, "read %s: the variable %s is not set", what, variable)
	}
	return read(what, file)
}

// readAny reads a file that the operator's environment, not a reference, chose.
func (s *Sources) readAny(what, file string) (sdk.Secret, error) {
	if !filepath.IsAbs(file) {
		return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument, "read %s: the path of the token must be absolute", what)
	}
	raw, err := readRegular(os.Stat, os.Open, file)
	if err != nil {
		return sdk.Secret{}, classify(what, err)
	}
	return token(what, raw)
}

// readAllowed reads a file with an absolute path inside one of the folders for tokens.
func (s *Sources) readAllowed(what, file string) (sdk.Secret, error) {
	if !filepath.IsAbs(file) {
		return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument, "read %s: the path of the token must be absolute, as in oidc/file//var/run/secrets/token", what)
	}
	for _, d := range s.tokens.dirs {
		root, err := filepath.Abs(d)
		if err != nil {
			continue
		}
		inside, err := filepath.Rel(root, filepath.Clean(file))
		if err != nil || !filepath.IsLocal(inside) {
			continue
		}
		raw, err := readIn(root, inside)
		if err != nil {
			return sdk.Secret{}, classify(what, err)
		}
		return token(what, raw)
	}
	return sdk.Secret{}, sdk.Errorf(sdk.PermissionDenied,
		"read %s: the file is outside the folders for tokens; add its folder to sources.file or LITELLM_OIDC_ALLOWED_CREDENTIAL_DIRS", what)
}

// tokenFolders are where oidc/file may look besides sources.file. LiteLLM's variable replaces its defaults.
func tokenFolders(env func(string) (string, bool)) []string {
	set, ok := env("LITELLM_OIDC_ALLOWED_CREDENTIAL_DIRS")
	if !ok || strings.TrimSpace(set) == "" {
		return []string{"/var/run/secrets", "/run/secrets"}
	}
	var dirs []string
	for d := range strings.SplitSeq(set, ",") {
		if d = strings.TrimSpace(d); filepath.IsAbs(d) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}
