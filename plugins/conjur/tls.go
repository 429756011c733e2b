package main

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/keyway-dev/keyway/plugins/internal/httptls"
	"github.com/keyway-dev/keyway/sdk"
)

func (t *TLS) hasCert() bool { return t.CertFile != "" || t.Cert != "" }

func (t *TLS) isSet() bool {
	return t.CA != "" || t.CAFile != "" || t.hasCert() || t.KeyFile != "" || !t.Key.IsZero() || t.ServerName != ""
}

func (t *TLS) validate() []sdk.Problem {
	var ps []sdk.Problem
	fault := func(path, message string) { ps = append(ps, sdk.Problem{Path: path, Message: message}) }
	if t.CA != "" && t.CAFile != "" {
		fault("/tls", "takes ca or ca_file, not both")
	}
	if t.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)) {
		fault("/tls/ca", "holds no PEM certificate")
	}
	text, files := t.Cert != "" || !t.Key.IsZero(), t.CertFile != "" || t.KeyFile != ""
	if text && files {
		fault("/tls", "takes cert and key or cert_file and key_file, not both")
	}
	if files && (t.CertFile == "" || t.KeyFile == "") {
		fault("/tls", "needs both cert_file and key_file, or neither")
	}
	if text {
		if _, err := tls.X509KeyPair([]byte(t.Cert), t.Key.Reveal()); err != nil {
			fault("/tls/cert", "and /tls/key must be a PEM certificate and the private key that belongs to it")
		}
	}
	return ps
}

// config makes the client's side of TLS. Nothing is read here: certificates in files are, anew at each handshake, since they
// are renewed while we run.
func (t *TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: !t.Verify} //nolint:gosec // the operator's word
	if t.CA != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, sdk.Errorf(sdk.InvalidArgument, "tls.ca holds no PEM certificate")
		}
	}
	switch {
	case t.CertFile != "":
		c.GetClientCertificate = httptls.Certificate(t.CertFile, t.KeyFile)
	case t.Cert != "":
		pair, err := tls.X509KeyPair([]byte(t.Cert), t.Key.Reveal())
		if err != nil {
			return nil, sdk.Errorf(sdk.InvalidArgument, "tls.cert and tls.key do not belong together")
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return c, nil
}
