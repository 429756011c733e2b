package gcpauth

import (
	"encoding/json"
	"net"
	"net/url"
	"slices"
	"strings"

	"cloud.google.com/go/auth/credentials"
)

// file is a credential file, as far as it must be known before a login.
// https://google.aip.dev/auth/4110
type file struct {
	Type             credentials.CredType `json:"type"`
	ClientEmail      string               `json:"client_email"`
	Audience         string               `json:"audience"`
	SubjectTokenType string               `json:"subject_token_type"`
	TokenURL         string               `json:"token_url"`
	ImpersonationURL string               `json:"service_account_impersonation_url"`
	ClientID         string               `json:"client_id"`
	ClientSecret     string               `json:"client_secret"`
	UserProject      string               `json:"workforce_pool_user_project"`
	QuotaProject     string               `json:"quota_project_id"`
	Universe         string               `json:"universe_domain"`
	Source           *source              `json:"credential_source"`
	Of               *file                `json:"source_credentials"`
	Lifetime         struct {
		Seconds int `json:"token_lifetime_seconds"`
	} `json:"service_account_impersonation"`

	raw []byte
}

// source is where the subject's token is.
type source struct {
	File        string          `json:"file"`
	URL         string          `json:"url"`
	Environment string          `json:"environment_id"`
	RegionURL   string          `json:"region_url"`
	SessionURL  string          `json:"imdsv2_session_token_url"`
	Executable  json.RawMessage `json:"executable"`
	Certificate json.RawMessage `json:"certificate"`
}

// Types of credential files.
var (
	keyTypes = []credentials.CredType{credentials.ServiceAccount, credentials.AuthorizedUser, credentials.ImpersonatedServiceAccount}
	allTypes = append(slices.Clone(keyTypes), credentials.ExternalAccount)
)

// parseFile reads a credential file of one of the types. fault says what is wrong with it, without quoting it.
func parseFile(raw []byte, universe string, types ...credentials.CredType) (f *file, fault string) {
	f = &file{raw: raw}
	if json.Unmarshal(raw, f) != nil {
		return nil, "is not a credential file, a JSON object"
	}
	if fault := f.fault(universe, types); fault != "" {
		return nil, fault
	}
	return f, ""
}

func (f *file) fault(universe string, types []credentials.CredType) string {
	switch {
	case !slices.Contains(types, f.Type):
		return "must be of the type " + join(types)
	case f.Universe != "" && f.Universe != universe:
		return "is for the universe domain " + f.Universe + ", the settings are for " + universe
	case f.Type == credentials.ServiceAccount && f.ClientEmail == "":
		return "has no client_email"
	case f.Type == credentials.ImpersonatedServiceAccount && f.Of == nil:
		return "has no source_credentials"
	}
	if s := f.Source; s != nil && f.Type == credentials.ExternalAccount {
		switch {
		case s.Executable != nil:
			return "names a command to run; a token of a file, an address or a reference is taken instead"
		case s.Certificate != nil:
			return "names a certificate to show; a token of a file, an address or a reference is taken instead"
		}
	}
	for _, a := range f.addresses() {
		if u, err := url.Parse(a); err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return "holds an address that is not an http or https URL"
		}
	}
	for _, a := range []string{f.TokenURL, f.ImpersonationURL} { // credentials are sent there
		if u, err := url.Parse(a); a != "" && (err != nil || u.Scheme != "https" && !onLoopback(u)) {
			return "sends credentials to an address that is not https"
		}
	}
	if f.Of != nil {
		if fault := f.Of.fault(universe, allTypes); fault != "" {
			return "has source_credentials, and that " + fault
		}
	}
	return ""
}

// addresses are the URLs that a login with f asks.
func (f *file) addresses() (urls []string) {
	switch f.Type {
	case credentials.AuthorizedUser:
		urls = append(urls, "https://oauth2.googleapis.com")
	case credentials.ImpersonatedServiceAccount:
		urls = append(urls, f.ImpersonationURL)
	case credentials.ExternalAccount:
		urls = append(urls, f.tokenURL(), f.ImpersonationURL)
		if f.Source != nil {
			urls = append(urls, f.Source.URL, f.Source.RegionURL, f.Source.SessionURL)
		}
	}
	if f.Of != nil {
		urls = append(urls, f.Of.addresses()...)
	}
	return slices.DeleteFunc(urls, func(u string) bool { return u == "" })
}

func (f *file) tokenURL() string {
	if f.TokenURL != "" {
		return f.TokenURL
	}
	return "https://sts." + defaultUniverse + "/v1/token"
}

// files are those that a login with f reads.
func (f *file) files() (paths []string) {
	if f.Source != nil && f.Source.File != "" {
		paths = append(paths, f.Source.File)
	}
	if f.Of != nil {
		paths = append(paths, f.Of.files()...)
	}
	return paths
}

// ambient reports whether the login uses the machine's own identity: a metadata service or AWS's environment.
func (f *file) ambient() bool {
	if s := f.Source; s != nil {
		for _, a := range []string{s.URL, s.RegionURL, s.SessionURL} {
			if u, err := url.Parse(a); err == nil && isLinkLocal(u.Hostname()) {
				return true
			}
		}
		if s.Environment != "" {
			return true
		}
	}
	return f.Of != nil && f.Of.ambient()
}

func isLinkLocal(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLinkLocalUnicast() || strings.EqualFold(host, "metadata.google.internal")
}

// who names the identity that f logs in as.
func (f *file) who() string {
	if f.ImpersonationURL != "" {
		return principalOf(f.ImpersonationURL)
	}
	if f.ClientEmail != "" {
		return f.ClientEmail
	}
	return f.Audience
}

// principalOf cuts the service account out of "…/serviceAccounts/EMAIL:generateAccessToken".
func principalOf(address string) string {
	_, email, _ := strings.Cut(address, "/serviceAccounts/")
	email, _, _ = strings.Cut(email, ":")
	return email
}

func join(types []credentials.CredType) string {
	var words []string
	for _, t := range types {
		words = append(words, string(t))
	}
	return strings.Join(words, ", ")
}
