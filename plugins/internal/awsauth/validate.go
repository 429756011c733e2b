package awsauth

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// Forms of what STS takes.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
var (
	regionForm   = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+$`)
	roleForm     = regexp.MustCompile(`^arn:aws[a-z0-9-]*:iam::\d{12}:role/[\x21-\x7e]+$`)
	sessionForm  = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalForm = regexp.MustCompile(`^[\w+=,.@:/-]+$`)
	keyForm      = regexp.MustCompile(`^\w{1,128}$`)
	tagForm      = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

const (
	minSession   = 15 * time.Minute
	maxSession   = 12 * time.Hour
	chainSession = time.Hour // the most for a role that is assumed with a role's session
	maxTags      = 50
)

// faults collects problems by path.
type faults []sdk.Problem

func (f *faults) add(path, format string, args ...any) {
	*f = append(*f, sdk.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

// Validate gives the faults of the settings, by path from the top of a provider's settings.
func (s *Settings) Validate() []sdk.Problem {
	var f faults
	if !regionForm.MatchString(s.Region) {
		f.add("/region", "is not the name of a region such as eu-west-1")
	}
	known := len(f) == 0
	known = f.address("/endpoint", s.Endpoint) && known
	known = f.address("/sts_endpoint", s.STSEndpoint) && known
	if known {
		f.resolve(s)
	}
	f.auth(s)
	f.role(s.AssumeRole)
	if r := s.AssumeRole; r != nil && r.Duration > chainSession && (len(r.Via) > 0 || s.Auth.WebIdentity != nil && s.Auth.WebIdentity.RoleARN != "") {
		f.add("/assume_role/duration", "is over 1h, the most for a role that is reached from another one")
	}
	return f
}

// address checks an endpoint that is given in place of AWS's own.
func (f *faults) address(path, text string) bool {
	if text == "" {
		return true
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https"):
		f.add(path, "must be an http or https URL such as https://vpce-1a2b.secretsmanager.eu-west-1.vpce.amazonaws.com")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		f.add(path, "must hold neither a user, a query nor a fragment")
	default:
		return true
	}
	return false
}

// resolve reports what AWS has no endpoint for: a partition without FIPS or IPv6, or either beside an endpoint of one's own.
func (f *faults) resolve(s *Settings) {
	_, err := s.serviceURL()
	if err == nil {
		_, err = s.stsURL()
	}
	switch {
	case err == nil:
	case s.FIPS:
		f.add("/fips", "cannot be had with these settings: %v", err)
	case s.DualStack:
		f.add("/dual_stack", "cannot be had with these settings: %v", err)
	default:
		f.add("/region", "has no endpoint: %v", err)
	}
}

func (f *faults) auth(s *Settings) {
	switch a := s.Auth; {
	case a.Static != nil:
		f.static(a.Static)
	case a.WebIdentity != nil:
		f.webIdentity(a.WebIdentity, s.AssumeRole)
	case a.Profile != nil && a.Profile.ConfigFile == "" && a.Profile.CredentialsFile == "":
		f.add("/auth/profile", "needs config_file or credentials_file; a plugin has no home folder to look in")
	case a.Container != nil:
		f.container(a.Container)
	case a.Instance != nil:
		f.address("/auth/instance/endpoint", a.Instance.Endpoint)
	}
}

func (f *faults) static(k *Static) {
	if !keyForm.MatchString(k.AccessKeyID) {
		f.add("/auth/static/access_key_id", "is not the id of an access key: letters and digits, 128 at most")
	}
	if !printable(k.SecretAccessKey.Reveal()) {
		f.add("/auth/static/secret_access_key", "holds spaces or characters that no key has")
	}
	if !printable(k.SessionToken.Reveal()) {
		f.add("/auth/static/session_token", "holds spaces or characters that no token has")
	}
}

func (f *faults) webIdentity(w *WebIdentity, role *AssumeRole) {
	if w.token().Len() > 0 == (w.TokenFile != "") {
		f.add("/auth/web_identity", "needs exactly one of token, token_file")
	}
	switch {
	case w.RoleARN == "" && role == nil:
		f.add("/auth/web_identity/role_arn", "is missing, and so is assume_role; a token is for a role")
	case w.RoleARN != "" && !roleForm.MatchString(w.RoleARN):
		f.add("/auth/web_identity/role_arn", "is not the ARN of a role")
	}
	if w.SessionName != "" && !sessionForm.MatchString(w.SessionName) {
		f.add("/auth/web_identity/session_name", "must be 2 to 64 letters, digits or _+=,.@-")
	}
}

// container allows plain http where AWS's own tools do.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
func (f *faults) container(c *Container) {
	const path = "/auth/container/uri"
	if strings.HasPrefix(c.URI, "/") {
		if _, err := url.ParseRequestURI(c.URI); err != nil {
			f.add(path, "is not a path")
		}
	} else if u, err := url.Parse(c.URI); err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") {
		f.add(path, "must be an http or https URL, or a path")
	} else if u.Scheme == "http" && !ownHost(u.Hostname()) {
		f.add(path, "must be https for a host that is neither loopback nor the container service's own")
	}
	if c.Token.Len() > 0 && c.TokenFile != "" {
		f.add("/auth/container", "needs one of token, token_file at most")
	}
	if !printable([]byte(strings.ReplaceAll(string(c.Token.Reveal()), " ", ""))) {
		f.add("/auth/container/token", "holds characters that no header has")
	}
}

func (f *faults) role(r *AssumeRole) {
	if r == nil {
		return
	}
	f.hop("/assume_role", r.last())
	for i, h := range r.Via {
		f.hop(fmt.Sprintf("/assume_role/via/%d", i), h)
	}
	if r.Duration < minSession || r.Duration > maxSession {
		f.add("/assume_role/duration", "must be 15m to 12h")
	}
}

func (f *faults) hop(path string, h Hop) {
	if !roleForm.MatchString(h.ARN) {
		f.add(path+"/arn", "is not the ARN of a role")
	}
	if n := len(h.ExternalID); n > 0 && (n < 2 || n > 1224 || !externalForm.MatchString(h.ExternalID)) {
		f.add(path+"/external_id", "must be 2 to 1224 letters, digits or _+=,.@:/-")
	}
	if !sessionForm.MatchString(h.SessionName) {
		f.add(path+"/session_name", "must be 2 to 64 letters, digits or _+=,.@-")
	}
	if len(h.Tags) > maxTags {
		f.add(path+"/tags", "are over %d", maxTags)
	}
	for _, k := range slices.Sorted(maps.Keys(h.Tags)) {
		if k == "" || len([]rune(k)) > 128 || len([]rune(h.Tags[k])) > 256 || !tagForm.MatchString(k) || !tagForm.MatchString(h.Tags[k]) {
			f.add(path+"/tags", "has a tag that STS refuses; keys are 1 to 128 and values 0 to 256 letters, digits, spaces or _.:/=+-@")
			break
		}
	}
	for i, k := range h.TransitiveTagKeys {
		if _, ok := h.Tags[k]; !ok {
			f.add(fmt.Sprintf("%s/transitive_tag_keys/%d", path, i), "is none of the tags")
		}
	}
}

// printable reports whether b can be sent as a header. Empty is.
func printable(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c <= ' ' || c > '~' })
}

// ownHost reports whether a host may be asked for credentials without TLS.
func ownHost(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && (a.IsLoopback() || slices.Contains(containerHosts, a.String()))
}

// containerHosts are where ECS and EKS give credentials.
var containerHosts = []string{"169.254.170.2", "169.254.170.23", "fd00:ec2::23"}

// onLoopback reports whether an endpoint is a server on this machine.
func onLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
