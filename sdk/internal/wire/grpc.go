package wire

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/keyway-dev/keyway/sdk"
)

// DialOptions are those of every connection to a plugin: the contract's message limit, the trace context of each call, and
// no idling, since a connection that is made twice is another process.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(sdk.MaxMessage), grpc.MaxCallSendMsgSize(sdk.MaxMessage)),
		grpc.WithIdleTimeout(0),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return call(injectTrace(ctx), method, req, reply, cc, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return open(injectTrace(ctx), desc, cc, method, opts...)
		}),
	}
}

// injectTrace puts the trace context (W3C traceparent and tracestate) of ctx into the call's metadata.
func injectTrace(ctx context.Context) context.Context {
	var c pairs
	propagation.TraceContext{}.Inject(ctx, &c)
	if len(c) == 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, c...)
}

// ExtractTrace gives ctx the trace context that came with the call. A malformed one is none.
func ExtractTrace(ctx context.Context) context.Context {
	return propagation.TraceContext{}.Extract(ctx, incoming{ctx})
}

// pairs collects keys and values in turn.
type pairs []string

func (p *pairs) Get(string) string { return "" }
func (p *pairs) Set(k, v string)   { *p = append(*p, k, v) }
func (p *pairs) Keys() []string    { return nil }

// incoming reads single keys of a call's metadata, which costs less than a copy of it all.
type incoming struct{ ctx context.Context }

func (m incoming) Get(k string) string {
	if v := metadata.ValueFromIncomingContext(m.ctx, k); len(v) > 0 {
		return v[0]
	}
	return ""
}
func (m incoming) Set(string, string) {}
func (m incoming) Keys() []string     { return nil }
