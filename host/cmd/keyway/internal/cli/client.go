package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/httpapi"
	"github.com/keyway-dev/keyway/sdk"
)

// socketFlag lets a command be told where keyway serve listens.
func (a *app) socketFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.socket, "socket", "", "socket of the keyway serve to ask (default $KEYWAY_SOCKET, else where it listens by default)")
}

// socketAsked gives the socket that somebody named, or "".
func (a *app) socketAsked() string {
	if a.socket != "" {
		return a.socket
	}
	return os.Getenv("KEYWAY_SOCKET")
}

// client speaks to a keyway serve.
type client struct {
	socket string
	http   *http.Client
}

// client gives one for the socket asked for, else for the place where keyway serve listens with this configuration. A broken
// configuration does not keep its operator from the service that runs.
func (a *app) client() *client {
	path := a.socketAsked()
	if path == "" {
		cfg, _ := a.configToCheck()
		if cfg == nil {
			cfg = &config.Config{}
		}
		path = defaultSocket(cfg)
		if len(cfg.Listeners) > 0 {
			path = cfg.Abs(cfg.Listeners[0].Unix)
		}
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &client{path, &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// call sends in, unless it is nil, and reads the answer into out.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	res, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return c.lost(err)
	}
	return nil
}

// change asks for a change and hands on its steps. It fails as the last of them says.
func (c *client) change(ctx context.Context, path string, in any, each func(httpapi.Step)) error {
	res, err := c.send(ctx, http.MethodPost, path, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		var s httpapi.Step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return c.lost(err)
		}
		each(s)
		switch s.Step {
		case httpapi.Done:
			return nil
		case httpapi.Failed:
			return &hinted{sdk.Errorf(httpapi.CodeOf(s.Code), "%s", s.Text), ""}
		}
	}
	if err := lines.Err(); err != nil {
		return c.lost(err)
	}
	return c.lost(io.ErrUnexpectedEOF)
}

// send gives a good answer, whose body the caller closes, or the error.
func (c *client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader = http.NoBody
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://keyway"+path, body)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreached(err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	var p httpapi.Problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || p.Detail == "" {
		return nil, sdk.Errorf(sdk.Internal, "%s answered status %d and no problem: is it a keyway serve?", c.socket, res.StatusCode)
	}
	return nil, refusal(p)
}

// refusal is a problem as an error of the command.
func refusal(p httpapi.Problem) error {
	code := httpapi.CodeOf(p.Code)
	var all []error
	for _, f := range p.Errors {
		text := f.Message
		if f.Location != "" {
			text = f.Location + ": " + text
		}
		all = append(all, sdk.Errorf(code, "%s", text))
	}
	if len(all) > 0 {
		return errors.Join(all...)
	}
	err := &sdk.Error{Code: code, Message: p.Detail, RetryAfter: time.Duration(p.RetryAfter) * time.Second}
	if p.Store == "" || p.Status == http.StatusForbidden {
		return &hinted{err, ""} // the hints are about stores and their backends
	}
	return err
}

const howToServe = "start it with keyway serve, or name its socket with --socket or KEYWAY_SOCKET"

// unreached tells why there is no answer.
func (c *client) unreached(err error) error {
	switch op, _ := errors.AsType[*net.OpError](err); {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.CodeOf(err), "%s: no answer: %w", c.socket, err)
	case errors.Is(err, fs.ErrPermission):
		return &hinted{sdk.Errorf(sdk.PermissionDenied, "%s: this user may not connect to the keyway serve there", c.socket),
			"run as the user that serves, or join the group of its listener"}
	case op != nil && op.Op == "dial":
		return &hinted{sdk.Errorf(sdk.Unavailable, "%s: no keyway serve listens there: %w", c.socket, op.Err), howToServe}
	}
	return &hinted{sdk.Errorf(sdk.Unavailable, "%s: the connection was closed without an answer", c.socket),
		"either it does not let this user in, which its log tells, or it has ended"}
}

// lost tells an answer that is not whole.
func (c *client) lost(err error) error {
	return &hinted{sdk.Errorf(sdk.Unavailable, "%s: the answer breaks off: %v", c.socket, err), "keyway status tells what has become of it"}
}

// resolve reads one reference through the service.
func (c *client) resolve(ctx context.Context, ref string) (*host.Value, error) {
	var out httpapi.Resolution
	err := c.call(ctx, http.MethodPost, "/v1/resolve", map[string]any{"refs": []string{ref}}, &out)
	if err != nil {
		return nil, err
	}
	if len(out.Items) != 1 || out.Items[0].Secret == nil && out.Items[0].Problem == nil {
		return nil, sdk.Errorf(sdk.Internal, "%s answered %d values for one reference", c.socket, len(out.Items))
	}
	if p := out.Items[0].Problem; p != nil {
		return nil, refusal(*p)
	}
	s := out.Items[0].Secret
	v := &host.Value{Sensitive: sdk.NewSensitive(s.ValueBase64), Store: s.Store, Name: s.Name, Version: s.Version, ReadAt: s.ReadAt, Stale: s.Stale}
	if s.Value != nil {
		v.Sensitive = sdk.SensitiveString(*s.Value)
	}
	if s.Expires != nil {
		v.Expires = *s.Expires
	}
	return v, nil
}
