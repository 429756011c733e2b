package fault

import (
	"cmp"
	"context"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Unary lets calls meet their faults. WrongCRC is left to the fake, which asks [FromContext].
func (i *Injector) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		f, ok := i.Take()
		if !ok {
			return handler(ctx, req)
		}
		ctx = context.WithValue(ctx, contextKey{}, f)
		if !wait(ctx, f.Latency) {
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		if f.Code != codes.OK {
			return nil, f.status()
		}
		answer, err := handler(ctx, req)
		switch {
		case f.Cut: // the call has happened, and nobody hears of it
			return nil, status.Error(codes.Unavailable, "error reading from server: EOF")
		case err != nil:
			return nil, err
		case f.Malformed:
			var noise emptypb.Empty
			noise.ProtoReflect().SetUnknown([]byte{0xff, 0xff, 0xff}) // a tag that never ends
			return &noise, nil
		case !wait(ctx, f.Slow):
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		return answer, nil
	}
}

func (f Fault) status() error {
	s := status.New(f.Code, cmp.Or(f.Body, "injected"))
	if f.RetryAfter > 0 {
		detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(f.RetryAfter.Round(time.Millisecond))})
		if err != nil {
			return err
		}
		s = detailed
	}
	return s.Err()
}
