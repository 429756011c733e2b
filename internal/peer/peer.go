// Package peer tells which process is at the other end of a Unix socket, as gRPC transport credentials for both ends. They
// stand in for TLS: the kernel vouches for the peer, and nobody else can read a Unix socket.
package peer

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"
)

// Identity is what the kernel says about the process at the other end.
type Identity struct{ PID, UID int }

// Of tells who is at the other end of c.
func Of(c *net.UnixConn) (Identity, error) { return identify(c) }

// Groups gives the numbers of the groups, its own and the supplementary ones, that the process at the other end of c had when
// it connected.
func Groups(c *net.UnixConn) ([]int, error) { return groups(c) }

// New returns credentials that accept a peer only if check does, and drop everybody else before the first byte.
func New(check func(Identity) error) credentials.TransportCredentials { return &kernel{check} }

type kernel struct{ check func(Identity) error }

type authInfo struct{ credentials.CommonAuthInfo }

func (authInfo) AuthType() string { return "peer" }

func (k *kernel) ClientHandshake(_ context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return k.handshake(raw)
}

func (k *kernel) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return k.handshake(raw)
}

func (k *kernel) handshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	u, ok := raw.(*net.UnixConn)
	if !ok {
		return nil, nil, fmt.Errorf("peer: %T is not a Unix socket", raw)
	}
	id, err := identify(u)
	if err == nil {
		err = k.check(id)
	}
	if err != nil {
		return nil, nil, errors.Join(err, raw.Close())
	}
	return raw, authInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}, nil
}

func (k *kernel) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "peer"}
}

func (k *kernel) Clone() credentials.TransportCredentials { return k }

func (k *kernel) OverrideServerName(string) error { return nil }
