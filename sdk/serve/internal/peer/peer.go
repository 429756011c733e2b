// Package peer lets only one process connect, as gRPC transport credentials. The kernel vouches for who is at the other end
// of a Unix socket, so neither keys nor bytes are exchanged.
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

// Only returns server credentials that accept want and drop everybody else before the first byte.
func Only(want Identity) credentials.TransportCredentials { return &only{want} }

type only struct{ want Identity }

func (c *only) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	u, ok := raw.(*net.UnixConn)
	if !ok {
		return nil, nil, fmt.Errorf("peer: %T is not a Unix socket", raw)
	}
	got, err := identify(u)
	if err == nil && got != c.want {
		err = fmt.Errorf("peer: process %d of user %d is not the host, process %d of user %d", got.PID, got.UID, c.want.PID, c.want.UID)
	}
	if err != nil {
		return nil, nil, errors.Join(err, raw.Close())
	}
	return raw, info{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}, nil
}

func (c *only) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("peer: these credentials are for a server")
}

func (c *only) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "peer"}
}

func (c *only) Clone() credentials.TransportCredentials { return c }

func (c *only) OverrideServerName(string) error { return nil }

type info struct{ credentials.CommonAuthInfo }

func (info) AuthType() string { return "peer" }
