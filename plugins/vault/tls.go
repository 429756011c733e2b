package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"

	"github.com/keyway-dev/keyway/sdk"
)

func (t *TLS) isSet() bool {
	return t.CA != "" || t.CAFile != "" || t.Cert != "" || !t.Key.IsZero() || t.ServerName != ""
}

func (t *TLS) validate(login *Cert) []sdk.Problem {
	var ps []sdk.Problem
	fault := func(path, message string) { ps = append(ps, sdk.Problem{Path: path, Message: message}) }
	if t.CA != "" && t.CAFile != "" {
		fault("/tls", "takes ca or ca_file, not both")
	}
	if t.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)) {
		fault("/tls/ca", "holds no PEM certificate")
	}
	own := t.Cert != "" || !t.Key.IsZero()
	if own {
		if _, err := tls.X509KeyPair([]byte(t.Cert), t.Key.Reveal()); err != nil {
			fault("/tls/cert", "and /tls/key must be a PEM certificate and the private key that belongs to it")
		}
	}
	if login == nil {
		return ps
	}
	switch files := login.CertFile != "" || login.KeyFile != ""; {
	case (login.CertFile == "") != (login.KeyFile == ""):
		fault("/auth/cert", "needs both cert_file and key_file, or neither")
	case files && own:
		fault("/auth/cert", "takes its files or tls.cert, not both")
	case !files && !own:
		fault("/auth/cert", "needs a certificate: cert_file and key_file, or tls.cert and tls.key")
	}
	return ps
}

// config makes the client's side of TLS. Certificates in files are read anew at each handshake, since they are renewed
// while we run.
func (t *TLS) config(login *Cert) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	ca := []byte(t.CA)
	if t.CAFile != "" {
		var err error
		if ca, err = os.ReadFile(t.CAFile); err != nil {
			return nil, invalid("/tls/ca_file", "cannot be read")
		}
	}
	if len(ca) > 0 {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(ca) {
			return nil, invalid("/tls/ca_file", "holds no PEM certificate")
		}
	}
	switch {
	case login != nil && login.CertFile != "":
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(login.CertFile, login.KeyFile)
			if err != nil {
				return nil, sdk.Errorf(sdk.Unauthenticated, "client certificate %q: %w", login.CertFile, err)
			}
			return &pair, nil
		}
	case t.Cert != "":
		pair, err := tls.X509KeyPair([]byte(t.Cert), t.Key.Reveal())
		if err != nil {
			return nil, invalid("/tls/cert", "and /tls/key do not belong together")
		}
		// Not Certificates: then a server's list of acceptable issuers would decide, which the cert method does not need.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return c, nil
}

func invalid(path, message string) *sdk.Error {
	return &sdk.Error{Code: sdk.InvalidArgument, Message: "settings", Problems: []sdk.Problem{{Path: path, Message: message}}}
}
