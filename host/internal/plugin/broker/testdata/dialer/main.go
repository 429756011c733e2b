// Command dialer is a plugin that connects to whatever it is asked to. The names of its secrets are "way endpoint", and
// their values what the server there says first.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/serve"
)

type settings struct {
	Endpoints []string `json:"endpoints"`
}

// Reach is what the test says.
func (s *settings) Reach() sdk.Reach { return sdk.Reach{Endpoints: s.Endpoints} }

type store struct{ env sdk.Env }

func main() {
	serve.Main(sdk.Define(sdk.About{Name: "dialer", Version: "1.0.0"}, func(_ context.Context, env sdk.Env, _ settings) (*store, error) {
		return &store{env}, nil
	}))
}

func (s *store) Check(context.Context) (sdk.Report, error) { return sdk.Report{}, nil }

func (s *store) Close(context.Context) error { return nil }

// Get dials: through the Env, with its client, with a clone of http's default transport, or past all of them.
func (s *store) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	way, endpoint, _ := strings.Cut(r.Name, " ")
	var text string
	var err error
	switch way {
	case "env":
		text, err = line(s.env.DialContext(ctx, "tcp", endpoint))
	case "client":
		text, err = fetch(ctx, s.env.HTTPClient, endpoint)
	case "clone":
		text, err = fetch(ctx, &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}, endpoint)
	case "past":
		text, err = line((&net.Dialer{}).DialContext(ctx, "tcp", endpoint))
	}
	if err != nil {
		return sdk.Secret{}, sdk.Errorf(sdk.CodeOf(err), "get %q: %w", r.Name, err)
	}
	return sdk.Secret{Value: sdk.SensitiveString(text), Version: "1"}, nil
}

func line(conn net.Conn, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(conn)
	_, body, _ := strings.Cut(string(b), "\r\n\r\n")
	return fmt.Sprintf("%T %s", conn, body), err
}

func fetch(ctx context.Context, c *http.Client, endpoint string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+endpoint, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}
