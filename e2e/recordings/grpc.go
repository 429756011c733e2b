package recordings

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	pb "github.com/google/go-replayers/grpcreplay/proto/grpcreplay"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Exchange is one recorded gRPC call: a request, and an answer or a status.
type Exchange struct {
	Method  string // "AccessSecretVersion"
	Request proto.Message
	Answer  proto.Message // nil where Err is not
	Err     error
}

// GRPC gives the recorded calls of every file below a folder of a module, by the file's name. The generated packages of the
// messages must be linked.
func GRPC(t testing.TB, module, folder string) map[string][]Exchange {
	t.Helper()
	out := map[string][]Exchange{}
	root := filepath.Join(Dir(t, module), filepath.FromSlash(folder))
	err := filepath.WalkDir(root, func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(file), ".replay")
		if out[name], err = parse(raw); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// parse takes a recording apart: a mark, then records with their lengths before them, the first of which is the recorder's
// own. A request stands before its answer.
func parse(raw []byte) (out []Exchange, err error) {
	r := bytes.NewReader(bytes.TrimPrefix(raw, []byte("RPCReplay")))
	for n := 0; r.Len() > 0; n++ {
		var size uint32
		if err := binary.Read(r, binary.LittleEndian, &size); err != nil {
			return nil, err
		}
		record := make([]byte, size)
		if _, err := io.ReadFull(r, record); err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		var e pb.Entry
		if err := proto.Unmarshal(record, &e); err != nil {
			return nil, err
		}
		message, err := e.GetMessage().UnmarshalNew()
		if err != nil {
			return nil, err
		}
		if e.GetKind() == pb.Entry_REQUEST {
			out = append(out, Exchange{Method: path.Base(e.GetMethod()), Request: message})
			continue
		}
		last := &out[len(out)-1]
		if failure, failed := message.(*statuspb.Status); failed {
			last.Err = status.ErrorProto(failure)
			continue
		}
		last.Answer = message
	}
	return out, nil
}

// Replay is a gRPC server that answers as was recorded, in the recorded order.
type Replay struct {
	mu   sync.Mutex
	left []Exchange
	same func(sent proto.Message) proto.Message
}

// Serve answers exchanges on loopback until the test ends. same gives a request as the recorder would have sent it, or nil if
// it must not be sent so.
func Serve(t testing.TB, exchanges []Exchange, same func(sent proto.Message) proto.Message) (r *Replay, address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r = &Replay{left: exchanges, same: same}
	g := grpc.NewServer(grpc.UnknownServiceHandler(r.handle))
	var done sync.WaitGroup
	done.Go(func() { _ = g.Serve(l) })
	t.Cleanup(func() { g.Stop(); done.Wait() })
	return r, l.Addr().String()
}

// Left counts the recorded calls that nobody has made.
func (r *Replay) Left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.left)
}

func (r *Replay) handle(_ any, stream grpc.ServerStream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	method, _ := grpc.MethodFromServerStream(stream)
	if len(r.left) == 0 || r.left[0].Method != path.Base(method) {
		return status.Errorf(codes.OutOfRange, "nobody recorded %s here", method)
	}
	next := r.left[0]
	sent := next.Request.ProtoReflect().New().Interface()
	if err := stream.RecvMsg(sent); err != nil {
		return err
	}
	if as := r.same(sent); as == nil || !proto.Equal(as, next.Request) {
		return status.Errorf(codes.OutOfRange, "nobody recorded this request of %s", method)
	}
	r.left = r.left[1:]
	if next.Err != nil {
		return next.Err
	}
	return stream.SendMsg(next.Answer)
}
