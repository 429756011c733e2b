package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/keyway-dev/keyway/sdk"
)

// login is the credential of a connection. The client library asks it for a token when it has none or the one it has is
// about to end, one caller at a time for all that wait, and the credential inside keeps tokens too.
type login struct {
	settings *Settings
	http     *http.Client

	mu       sync.Mutex
	inner    azcore.TokenCredential
	pem      []byte // of the certificate file that inner was made from
	identity string
}

var _ azcore.TokenCredential = (*login)(nil)

// loginError is a failed login. The client library does not repeat the request that needed it.
type loginError struct{ err *sdk.Error }

func (e *loginError) Error() string { return e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }
func (e *loginError) NonRetriable() {}

// GetToken logs in.
func (l *login) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	inner, err := l.credential()
	if err != nil {
		return azcore.AccessToken{}, &loginError{err}
	}
	var met noted
	token, failure := inner.GetToken(context.WithValue(ctx, notedKey{}, &met), o)
	switch {
	case failure != nil && ctx.Err() != nil:
		return token, ctx.Err()
	case failure != nil:
		return token, &loginError{classifyLogin(failure, met.err())}
	case token.Token == "":
		return token, &loginError{sdk.Errorf(sdk.Internal, "login: the answer has no token")}
	}
	l.mu.Lock()
	l.identity = identityOf(token.Token)
	l.mu.Unlock()
	return token, nil
}

// who gives the identity of the last login.
func (l *login) who() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.identity
}

// credential gives the credential of the settings. One from a file is made anew when the file has another content.
func (l *login) credential() (azcore.TokenCredential, *sdk.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.settings.Auth.Certificate
	if l.inner != nil && (c == nil || c.File == "") {
		return l.inner, nil
	}
	made := l.make
	if c != nil {
		pem := c.Certificate
		if c.File != "" {
			raw, err := os.ReadFile(c.File)
			if err != nil {
				return nil, sdk.Errorf(sdk.FailedPrecondition, "login: auth.certificate.file cannot be read: %w", err)
			}
			if l.inner != nil && bytes.Equal(raw, l.pem) {
				return l.inner, nil
			}
			l.pem, pem = raw, sdk.NewSensitive(raw)
		}
		made = func() (azcore.TokenCredential, error) { return l.certificate(pem) }
	}
	inner, err := made()
	if err != nil {
		return nil, sdk.Errorf(sdk.FailedPrecondition, "login: %s", words(err.Error()))
	}
	l.inner = inner
	return inner, nil
}

// make builds the credential of all logins but that with a certificate. No field is left for the library to fill from the
// environment, except for the default chain.
func (l *login) make() (azcore.TokenCredential, error) {
	s, a := l.settings, l.settings.Auth
	config, discover := s.cloud()
	options := clientOptions(l.http)
	options.Cloud = config
	switch {
	case a.ClientSecret != nil:
		return azidentity.NewClientSecretCredential(s.TenantID, s.ClientID, string(a.ClientSecret.Secret.Reveal()),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: !discover})
	case a.Workload != nil:
		return azidentity.NewClientAssertionCredential(s.TenantID, s.ClientID, a.Workload.assertion,
			&azidentity.ClientAssertionCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: !discover})
	case a.Managed != nil:
		return l.managed(a.Managed)
	case a.CLI != nil:
		return azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: s.TenantID, Subscription: a.CLI.Subscription})
	case s.ClientID == "":
		return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options, TenantID: s.TenantID, DisableInstanceDiscovery: !discover})
	}
	managed, err := l.managed(&ManagedIdentity{})
	if err != nil {
		return nil, err
	}
	cli, err := azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: s.TenantID})
	if err != nil {
		return nil, err
	}
	return azidentity.NewChainedTokenCredential([]azcore.TokenCredential{managed, cli}, nil)
}

// managed is the machine's identity. The metadata service asks to be tried again after 404 and 410 as well.
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
func (l *login) managed(m *ManagedIdentity) (azcore.TokenCredential, error) {
	o := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: clientOptions(l.http, http.StatusNotFound, http.StatusGone)}
	if os.Getenv("IDENTITY_SERVER_THUMBPRINT") != "" {
		o.Transport = l.http // on Service Fabric the library pins the server's certificate, which needs the plain client
	}
	switch {
	case l.settings.ClientID != "":
		o.ID = azidentity.ClientID(l.settings.ClientID)
	case m.ObjectID != "":
		o.ID = azidentity.ObjectID(m.ObjectID)
	case m.ResourceID != "":
		o.ID = azidentity.ResourceID(m.ResourceID)
	}
	return azidentity.NewManagedIdentityCredential(o)
}

func (l *login) certificate(pem sdk.Sensitive) (azcore.TokenCredential, error) {
	s, c := l.settings, l.settings.Auth.Certificate
	chain, key, err := parseCertificate(pem, c.Password)
	if err != nil {
		return nil, errors.New("auth.certificate holds no certificate with its private key that the password opens")
	}
	config, discover := s.cloud()
	options := clientOptions(l.http)
	options.Cloud = config
	return azidentity.NewClientCertificateCredential(s.TenantID, s.ClientID, chain, key, &azidentity.ClientCertificateCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: !discover, SendCertificateChain: c.SendChain})
}

// parseCertificate takes PEM, PFX, and PFX in base64.
func parseCertificate(raw, password sdk.Sensitive) ([]*x509.Certificate, crypto.PrivateKey, error) {
	data, pass := raw.Reveal(), password.Reveal()
	if plain, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(data), nil))); err == nil {
		data = plain
	}
	if len(pass) == 0 {
		pass = nil
	}
	return azidentity.ParseCertificates(data, pass)
}

// assertion gives the other issuer's token, from its file as it is now.
func (w *Workload) assertion(context.Context) (string, error) {
	if w.TokenFile == "" {
		return string(w.Token.Reveal()), nil
	}
	raw, err := os.ReadFile(w.TokenFile)
	token := string(bytes.TrimSpace(raw))
	switch {
	case err != nil:
		return "", fmt.Errorf("auth.workload_identity.token_file cannot be read: %w", err)
	case token == "":
		return "", errors.New("auth.workload_identity.token_file is empty")
	}
	return token, nil
}

// noted keeps what the last request of a call met on the network, which the libraries tell as text only.
type noted struct {
	mu   sync.Mutex
	last error
}

type notedKey struct{}

func (n *noted) err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// note remembers what a request met for the login or call that ctx belongs to; nil: nothing.
func note(ctx context.Context, err error) {
	if n, ok := ctx.Value(notedKey{}).(*noted); ok {
		n.mu.Lock()
		n.last = err
		n.mu.Unlock()
	}
}

// aadsts finds Entra ID's number of a failure. https://learn.microsoft.com/entra/identity-platform/reference-error-codes
var aadsts = regexp.MustCompile(`AADSTS\d+`)

// meanings say what an operator does about the most frequent.
var meanings = map[string]string{
	"AADSTS700016":  "the tenant has no such application; check client_id and tenant_id",
	"AADSTS90002":   "there is no such tenant; check tenant_id and cloud",
	"AADSTS7000215": "the client secret is wrong",
	"AADSTS7000222": "the client secret has expired",
	"AADSTS700027":  "the certificate is not one of the application's, or has expired",
	"AADSTS700024":  "the assertion is not valid at this time; check the clock",
	"AADSTS70021":   "the application has no federated credential for the token's issuer and subject",
	"AADSTS700213":  "the application has no federated credential for the token's subject",
	"AADSTS500011":  "the tenant does not know the vault's resource; check cloud",
}

// classifyLogin gives a failed login its code. met is what the connection met, if anything.
func classifyLogin(err, met error) *sdk.Error {
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || failed.RawResponse == nil {
		var known *sdk.Error
		switch {
		case errors.As(met, &known):
			return sdk.Errorf(known.Code, "login: %s", known.Message)
		case met != nil:
			return sdk.Errorf(sdk.Unavailable, "login: %w", met)
		}
		return sdk.Errorf(sdk.Unauthenticated, "login: %s", words(err.Error()))
	}
	resp := failed.RawResponse
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	raw, _ := runtime.Payload(resp)
	_ = json.Unmarshal(raw, &body)
	number := aadsts.FindString(body.Description)
	e := sdk.Errorf(loginCode(resp.StatusCode), "login: the authority answered %d %s", resp.StatusCode, strings.TrimSpace(words(body.Error)+" "+number))
	if m := meanings[number]; m != "" {
		e.Message += ": " + m
	}
	e.Reason = cmp.Or(number, words(body.Error))
	e.RequestID = cmp.Or(resp.Header.Get("x-ms-request-id"), resp.Header.Get("client-request-id"))
	e.RetryAfter = retryAfter(resp.Header, time.Now())
	return e
}

func loginCode(status int) sdk.Code {
	switch {
	case status == http.StatusTooManyRequests:
		return sdk.ResourceExhausted
	case status == http.StatusRequestTimeout, status >= http.StatusInternalServerError:
		return sdk.Unavailable
	case status >= http.StatusBadRequest:
		return sdk.Unauthenticated
	}
	return sdk.Internal
}

// identityOf reads whom a token is for. It is only shown; the vault is who judges tokens.
func identityOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c struct {
		User     string `json:"upn"`
		App      string `json:"appid"`
		AppV2    string `json:"azp"`
		Object   string `json:"oid"`
		Resource string `json:"xms_mirid"`
	}
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return ""
	}
	name := cmp.Or(c.User, c.Resource)
	if app := cmp.Or(c.App, c.AppV2); name == "" && app != "" {
		name = "application " + app
	}
	if c.Object != "" {
		name = strings.TrimSpace(name + " (object " + c.Object + ")")
	}
	return words(name)
}
