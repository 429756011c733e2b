package broker

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/keyway-dev/keyway/sdk"
)

// proxies are the operator's proxies and what goes past them.
type proxies struct {
	choose func(*url.URL) (*url.URL, error)
}

// unusable stands for a proxy whose URL cannot be read: httpproxy would go past it, silently.
const unusable = "unreadable://proxy"

func newProxies(env []string) proxies {
	var c httpproxy.Config
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		switch strings.ToUpper(name) {
		case "HTTP_PROXY":
			c.HTTPProxy = readable(value)
		case "HTTPS_PROXY":
			c.HTTPSProxy = readable(value)
		case "NO_PROXY":
			c.NoProxy = value
		}
	}
	return proxies{choose: c.ProxyFunc()}
}

// readable gives the URL of a proxy with its scheme, which may be left out.
func readable(text string) string {
	if text != "" && !strings.Contains(text, "://") {
		text = "http://" + text
	}
	if u, err := url.Parse(text); text != "" && (err != nil || u.Hostname() == "") {
		return unusable
	}
	return text
}

// forEndpoint gives the proxy that an endpoint is reached through, nil for none. An error does not quote the proxy's URL,
// which may hold a password.
func (p proxies) forEndpoint(endpoint, port string) (*url.URL, error) {
	scheme, variable := "http", "HTTP_PROXY"
	if port == "443" {
		scheme, variable = "https", "HTTPS_PROXY"
	}
	u, err := p.choose(&url.URL{Scheme: scheme, Host: endpoint})
	if err != nil {
		return nil, fmt.Errorf("%s: cannot tell whether %s goes through it", variable, endpoint)
	}
	if u == nil || u.Scheme == "http" {
		return u, nil
	}
	return nil, fmt.Errorf("%s is not the URL of a proxy that is spoken to in plain HTTP, as in http://proxy.example.com:3128; "+
		"a connection is handed to the plugin as it is, so the way to the proxy can be neither TLS nor SOCKS", variable)
}

// tunnel connects to an endpoint through a proxy. The connection that it answers begins with the endpoint's first byte.
func (b *Broker) tunnel(ctx context.Context, proxy *url.URL, endpoint string) (net.Conn, error) {
	address := proxy.Host
	if proxy.Port() == "" {
		address = net.JoinHostPort(proxy.Hostname(), "80")
	}
	conn, err := b.opts.Dial(ctx, "tcp", address, nil) // the operator's own choice is not judged
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %s", address, failure(err))
	}
	interrupt := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = handshake(conn, proxy.User, endpoint)
	if !interrupt() {
		err = ctx.Err() // a deadline is, or is about to be, in the past
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("proxy %s: %s", address, failure(err))
	}
	return conn, nil
}

// handshake asks a proxy for the tunnel (RFC 9110, section 9.3.6).
func handshake(conn net.Conn, login *url.Userinfo, endpoint string) error {
	request := "CONNECT " + endpoint + " HTTP/1.1\r\nHost: " + endpoint + "\r\nUser-Agent: keyway\r\n"
	if login != nil {
		request += "Proxy-Authorization: Basic " + string(credentials(login).Reveal()) + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return err
	}
	answer := bufio.NewReader(singly{io.LimitReader(conn, maxProxyAnswer)})
	resp, err := http.ReadResponse(answer, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return fmt.Errorf("its answer cannot be read: %s", failure(err))
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return fmt.Errorf("it answered 407 to CONNECT %s; set a user and password that it knows in the proxy's URL", endpoint)
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("it answered %d %s to CONNECT %s", resp.StatusCode, http.StatusText(resp.StatusCode), endpoint)
	}
	return nil
}

const maxProxyAnswer = 16 << 10 // bytes

func credentials(login *url.Userinfo) sdk.Sensitive {
	password, _ := login.Password()
	return sdk.NewSensitive([]byte(base64.StdEncoding.EncodeToString([]byte(login.Username() + ":" + password))))
}

// singly reads byte by byte: what follows the proxy's answer is the endpoint's, and nobody else may take it from the socket.
type singly struct{ r io.Reader }

func (s singly) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), 1)]) }
