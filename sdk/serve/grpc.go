package serve

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// defaultDeadline bounds a call whose caller set no deadline, so that none can hang for ever.
const defaultDeadline = 30 * time.Second

// serverOptions are the limits and interceptors of every server, in a process of its own or in memory.
func serverOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(sdk.MaxMessage),
		grpc.MaxSendMsgSize(sdk.MaxMessage),
		grpc.UnaryInterceptor(unary),
		grpc.StreamInterceptor(stream),
	}
}

// ours tells the contract's service from those that go-plugin adds.
func ours(method string) bool {
	return strings.HasPrefix(method, "/"+pb.Plugin_ServiceDesc.ServiceName+"/")
}

func unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	if !ours(info.FullMethod) {
		return handle(ctx, req)
	}
	ctx = wire.ExtractTrace(ctx)
	if _, ok := ctx.Deadline(); !ok {
		bounded, cancel := context.WithTimeout(ctx, defaultDeadline)
		defer cancel()
		ctx = bounded
	}
	defer func() {
		if x := recover(); x != nil {
			resp, err = nil, wire.Status(panicked(ctx, operation(info.FullMethod), x))
		}
	}()
	if m, ok := req.(proto.Message); ok {
		err = wire.AllowKnown(operation(info.FullMethod), m)
	}
	if err == nil {
		resp, err = handle(ctx, req)
	}
	if err != nil {
		return nil, wire.Status(err)
	}
	return resp, nil
}

func stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	if !ours(info.FullMethod) {
		return handle(srv, ss)
	}
	traced := tracedStream{ss, wire.ExtractTrace(ss.Context()), operation(info.FullMethod)}
	defer func() {
		if x := recover(); x != nil {
			err = wire.Status(panicked(traced.ctx, traced.op, x))
		}
	}()
	return wire.Status(handle(srv, traced))
}

type tracedStream struct {
	grpc.ServerStream
	ctx context.Context
	op  string
}

func (s tracedStream) Context() context.Context { return s.ctx }

// RecvMsg receives the request, and refuses one that the contract does not know in full.
func (s tracedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if m, ok := m.(proto.Message); ok {
		return wire.AllowKnown(s.op, m)
	}
	return nil
}

func operation(method string) string { return method[strings.LastIndexByte(method, '/')+1:] }

// panicked reports a panic: its type and where it happened. Its value and the arguments on the stack may be secret.
func panicked(ctx context.Context, op string, x any) error {
	slog.ErrorContext(ctx, "panic in the provider", "op", op, "type", fmt.Sprintf("%T", x), "stack", frames())
	return sdk.Errorf(sdk.Internal, "%s: the provider panicked with a %T", strings.ToLower(op), x)
}

// frames gives the functions and lines that led to a panic, innermost first.
func frames() []string {
	var pc [48]uintptr
	it := runtime.CallersFrames(pc[:runtime.Callers(4, pc[:])])
	var out []string
	for {
		f, more := it.Next()
		if f.Function != "" {
			out = append(out, fmt.Sprintf("%s:%d", f.Function, f.Line))
		}
		if !more {
			return out
		}
	}
}
