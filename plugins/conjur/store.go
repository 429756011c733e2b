package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/cyberark/conjur-api-go/conjurapi"

	"github.com/keyway-dev/keyway/plugins/internal/httptls"
	"github.com/keyway-dev/keyway/plugins/internal/session"
	"github.com/keyway-dev/keyway/sdk"
)

// store is the variables of one account, or those below a path of it.
type store struct {
	account        string
	prefix, branch string // without slashes at their ends
	verify         bool   // the server's certificate
	requests       *conjurapi.Client
	http           *http.Client
	session        *session.Session[sdk.Sensitive]
}

var (
	_ sdk.Getter      = (*store)(nil)
	_ sdk.BatchGetter = (*store)(nil)
	_ sdk.Stater      = (*store)(nil)
	_ sdk.Lister      = (*store)(nil)
	_ sdk.Versioner   = (*store)(nil)
	_ sdk.Putter      = (*store)(nil)
	_ sdk.Deleter     = (*store)(nil)
)

func plugin() *sdk.Plugin {
	return sdk.Define(sdk.About{
		Name:    "conjur",
		Version: version,
		Summary: "CyberArk Conjur: variables, declared and removed by policy where wished",
		Docs:    "https://github.com/keyway-dev/keyway/blob/main/docs/providers/conjur.md",
		Compat: map[string]string{
			"litellm.system":                 "cyberark",
			"litellm.default./address":       `"http://127.0.0.1:8080"`,
			"litellm.default./account":       `"default"`,
			"litellm.default./login":         `"admin"`,
			"litellm.default./policy_branch": `"root"`,
			"litellm.ttl":                    "CYBERARK_REFRESH_INTERVAL",
		},
	}, open)
}

func open(_ context.Context, env sdk.Env, s Settings) (*store, error) {
	config, err := s.TLS.config()
	if err != nil {
		return nil, err
	}
	transport := env.NewTransport()
	transport.TLSClientConfig = config
	if s.TLS.CAFile != "" && s.TLS.Verify {
		httptls.Trust(transport, s.TLS.CAFile)
	}
	requests, err := newRequests(s.base(), s.Account)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a token goes nowhere else
	}}
	a := &authn{settings: s, http: client, env: env}
	return &store{
		account: s.Account, prefix: trim(s.PathPrefix), branch: trim(s.PolicyBranch), verify: s.TLS.Verify || !strings.HasPrefix(s.Address, "https"),
		requests: requests, http: client, session: session.New(session.Source[sdk.Sensitive]{Login: a.login, Logger: env.Logger}),
	}, nil
}

// id gives the identifier of the variable that has a name, within the account.
func (st *store) id(name string) string {
	if st.prefix == "" {
		return name
	}
	return st.prefix + "/" + name
}

// full gives an identifier as Conjur takes it from anybody: with account and kind, since parts of it may look like them.
func (st *store) full(kind, id string) string { return st.account + ":" + kind + ":" + id }

// Check asks whom Conjur takes us for, and notes what would surprise at the first write.
func (st *store) Check(ctx context.Context) (sdk.Report, error) {
	var who struct {
		Account  string `json:"account"`
		Username string `json:"username"`
	}
	if err := st.doJSON(ctx, call{op: "check", object: "login", build: st.requests.WhoAmIRequest}, &who); err != nil {
		return sdk.Report{}, err
	}
	if who.Username == "" {
		return sdk.Report{}, sdk.Errorf(sdk.Internal, "check login: Conjur's answer names nobody")
	}
	r := sdk.Report{Identity: who.Account + ":" + who.Username}
	if !st.verify {
		r.Notes = append(r.Notes, "the server's certificate is not verified (tls.verify)")
	}
	if st.branch == "" {
		return r, nil
	}
	for _, privilege := range []string{"create", "update"} {
		_, err := st.do(ctx, call{op: "check", object: st.branch, build: func() (*http.Request, error) {
			return st.requests.CheckPermissionRequest(st.full("policy", st.branch), privilege)
		}})
		if c := sdk.CodeOf(err); c == sdk.NotFound || c == sdk.PermissionDenied {
			r.Notes = append(r.Notes, fmt.Sprintf("the login may not %s policy %q, which policy_branch names, or there is none", privilege, st.branch))
		} else if err != nil {
			return sdk.Report{}, err
		}
	}
	return r, nil
}

// Close drops the store's connections. A token of Conjur cannot be given back; it ends by itself.
func (st *store) Close(context.Context) error { //nolint:unparam // the signature is that of sdk.Store
	st.session.End()
	st.http.CloseIdleConnections()
	return nil
}

// Get reads one variable, or a version of it by number. Conjur does not tell which version is the current one.
func (st *store) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	id := st.id(r.Name)
	c := call{op: "get", object: r.Name, needs: "execute on variable " + id, build: func() (*http.Request, error) {
		return st.requests.RetrieveSecretRequest(st.full("variable", id))
	}}
	if r.Version != "" {
		n, err := strconv.Atoi(r.Version)
		if err != nil || n < 1 || strconv.Itoa(n) != r.Version {
			return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument, "get %q: version %q is not a number as Conjur gives them", r.Name, r.Version)
		}
		c.build = func() (*http.Request, error) {
			return st.requests.RetrieveSecretWithVersionRequest(st.full("variable", id), n)
		}
	}
	value, err := st.do(ctx, c)
	if err != nil {
		return sdk.Secret{}, err
	}
	if len(value) == 0 {
		return sdk.Secret{}, sdk.Errorf(sdk.Internal, "get %q: Conjur answered an empty value, which no variable has", r.Name)
	}
	return sdk.Secret{Value: sdk.NewSensitive(value), Version: r.Version}, nil
}
