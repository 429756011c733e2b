package main

import (
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// validateAuth checks the login, with what it needs of the other settings.
func (s *Settings) validateAuth(https bool) []sdk.Problem {
	var ps []sdk.Problem
	fault := func(path, message string) { ps = append(ps, sdk.Problem{Path: path, Message: message}) }
	a, cert := &s.Auth, https && s.TLS.hasCert()
	if a.none() && !cert {
		fault("/auth", "is absent, and there is no client certificate (tls.cert_file, tls.cert) to log in with")
	}
	if a.Cert != nil && !cert {
		fault("/auth/cert", "needs an https address and a client certificate: tls.cert_file and tls.key_file, or tls.cert and tls.key")
	}
	host := a.IAM != nil || a.Azure != nil || a.GCP != nil
	switch {
	case s.Login == "" && a.JWT == nil && a.Cert == nil:
		fault("/login", "is required for this login")
	case host && !strings.HasPrefix(s.Login, hostPrefix):
		fault("/login", "must be a host, host/ID, for this login")
	}
	for path, id := range a.services() {
		if id != "" && sdk.CheckName(id) != nil {
			fault(path, "is not the id of a service")
		}
	}
	if j := a.JWT; j != nil {
		switch {
		case j.Token.IsZero() == (j.TokenFile == ""):
			fault("/auth/jwt", "needs either token or token_file")
		case !printable(j.Token.Reveal()):
			fault("/auth/jwt/token", "holds spaces or characters that no token has")
		}
	}
	return append(ps, a.validateCloud()...)
}

func (a *Auth) none() bool { return *a == Auth{} }

// services gives the ids of the authenticator's service by the path of their setting.
func (a *Auth) services() map[string]string {
	ids := map[string]string{}
	if a.JWT != nil {
		ids["/auth/jwt/service_id"] = a.JWT.ServiceID
	}
	if a.Cert != nil {
		ids["/auth/cert/service_id"] = a.Cert.ServiceID
	}
	if a.LDAP != nil {
		ids["/auth/ldap/service_id"] = a.LDAP.ServiceID
	}
	if a.IAM != nil {
		ids["/auth/iam/service_id"] = a.IAM.ServiceID
	}
	if a.Azure != nil {
		ids["/auth/azure/service_id"] = a.Azure.ServiceID
	}
	return ids
}

// hostPrefix tells the login of a host from that of a user.
const hostPrefix = "host/"

// printable reports whether b can be sent as a token.
func printable(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
