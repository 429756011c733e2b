package httpapi

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/internal/peer"
	"github.com/keyway-dev/keyway/sdk"
)

type actorKey struct{}

// ConnContext asks the kernel who is at the other end of a Unix socket, for the audit of the requests that come from there.
// [Server] does it by itself; it is for another http.Server's ConnContext. Of other connections only the address is told.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	actor := audit.Actor{Kind: audit.Socket}
	if id, err := peer.Of(u); err == nil { // else this system does not tell
		uid := uint32(id.UID) //nolint:gosec // the kernel's own number, 32 bits
		actor.UID, actor.PID = &uid, id.PID
	}
	return context.WithValue(ctx, actorKey{}, actor)
}

// originOf tells who makes a request. What a middleware of the embedder's says is not overruled.
func originOf(r *http.Request, id string) audit.Origin {
	o, said := audit.OriginOf(r.Context())
	if !said {
		var ok bool
		if o.Actor, ok = r.Context().Value(actorKey{}).(audit.Actor); !ok {
			o.Actor = audit.Actor{Kind: audit.Network, Addr: r.RemoteAddr}
		}
	}
	if o.RequestID == "" {
		o.RequestID = id
	}
	return o
}

// requested is the line of a request that reads no secret, or was refused before it could.
func requested(r *http.Request, code sdk.Code, panicked any, begin time.Time) audit.Line {
	if panicked != nil {
		code = sdk.Internal
	}
	line := audit.Line{Event: audit.Request, Op: r.Pattern, Store: r.PathValue("store"), Provider: r.PathValue("plugin"), Code: code.String(),
		TookUS: time.Since(begin).Microseconds()}
	if line.Op == "" { // no such path or method: the caller's own words
		line.Op, line.Detail = "none", r.Method+" "+r.URL.Path
	}
	return line
}
