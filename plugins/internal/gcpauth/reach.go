package gcpauth

import (
	"cmp"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	defaultUniverse = "googleapis.com"
	metadataHost    = "169.254.169.254"
)

func (s *Settings) universe() string { return cmp.Or(s.UniverseDomain, defaultUniverse) }

// address gives "host:port" of the service, and whether it speaks TLS.
// https://cloud.google.com/secret-manager/regional-secrets/overview
func (s *Settings) address() (hostPort string, secure bool) {
	if s.Endpoint != "" {
		u, err := url.Parse(s.Endpoint)
		if err != nil {
			return "", true
		}
		return endpointOf(u), u.Scheme != "http"
	}
	if s.Location != "" {
		return s.Service + "." + s.Location + ".rep." + s.universe() + ":443", true
	}
	return s.Service + "." + s.universe() + ":443", true
}

// Reach is the service, and what the login asks and reads.
func (s *Settings) Reach() sdk.Reach {
	address, _ := s.address()
	r := sdk.Reach{Endpoints: []string{address}}
	switch a := s.Auth; {
	case a.ADC != nil:
		r.Ambient = true
		r.Files = a.ADC.files()
		r.Endpoints = append(r.Endpoints, a.ADC.metadata())
		r.Endpoints = append(r.Endpoints, s.google()...)
	case a.KeyFile != nil:
		r.Files = nonEmpty(a.KeyFile.Path, a.KeyFile.TokenFile)
		r.Endpoints = append(r.Endpoints, s.google()...)
	case a.Key != nil:
		s.reachFile(&r, a.Key.JSON, nil)
	case a.ExternalAccount != nil:
		s.reachFile(&r, a.ExternalAccount.Config, &a.ExternalAccount.SubjectToken)
	}
	if len(s.Impersonate) > 0 {
		r.Endpoints = append(r.Endpoints, "iamcredentials."+s.universe()+":443")
	}
	slices.Sort(r.Endpoints[1:])
	r.Endpoints = slices.Compact(r.Endpoints)
	return r
}

// google are the addresses that credential files name as Google's tools write them. What is in a file is not known before
// the first login, and another address in it would not be dialled.
func (s *Settings) google() []string {
	return []string{"iamcredentials." + s.universe() + ":443", "oauth2.googleapis.com:443", "sts." + s.universe() + ":443"}
}

func (s *Settings) reachFile(r *sdk.Reach, content sdk.Sensitive, instead *sdk.Sensitive) {
	f, fault := parseFile(content.Reveal(), s.universe(), allTypes...)
	if fault != "" {
		return
	}
	if instead != nil && instead.Len() > 0 {
		f.Source = nil
	}
	for _, a := range f.addresses() {
		if u, err := url.Parse(a); err == nil {
			r.Endpoints = append(r.Endpoints, endpointOf(u))
		}
	}
	r.Files, r.Ambient = append(r.Files, f.files()...), f.ambient()
}

// named is the file that somebody chose; empty: nobody did.
func (a *ADC) named() string { return cmp.Or(a.File, os.Getenv("GOOGLE_APPLICATION_CREDENTIALS")) }

// wellKnown is gcloud's own file; empty where the process knows of no home.
func (a *ADC) wellKnown() string {
	const name = "application_default_credentials.json"
	home, under := os.Getenv("HOME"), filepath.Join(".config", "gcloud")
	if runtime.GOOS == "windows" {
		home, under = os.Getenv("APPDATA"), "gcloud"
	}
	if d := os.Getenv("CLOUDSDK_CONFIG"); d != "" {
		home, under = d, ""
	}
	if !filepath.IsAbs(home) {
		return ""
	}
	return filepath.Join(home, under, name)
}

func (a *ADC) files() []string {
	if n := a.named(); n != "" {
		return []string{n}
	}
	return nonEmpty(a.wellKnown())
}

// metadata gives "host:port" of the metadata server.
func (a *ADC) metadata() string {
	host := cmp.Or(a.MetadataHost, os.Getenv("GCE_METADATA_HOST"), metadataHost)
	if h, p, err := net.SplitHostPort(host); err == nil {
		return net.JoinHostPort(h, p)
	}
	return net.JoinHostPort(host, "80")
}

func endpointOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func onLoopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}
