package cli_test

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// waitTime is how long a test waits for what must happen.
const waitTime = 30 * time.Second

// through is a client of the service at a socket.
func through(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
}

// awaitReady returns when the service at a socket is ready, or the error when it has not been in time.
func awaitReady(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	c := through(socket)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://keyway/readyz", nil)
		if err != nil {
			return err
		}
		res, err := c.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return err
		}
	}
}

// serving waits until the service at a socket is ready: serving SOCKET
func serving(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serving SOCKET")
	}
	ts.Check(awaitReady(context.Background(), ts.MkAbs(args[0])))
}
