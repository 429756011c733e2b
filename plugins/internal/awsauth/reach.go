package awsauth

import (
	"context"
	"net"
	"net/url"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/keyway-dev/keyway/sdk"
)

// Resolver gives the address of a service by AWS's own rules: the EndpointResolverV2 of its client. An empty endpoint is nil
// to it.
type Resolver func(region *string, fips, dualStack *bool, endpoint *string) (url.URL, error)

func (s *Settings) resolveWith(r Resolver, endpoint string) (url.URL, error) {
	var own *string
	if endpoint != "" {
		own = &endpoint
	}
	return r(&s.Region, &s.FIPS, &s.DualStack, own)
}

func (s *Settings) serviceURL() (url.URL, error) { return s.resolveWith(s.Service, s.Endpoint) }

// stsURL is the Security Token Service of the same region. Where the service's endpoint is on this machine, an emulator or
// a recording, its STS is the same server: credentials for it are not AWS's to see.
func (s *Settings) stsURL() (url.URL, error) {
	endpoint := s.STSEndpoint
	if endpoint == "" && onLoopback(s.Endpoint) {
		endpoint = s.Endpoint
	}
	t := Settings{Region: s.Region, FIPS: s.FIPS && endpoint == "", DualStack: s.DualStack && endpoint == ""}
	return t.resolveWith(resolveSTS, endpoint)
}

func resolveSTS(region *string, fips, dualStack *bool, endpoint *string) (url.URL, error) {
	e, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), sts.EndpointParameters{
		Region: region, UseFIPS: fips, UseDualStack: dualStack, Endpoint: endpoint, UseGlobalEndpoint: aws.Bool(false),
	})
	return e.URI, err
}

// Reach is the service and STS, which [Session.Identity] asks too, and what the login reads and dials.
func (s *Settings) Reach() sdk.Reach {
	var r sdk.Reach
	for _, resolve := range []func() (url.URL, error){s.serviceURL, s.stsURL} {
		if u, err := resolve(); err == nil {
			r.Endpoints = append(r.Endpoints, hostPort(u))
		}
	}
	switch a := s.Auth; {
	case a.WebIdentity != nil:
		r.Files = nonEmpty(a.WebIdentity.TokenFile)
	case a.Container != nil:
		r.Ambient, r.Files = true, nonEmpty(a.Container.TokenFile)
		r.Endpoints = append(r.Endpoints, endpointOf(a.Container.url()))
	case a.Instance != nil:
		r.Ambient = true
		r.Endpoints = append(r.Endpoints, endpointOf(a.Instance.Endpoint))
	case a.Profile != nil, a.Default != nil:
		s.shared().reach(&r)
	}
	slices.Sort(r.Endpoints[min(len(r.Endpoints), 2):])
	r.Endpoints, r.Files = unique(r.Endpoints), unique(r.Files)
	return r
}

// url is where the container's credentials are.
func (c *Container) url() string {
	if c.URI[0] == '/' {
		return "http://" + containerHosts[0] + c.URI
	}
	return c.URI
}

func endpointOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return hostPort(*u)
}

func hostPort(u url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}

// unique leaves the first of equal texts.
func unique(texts []string) []string {
	var out []string
	for _, t := range texts {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}
