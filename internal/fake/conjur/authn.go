package conjur

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// credential is what an authenticator other than the default one takes.
type credential struct{ authenticator, service, secret string }

// token is an access token as Conjur writes it.
type token struct {
	Protected string `json:"protected"`
	Payload   string `json:"payload"`
	Signature string `json:"signature"`
}

type claims struct {
	Sub string `json:"sub"`
	Exp int64  `json:"exp"`
	Iat int64  `json:"iat"`
}

// roleOf gives the role of a login: "host/app/gw" is a host, all else a user.
func (s *Server) roleOf(login string) string {
	if host, ok := strings.CutPrefix(login, "host/"); ok {
		return s.id("host", host)
	}
	return s.id("user", login)
}

func loginOf(role string) string {
	_, kind, name := split(role)
	if kind == "host" {
		return "host/" + name
	}
	return name
}

// newToken signs one for a login. The caller holds the lock.
func (s *Server) newToken(login string) token {
	now := s.now()
	header, _ := json.Marshal(map[string]string{"alg": "conjur.org/slosilo/v2", "kid": hex.EncodeToString(s.signing[:16])})
	payload, _ := json.Marshal(claims{Sub: login, Exp: now.Add(TokenLife).Unix(), Iat: now.Unix()})
	t := token{Protected: base64.URLEncoding.EncodeToString(header), Payload: base64.URLEncoding.EncodeToString(payload)}
	t.Signature = s.sign(t)
	return t
}

func (s *Server) sign(t token) string {
	mac := hmac.New(sha256.New, s.signing)
	mac.Write([]byte(t.Protected + "." + t.Payload))
	return base64.URLEncoding.EncodeToString(mac.Sum(nil))
}

var scheme = regexp.MustCompile(`(?s)^Token token="(.*)"`)

// caller gives the role of a token, or the text of the refusal.
func (s *Server) caller(authorization string) (role, refusal string) {
	m := scheme.FindStringSubmatch(authorization)
	if m == nil {
		return "", "Authorization missing"
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(m[1]))
	var t token
	if err != nil || json.Unmarshal(raw, &t) != nil {
		return "", "Malformed authorization token"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	payload, err := base64.URLEncoding.DecodeString(t.Payload)
	var c claims
	if err != nil || json.Unmarshal(payload, &c) != nil || !hmac.Equal([]byte(t.Signature), []byte(s.sign(t))) || s.now().Unix() >= c.Exp {
		return "", "Unauthorized: Invalid token"
	}
	return s.roleOf(c.Sub), ""
}

// authn serves the authenticators: /AUTHENTICATOR[/SERVICE]/ACCOUNT[/LOGIN]/authenticate, and what the default one has
// besides.
func (s *Server) authn(r *http.Request, parts []string, body []byte) answer {
	verb, which, rest := parts[len(parts)-1], parts[0], parts[1:len(parts)-1]
	if len(rest) == 0 {
		return empty(http.StatusNotFound)
	}
	if which == "authn" && verb == "api_key" && r.Method == http.MethodPut {
		return s.rotate(r, rest[0])
	}
	if verb == "login" && r.Method == http.MethodGet {
		return s.login(r, rest[len(rest)-1])
	}
	if verb != "authenticate" || r.Method != http.MethodPost {
		return empty(http.StatusNotFound)
	}
	service := ""
	if which != "authn" && which != "authn-gcp" {
		service, rest = rest[0], rest[1:]
	}
	login := strings.Join(rest[min(1, len(rest)):], "/")
	if len(rest) == 0 || rest[0] != s.Account {
		return empty(http.StatusUnauthorized)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if login = s.accepts(r, credential{which, service, ""}, login, body); login == "" {
		return empty(http.StatusUnauthorized)
	}
	a := asJSON(http.StatusOK, s.newToken(login))
	if strings.EqualFold(r.Header.Get("Accept-Encoding"), "base64") {
		return answer{status: a.status, kind: "text/plain; charset=utf-8", encoding: "base64", body: []byte(base64.StdEncoding.EncodeToString(a.body))}
	}
	return a
}

// accepts gives whom the authenticator takes the request for; empty: nobody. login is what the path names, if anything.
func (s *Server) accepts(r *http.Request, c credential, login string, body []byte) string {
	if c.authenticator == "authn" {
		if key := s.keys[s.roleOf(login)]; key != "" && subtle.ConstantTimeCompare([]byte(key), body) == 1 {
			return login
		}
		return ""
	}
	var secrets []string
	switch c.authenticator {
	case "authn-jwt", "authn-gcp", "authn-azure":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return ""
		}
		secrets = form["jwt"]
	case "authn-ldap":
		secrets = []string{string(body)}
	case "authn-iam":
		secrets = accessKey(body)
	case "authn-cert":
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || len(body) != 0 {
			return ""
		}
		leaf := r.TLS.PeerCertificates[0]
		secrets = []string{leaf.Subject.CommonName}
		for _, u := range leaf.URIs {
			secrets = append(secrets, u.String())
		}
	}
	for _, secret := range secrets {
		c.secret = secret
		if as := s.accepted[c]; as != "" && (login == "" || login == as) {
			return as
		}
	}
	return ""
}

// accessKey gives the access key id of the signed request to AWS that authn-iam gets.
func accessKey(body []byte) []string {
	var headers map[string]string
	if json.Unmarshal(body, &headers) != nil || headers["Host"] == "" || headers["X-Amz-Date"] == "" {
		return nil
	}
	_, rest, _ := strings.Cut(headers["Authorization"], "AWS4-HMAC-SHA256 Credential=")
	id, _, _ := strings.Cut(rest, "/")
	return []string{id}
}

// basic gives the role that Basic authentication proves; empty: none. The caller holds the lock.
func (s *Server) basic(r *http.Request) string {
	login, password, ok := r.BasicAuth()
	role := s.roleOf(login)
	if key := s.keys[role]; !ok || key == "" || key != password {
		return ""
	}
	return role
}

func (s *Server) login(r *http.Request, account string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	role := s.basic(r)
	if role == "" || account != s.Account {
		return empty(http.StatusUnauthorized)
	}
	return answer{status: http.StatusOK, kind: "text/plain; charset=utf-8", body: []byte(s.keys[role])}
}

// rotate changes the key of the caller (Basic), or of another role that the caller may update.
func (s *Server) rotate(r *http.Request, account string) answer {
	target := r.URL.Query().Get("role")
	caller := ""
	if target != "" {
		var refusal string
		if caller, refusal = s.caller(r.Header.Get("Authorization")); refusal != "" {
			return answer{status: http.StatusUnauthorized, kind: "text/plain", body: []byte(refusal)}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if target == "" {
		target = s.basic(r)
	} else if target = s.qualified(target); !s.allowed(caller, "update", s.resources[target]) {
		target = ""
	}
	if target == "" || account != s.Account || s.keys[target] == "" {
		return empty(http.StatusUnauthorized)
	}
	s.keys[target] = newKey()
	return answer{status: http.StatusOK, kind: "text/plain; charset=utf-8", body: []byte(s.keys[target])}
}

func (s *Server) whoami(r *http.Request, caller string) answer {
	raw, _ := base64.StdEncoding.DecodeString(scheme.FindStringSubmatch(r.Header.Get("Authorization"))[1])
	var t token
	var c claims
	if json.Unmarshal(raw, &t) == nil {
		payload, _ := base64.URLEncoding.DecodeString(t.Payload)
		_ = json.Unmarshal(payload, &c)
	}
	return asJSON(http.StatusOK, struct {
		IP      string `json:"client_ip"`
		Agent   string `json:"user_agent"`
		Account string `json:"account"`
		User    string `json:"username"`
		Issued  string `json:"token_issued_at"`
	}{"127.0.0.1", r.UserAgent(), s.Account, loginOf(caller), time.Unix(c.Iat, 0).UTC().Format(railsTime)})
}

// authenticators needs no token.
func (s *Server) authenticators() answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	enabled := []string{"authn"}
	for c := range s.accepted {
		name := strings.TrimSuffix(c.authenticator+"/"+c.service, "/")
		if !slices.Contains(enabled, name) {
			enabled = append(enabled, name)
		}
	}
	slices.Sort(enabled)
	return asJSON(http.StatusOK, struct {
		Installed  []string `json:"installed"`
		Configured []string `json:"configured"`
		Enabled    []string `json:"enabled"`
	}{[]string{"authn", "authn-azure", "authn-gcp", "authn-iam", "authn-jwt", "authn-k8s", "authn-ldap", "authn-oidc"}, enabled, enabled})
}

const railsTime = "2006-01-02T15:04:05.000-07:00"
