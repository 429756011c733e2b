package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	attempts  = 3
	firstWait = 200 * time.Millisecond // before the second attempt; about three times that before the third
	longWait  = time.Minute            // a server that says to wait longer is not waited for
	maxAnswer = 4 << 20                // bytes; the longest are pages of names with their tags
	renewHold = 5 * time.Second        // the least time between two new logins after refusals
)

// connection is a client of the vault and the login that it shares with all callers.
type connection struct {
	client *azsecrets.Client
	login  *login
}

// connect gives the connection, made on the first call.
func (st *store) connect() (*connection, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.conn != nil {
		return st.conn, nil
	}
	return st.newConnection()
}

// renew replaces a connection whose token the vault refused, unless another caller has. It gives nil where the last
// renewal is so young that the next token would be refused too.
func (st *store) renew(old *connection) *connection {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.conn != old {
		return st.conn
	}
	if !st.renewed.IsZero() && time.Since(st.renewed) < renewHold {
		return nil
	}
	st.renewed = time.Now()
	c, err := st.newConnection()
	if err != nil {
		return nil
	}
	return c
}

// newConnection makes one, with no token yet. st.mu is held.
func (st *store) newConnection() (*connection, error) {
	l := &login{settings: &st.s, http: st.http}
	options := azsecrets.ClientOptions{ClientOptions: clientOptions(st.http), DisableChallengeResourceVerification: st.s.Endpoint != ""}
	options.PerCallPolicies = []policy.Policy{pageSize{}}
	client, err := azsecrets.NewClient(st.s.address(), l, &options)
	if err != nil {
		return nil, sdk.Errorf(sdk.Internal, "the Key Vault client cannot be made: %w", err)
	}
	st.conn = &connection{client: client, login: l}
	return st.conn, nil
}

// call makes one request, and once more with a new login if the vault refused the token.
func call[T any](ctx context.Context, st *store, f func(context.Context, *azsecrets.Client) (T, error)) (T, error) {
	c, err := st.connect()
	if err != nil {
		return *new(T), err
	}
	out, err := once(ctx, c, f)
	if !isStatus(err, http.StatusUnauthorized) {
		return out, err
	}
	if c = st.renew(c); c == nil {
		return out, err
	}
	return once(ctx, c, f)
}

// once makes one request. An answer that the library cannot read has an error of no type of its own; it is told from a
// failure of the connection by what the connection met.
func once[T any](ctx context.Context, c *connection, f func(context.Context, *azsecrets.Client) (T, error)) (T, error) {
	var met noted
	out, err := f(context.WithValue(ctx, notedKey{}, &met), c.client)
	var answer *azcore.ResponseError
	var final interface{ NonRetriable() }
	switch on := met.err(); {
	case err == nil, errors.As(err, &answer), errors.As(err, &final), ctx.Err() != nil:
		return out, err
	case on == nil, errors.Is(on, errTooLong):
		return out, errMalformed
	default:
		return out, on
	}
}

// clientOptions are those of the vault's client and of logins. more are statuses that are worth another attempt.
func clientOptions(client *http.Client, more ...int) azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport: bounded{client},
		Retry:     policy.RetryOptions{MaxRetries: attempts - 1, RetryDelay: firstWait, MaxRetryDelay: longWait, ShouldRetry: transient(more...)}, //nolint:bodyclose // the library closes what it asks about
		Telemetry: policy.TelemetryOptions{ApplicationID: "keyway"},
	}
}

// httpClient dials through the environment and trusts what the settings say. It follows no redirect: none is part of the
// protocols, and it would carry a token elsewhere.
func httpClient(env sdk.Env, t TLS) (*http.Client, error) {
	client := *env.HTTPClient
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if t.CA == "" && t.CAFile == "" {
		return &client, nil
	}
	transport := env.NewTransport()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		trustFile(transport.TLSClientConfig, t.CAFile)
	} else {
		pool, err := poolOf([]byte(t.CA))
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	client.Transport = transport
	return &client, nil
}

func poolOf(pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, sdk.Errorf(sdk.InvalidArgument, "no certificate in PEM")
	}
	return pool, nil
}

// trustFile verifies servers against the certificates that a file holds at the time of the handshake.
func trustFile(config *tls.Config, file string) {
	config.InsecureSkipVerify = true // VerifyConnection does it, with the file's certificates of that moment
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		pem, err := os.ReadFile(file)
		if err != nil {
			return sdk.Errorf(sdk.FailedPrecondition, "tls.ca_file cannot be read: %w", err)
		}
		pool, err := poolOf(pem)
		if err != nil {
			return sdk.Errorf(sdk.FailedPrecondition, "tls.ca_file %s holds no certificate in PEM", file)
		}
		options := x509.VerifyOptions{Roots: pool, DNSName: cs.ServerName, Intermediates: x509.NewCertPool()}
		for _, c := range cs.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		if _, err := cs.PeerCertificates[0].Verify(options); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
		}
		return nil
	}
}

// errMalformed is what an answer meets that no vault gives, and errTooLong ends the reading of one.
var (
	errMalformed = errors.New("the answer is not Key Vault's")
	errTooLong   = errors.New("the answer is too long")
)

// bounded is a client whose answers end, since the library reads them whole, and which notes what its connections meet.
type bounded struct{ client *http.Client }

func (b bounded) Do(r *http.Request) (*http.Response, error) {
	resp, err := b.client.Do(r)
	note(r.Context(), err)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, ctx: r.Context(), left: maxAnswer}
	return resp, nil
}

type boundedBody struct {
	io.ReadCloser
	ctx  context.Context //nolint:containedctx // of the request, as long as its answer
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := 0, errTooLong
	if b.left > 0 {
		n, err = b.ReadCloser.Read(p[:min(len(p), b.left)])
		b.left -= n
	}
	if err != nil && err != io.EOF {
		note(b.ctx, err)
	}
	return n, err
}
