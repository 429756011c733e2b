package broker

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

// aProxy answers every CONNECT with status, and makes the tunnel where that is 200 by greeting in the same packet as the
// answer. It gives what it was asked.
func aProxy(t *testing.T, status int) (address string, asked <-chan *http.Request) {
	t.Helper()
	requests := make(chan *http.Request, 16)
	address, _ = listen(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		requests <- r
		answer := fmt.Sprintf("HTTP/1.1 %d %s\r\nVia: a proxy\r\n\r\n", status, "words of the proxy")
		if status == http.StatusOK {
			answer += greeting
		}
		_, _ = io.WriteString(c, answer)
	})
	return address, requests
}

func TestConnectionsGoThroughTheProxyOfTheirPort(t *testing.T) {
	secure, viaSecure := aProxy(t, http.StatusOK)
	plain, viaPlain := aProxy(t, http.StatusOK)
	direct, _ := server(t)
	b := newBroker(t, Options{Proxy: []string{"HTTPS_PROXY=http://operator:pa%20ss@" + secure, "HTTP_PROXY=" + plain, "NO_PROXY=127.0.0.1,.internal"}})
	b.Allow("main~1", reach("vault.example:443", "vault.example:8200", direct))
	p := connect(t, b)

	p.reaches("Vault.Example.:443") // the greeting follows the answer at once, and is not lost
	r := <-viaSecure
	user, password, ok := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth()
	if r.Method != http.MethodConnect || r.Host != "vault.example:443" || user != "operator" || password != "pa ss" || !ok {
		t.Errorf("the proxy was asked %s %s as %q", r.Method, r.Host, user)
	}
	p.reaches("vault.example:8200")
	if r := <-viaPlain; r.Host != "vault.example:8200" || r.Header.Get("Proxy-Authorization") != "" {
		t.Errorf("the other proxy was asked for %s with the login of the first", r.Host)
	}
	p.reaches(direct)
	if len(viaSecure)+len(viaPlain) != 0 {
		t.Error("what NO_PROXY holds went through a proxy")
	}
}

func TestBehindAProxyNamesAndAddressesAreJudged(t *testing.T) {
	address, asked := aProxy(t, http.StatusOK)
	b := newBroker(t, Options{Proxy: []string{"https_proxy=" + address}})
	p := connect(t, b)
	p.isRefused("vault.example:443", "no open store")
	b.Allow("main~1", reach("169.254.169.254:443", "[::ffff:a9fe:a9fe]:443"))
	p.isRefused("169.254.169.254:443", "instance metadata")
	p.isRefused("[::ffff:a9fe:a9fe]:443", "instance metadata")
	team := newBroker(t, Options{Team: true, Proxy: []string{"HTTPS_PROXY=" + address}})
	team.Allow("team~1", reach("10.0.0.1:443"))
	connect(t, team).isRefused("10.0.0.1:443", "public internet")
	if len(asked) != 0 {
		t.Error("the proxy was asked")
	}
}

func TestAProxyThatDoesNotConnectIsNamed(t *testing.T) {
	silent, _ := listen(t, func(net.Conn) {})
	chatty, _ := listen(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 10000)+"\r\n")
	})
	other, _ := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example ESMTP\r\n") })
	forbidden, _ := aProxy(t, http.StatusForbidden)
	login, _ := aProxy(t, http.StatusProxyAuthRequired)
	nobody, _ := net.Listen("tcp4", "127.0.0.1:0")
	_ = nobody.Close()
	for name, tc := range map[string]struct{ proxy, words string }{
		"closes":          {silent, "answer cannot be read"},
		"never ends":      {chatty, "answer cannot be read"},
		"no proxy":        {other, "answer cannot be read"},
		"refuses":         {forbidden, "answered 403 Forbidden to CONNECT vault.example:443"},
		"wants a login":   {login, "set a user and password"},
		"is not there":    {nobody.Addr().String(), "connection refused"},
		"TLS":             {"https://canary@proxy.example", "HTTPS_PROXY is not the URL of a proxy"},
		"SOCKS":           {"socks5://canary@proxy.example", "HTTPS_PROXY is not the URL of a proxy"},
		"is no URL":       {"http://us er:canary@[::1", "HTTPS_PROXY is not the URL of a proxy"},
		"is a stray word": {"http://:3128", "HTTPS_PROXY is not the URL of a proxy"},
	} {
		t.Run(name, func(t *testing.T) {
			var log safeBuffer
			b := newBroker(t, Options{Proxy: []string{"HTTPS_PROXY=" + tc.proxy}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			b.Allow("main~1", reach("vault.example:443"))
			conn, text := connect(t, b).dial("vault.example:443")
			if conn != nil || strings.HasPrefix(text, refusedWord) || !strings.Contains(text, tc.words) {
				t.Errorf("connected %v, %q; want a failure with %q", conn != nil, text, tc.words)
			}
			if strings.Contains(text+log.String(), "canary") || strings.Contains(text, "words of the proxy") {
				t.Errorf("it quotes what it must not: %q", text)
			}
		})
	}
}

func TestAProxyThatHangsIsGivenUpWithTheGeneration(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	address, _ := listen(t, func(net.Conn) { close(inside); <-release })
	t.Cleanup(func() { close(release) })
	b := newBroker(t, Options{Proxy: []string{"HTTPS_PROXY=" + address}})
	b.Allow("main~1", reach("vault.example:443"))
	p := connect(t, b)
	p.send("vault.example:443")
	<-inside
	p.stop() // returns
}
