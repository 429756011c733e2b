package audit

import "context"

// Origin is who asked for what is done within a context. Whoever takes requests for others puts it there: the socket of
// keyway serve by the kernel's word, an embedding gateway by its own.
type Origin struct {
	Actor     Actor
	RequestID string
	TraceID   string
}

type originKey struct{}

// WithOrigin says who asks. The host's changes and reads within the context are told as theirs: each read by a line of its
// own ([Request]), not summed. A live value is read without a context, and stays with the process that embeds the host.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf gives what WithOrigin said, if it was called.
func OriginOf(ctx context.Context) (Origin, bool) {
	o, ok := ctx.Value(originKey{}).(Origin)
	return o, ok
}

// By gives the line with who asked; where nobody said, it is as it was.
func (l Line) By(ctx context.Context) Line {
	if o, ok := OriginOf(ctx); ok {
		l.Actor, l.RequestID, l.TraceID = o.Actor, o.RequestID, o.TraceID
	}
	return l
}
