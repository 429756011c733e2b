package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/keyway-dev/keyway/sdk"
)

// client speaks to the bank. It logs in at its first call, and once more when the bank no longer knows its session.
type client struct {
	http    *http.Client
	address string
	token   sdk.Sensitive
	refused bool // the bank never accepts its login

	session chan string // holds the one session, empty while there is none; whoever logs in has taken it out
}

func newClient(env sdk.Env, s settings) *client {
	c := &client{http: env.HTTPClient, address: s.Address, token: s.Token, session: make(chan string, 1)}
	c.session <- ""
	return c
}

// answer is what the bank said to a call that went well.
type answer struct {
	body    []byte
	version string
}

// call makes one call on a secret. Its errors have their codes.
func (c *client) call(ctx context.Context, op, method, name string, body []byte, header ...string) (answer, error) {
	var last error
	for range 2 {
		session, err := c.login(ctx, op)
		if err != nil {
			return answer{}, err
		}
		target := c.address + "/secret?name=" + url.QueryEscape(name)
		out, status, err := c.send(ctx, method, target, body, append(header, "Session", session)...)
		if err == nil && status < 300 {
			return out, nil
		}
		last = classify(op, name, status, err)
		if status != http.StatusUnauthorized {
			break
		}
		c.forget(session)
	}
	return answer{}, last
}

// login gives the session, and makes one where there is none.
func (c *client) login(ctx context.Context, op string) (string, error) {
	var session string
	select {
	case session = <-c.session:
	case <-ctx.Done():
		return "", classify(op, "login", 0, ctx.Err())
	}
	defer func() { c.session <- session }()
	if c.refused {
		return "", classify(op, "login", http.StatusUnauthorized, nil)
	}
	if session != "" {
		return session, nil
	}
	out, status, err := c.send(ctx, http.MethodPost, c.address+"/login", nil, "Authorization", "Bearer "+string(c.token.Reveal()))
	if err != nil || status >= 300 {
		return "", classify(op, "login", status, err)
	}
	session = string(out.body)
	return session, nil
}

// forget drops a session that the bank does not know, unless another has taken its place.
func (c *client) forget(session string) {
	current := <-c.session
	if current == session {
		current = ""
	}
	c.session <- current
}

// close ends the session at the bank.
func (c *client) close(ctx context.Context) {
	if session := <-c.session; session != "" {
		_, _, _ = c.send(ctx, http.MethodDelete, c.address+"/login", nil, "Session", session)
	}
	c.http.CloseIdleConnections()
}

// send makes one request; header holds names and values in turn.
func (c *client) send(ctx context.Context, method, target string, body []byte, header ...string) (answer, int, error) {
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, 0, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return answer{}, 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, sdk.MaxMessage))
	return answer{body: text, version: resp.Header.Get("Version")}, resp.StatusCode, err
}
