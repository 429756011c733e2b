package gcpauth

import (
	"fmt"
	"net/url"
	"regexp"

	"cloud.google.com/go/auth/credentials"

	"github.com/keyway-dev/keyway/sdk"
)

var (
	domainForm    = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$`)
	locationForm  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	principalForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*@[a-z0-9.-]+$`)
)

// Validate gives the faults of the settings, at the paths that a provider's own settings have.
func (s *Settings) Validate() (ps []sdk.Problem) {
	fault := func(path, format string, args ...any) {
		ps = append(ps, sdk.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if s.UniverseDomain != "" && !domainForm.MatchString(s.UniverseDomain) {
		fault("/universe_domain", "must be a domain such as %s", defaultUniverse)
	}
	if s.Location != "" && !locationForm.MatchString(s.Location) {
		fault("/location", "must be a location such as europe-west3")
	}
	loopback := false
	if s.Endpoint != "" {
		u, err := url.Parse(s.Endpoint)
		loopback = err == nil && onLoopback(u)
		switch {
		case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
			fault("/endpoint", "must be an https URL such as https://%s.%s", s.Service, s.universe())
		case u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "":
			fault("/endpoint", "must hold neither a user, a path, a query nor a fragment")
		case u.Scheme == "http" && !loopback:
			fault("/endpoint", "must be https: only on this machine may it be http")
		}
	}
	for i, p := range s.Impersonate {
		if !principalForm.MatchString(p) {
			fault(fmt.Sprintf("/impersonate/%d", i), "must be the email address of a service account")
		}
	}
	return append(ps, s.Auth.validate(s, loopback)...)
}

func (a *Auth) validate(s *Settings, loopback bool) []sdk.Problem {
	one := func(path, message string) []sdk.Problem { return []sdk.Problem{{Path: path, Message: message}} }
	switch {
	case a.Key != nil:
		if _, fault := parseFile(a.Key.JSON.Reveal(), s.universe(), keyTypes...); fault != "" {
			return one("/auth/key/json", fault)
		}
	case a.ExternalAccount != nil:
		f, fault := parseFile(a.ExternalAccount.Config.Reveal(), s.universe(), credentials.ExternalAccount)
		switch {
		case fault != "":
			return one("/auth/external_account/config", fault)
		case f.Source == nil && a.ExternalAccount.SubjectToken.Len() == 0:
			return one("/auth/external_account/config", "has no credential_source, and there is no subject_token")
		}
	case a.Token != nil && !printable(a.Token.AccessToken.Reveal()):
		return one("/auth/token/access_token", "holds spaces or characters that no token has")
	case a.None != nil && !loopback:
		return one("/auth/none", "is for an endpoint on this machine")
	case a.None != nil && len(s.Impersonate) > 0:
		return one("/impersonate", "needs a login")
	}
	return nil
}

// printable reports whether b can be sent as a header.
func printable(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
