package main

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// settings of one store file.
type settings struct {
	Path           string        `json:"path" keyway:"required,operator,path" example:"/var/lib/keyway/secrets.kw" doc:"The store's file, on a local disk. Its folder must exist; a lock file is kept beside it."`
	Key            sdk.Sensitive `json:"key" keyway:"required" doc:"32 random bytes in base64, as 'head -c 32 /dev/urandom | base64' prints them. Without it the file cannot be read by anyone."`
	Create         bool          `json:"create" default:"true" doc:"Make the file at the first write. When false, an absent file is an error instead of an empty store."`
	MaxVersions    int           `json:"max_versions" default:"10" doc:"Versions kept of each secret, 1 to 100; a write beyond that drops the oldest."`
	RecoveryWindow time.Duration `json:"recovery_window" default:"720h" doc:"How long a deleted secret can be restored, unless the delete itself says."`
	DataKeys       []string      `json:"data_keys" example:"billing" doc:"Names of further keys for encrypt and decrypt, beside the key itself; each is derived from it. Without a name here there is no such key."`
}

const (
	keySize = 32 // bytes

	// Fewer different bytes than this are no random key: of 32 random ones, chance gives so few less than once in 10^30.
	minDistinct = 8

	maxVersionsLimit  = 100
	maxRecoveryWindow = 10 * 365 * 24 * time.Hour
)

// Validate checks what the tags cannot say.
func (s *settings) Validate() []sdk.Problem {
	var out []sdk.Problem
	if !filepath.IsAbs(s.Path) || strings.ContainsRune(s.Path, 0) || filepath.Clean(s.Path) != s.Path {
		out = append(out, sdk.Problem{Path: "/path", Message: "must be an absolute path of a file, without . or .. and without a slash at its end"})
	}
	if _, problem := s.masterKey(); problem != "" {
		out = append(out, sdk.Problem{Path: "/key", Message: problem + "; make a key with: head -c 32 /dev/urandom | base64"})
	}
	if s.MaxVersions < 1 || s.MaxVersions > maxVersionsLimit {
		out = append(out, sdk.Problem{Path: "/max_versions", Message: fmt.Sprintf("must be 1 to %d", maxVersionsLimit)})
	}
	if s.RecoveryWindow > maxRecoveryWindow {
		out = append(out, sdk.Problem{Path: "/recovery_window", Message: fmt.Sprintf("must be at most %v", maxRecoveryWindow)})
	}
	for i, name := range s.DataKeys {
		if err := sdk.CheckName(name); err != nil {
			out = append(out, sdk.Problem{Path: fmt.Sprintf("/data_keys/%d", i), Message: err.Error()})
		}
	}
	return out
}

// masterKey decodes the key, in base64's standard or URL alphabet, with or without padding and surrounding space. Else it
// says what is wrong, without a word of the key.
func (s *settings) masterKey() (key sdk.Sensitive, problem string) {
	text := strings.TrimRight(strings.TrimSpace(string(s.Key.Reveal())), "=")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return key, fmt.Sprintf("must be %d random bytes in base64, and this is not base64 (a passphrase is not a key)", keySize)
	}
	if len(raw) != keySize {
		return key, fmt.Sprintf("must be %d random bytes in base64, and this is %d bytes", keySize, len(raw))
	}
	distinct := map[byte]bool{}
	for _, b := range raw {
		distinct[b] = true
	}
	if len(distinct) < minDistinct {
		return key, "is not random: it repeats the same few bytes"
	}
	return sdk.NewSensitive(raw), ""
}

// Capabilities claims every refinement: the file keeps whatever a request says.
func (s *settings) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	return methods | sdk.Refinements
}

// Reach is the file's folder: the lock and the file that replaces the old one lie beside it.
func (s *settings) Reach() sdk.Reach {
	dir := filepath.Dir(s.Path)
	return sdk.Reach{Files: []string{dir}, Writes: []string{dir}}
}
