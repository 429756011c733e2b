package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/keyway-dev/keyway/e2e/skew/first/keyway/plugin/v1"
)

const name = "skew/secret"

// promises are in an order: the first ones make what the later ones read.
var promises = []promise{
	{"check", "", func(ctx context.Context, s *session) error {
		_, err := s.Check(ctx, &pb.CheckRequest{Store: s.handle})
		return err
	}},
	{"put", "put", func(ctx context.Context, s *session) error { return s.write(ctx, &pb.PutRequest{Value: []byte("one")}) }},
	{"put.if_absent", "put.if_absent", func(ctx context.Context, s *session) error {
		err := s.write(ctx, &pb.PutRequest{Value: []byte("two"), Precondition: &pb.PutRequest_IfAbsent{IfAbsent: true}})
		return expect(err, codes.AlreadyExists, name)
	}},
	{"put.if_version", "put.if_version", func(ctx context.Context, s *session) error {
		err := s.write(ctx, &pb.PutRequest{Value: []byte("two"), Precondition: &pb.PutRequest_IfVersion{IfVersion: "999"}})
		return expect(err, codes.Aborted, name)
	}},
	{"get", "get", func(ctx context.Context, s *session) error {
		out, err := s.Get(ctx, &pb.GetRequest{Store: s.handle, Name: name})
		return holds(err, string(out.GetSecret().GetValue()), "one")
	}},
	{"not found", "get", func(ctx context.Context, s *session) error {
		_, err := s.Get(ctx, &pb.GetRequest{Store: s.handle, Name: "skew/absent"})
		return expect(err, codes.NotFound, "skew/absent")
	}},
	{"get.version", "get.version", readOld},
	{"get_batch", "get_batch", func(ctx context.Context, s *session) error {
		out, err := s.GetBatch(ctx, &pb.GetBatchRequest{Store: s.handle, Names: []string{"skew/absent", name}})
		if err := holds(err, fmt.Sprintf("%d results", len(out.GetResults())), "2 results"); err != nil {
			return err
		}
		if got := codes.Code(out.GetResults()[0].GetError().GetCode()); got != codes.NotFound { //nolint:gosec // compared only
			return fmt.Errorf("the absent name is %v", got)
		}
		return holds(nil, string(out.GetResults()[1].GetSecret().GetValue()), "one")
	}},
	{"stat", "stat", func(ctx context.Context, s *session) error {
		out, err := s.Stat(ctx, &pb.StatRequest{Store: s.handle, Name: name})
		return holds(err, out.GetMeta().GetName(), name)
	}},
	{"list", "list", func(ctx context.Context, s *session) error {
		out, err := s.List(ctx, &pb.ListRequest{Store: s.handle, Prefix: "skew/", PageSize: 10})
		return holds(err, fmt.Sprint(names(out)), "["+name+"]")
	}},
	{"versions", "versions", func(ctx context.Context, s *session) error {
		out, err := s.Versions(ctx, &pb.VersionsRequest{Store: s.handle, Name: name, PageSize: 10})
		current := slices.IndexFunc(out.GetVersions(), func(v *pb.Version) bool { return v.GetCurrent() })
		if err != nil {
			return err
		}
		if current < 0 {
			return fmt.Errorf("none of %d versions is current", len(out.GetVersions()))
		}
		return holds(nil, out.GetVersions()[current].GetState().String(), "STATE_ENABLED")
	}},
	{"encrypt", "encrypt", encrypt},
	{"watch", "watch", watch},
	{"future field", "", fieldsOfALaterContract},
	{"delete", "delete", func(ctx context.Context, s *session) error {
		_, err := s.Delete(ctx, &pb.DeleteRequest{Store: s.handle, Name: name})
		return err
	}},
	{"restore", "restore", func(ctx context.Context, s *session) error {
		_, err := s.Restore(ctx, &pb.RestoreRequest{Store: s.handle, Name: name})
		return err
	}},
	{"close", "", func(ctx context.Context, s *session) error {
		if _, err := s.Close(ctx, &pb.CloseRequest{Store: s.handle}); err != nil {
			return err
		}
		_, err := s.Check(ctx, &pb.CheckRequest{Store: s.handle})
		if e := detail(err); e == nil || !e.GetUnknownStore() {
			return fmt.Errorf("check after close: %v, want an unknown store", status.Convert(err))
		}
		return nil
	}},
}

// write puts a new version of the secret.
func (s *session) write(ctx context.Context, r *pb.PutRequest) error {
	r.Store, r.Name = s.handle, name
	_, err := s.Put(ctx, r)
	return err
}

func readOld(ctx context.Context, s *session) error {
	now, err := s.Get(ctx, &pb.GetRequest{Store: s.handle, Name: name})
	if err != nil {
		return err
	}
	out, err := s.Get(ctx, &pb.GetRequest{Store: s.handle, Name: name, Version: now.GetSecret().GetVersion()})
	return holds(err, string(out.GetSecret().GetValue()), "one")
}

func encrypt(ctx context.Context, s *session) error {
	sealed, err := s.Encrypt(ctx, &pb.EncryptRequest{Store: s.handle, Plaintext: []byte("plain")})
	if err != nil {
		return err
	}
	if bytes.Contains(sealed.GetCiphertext(), []byte("plain")) {
		return fmt.Errorf("the ciphertext holds the plaintext")
	}
	out, err := s.Decrypt(ctx, &pb.DecryptRequest{Store: s.handle, Key: sealed.GetKey(), Ciphertext: sealed.GetCiphertext()})
	return holds(err, string(out.GetPlaintext()), "plain")
}

func watch(ctx context.Context, s *session) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := s.Watch(ctx, &pb.WatchRequest{Store: s.handle})
	if err != nil {
		return err
	}
	first, err := events.Recv()
	if err := holds(err, first.GetName(), ""); err != nil {
		return fmt.Errorf("first event: %w", err)
	}
	if err := s.write(ctx, &pb.PutRequest{Value: []byte("two")}); err != nil {
		return err
	}
	_, err = events.Recv() // a hint: its name may be empty
	return err
}

// fieldsOfALaterContract sends what only a plugin of a later contract could honour.
func fieldsOfALaterContract(ctx context.Context, s *session) error {
	r := &pb.CheckRequest{Store: s.handle}
	newer(r.ProtoReflect())
	_, err := s.Check(ctx, r)
	if err := expect(err, codes.Unimplemented, "field 4000"); err != nil {
		return err
	}
	if !slices.Contains(s.can, "delete") {
		return nil
	}
	d := &pb.DeleteRequest{Store: s.handle, Name: name}
	newer(d.ProtoReflect())
	_, err = s.Delete(ctx, d)
	if err := expect(err, codes.Unimplemented, "field 4000"); err != nil {
		return err
	}
	_, err = s.Get(ctx, &pb.GetRequest{Store: s.handle, Name: name}) // nothing was deleted
	return err
}

func newer(m protoreflect.Message) {
	m.SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 4000, protowire.VarintType), 1))
}

func names(l *pb.ListResponse) (out []string) {
	for _, m := range l.GetItems() {
		out = append(out, m.GetName())
	}
	return out
}

func holds(err error, got, want string) error {
	if err == nil && got != want {
		err = fmt.Errorf("got %q, want %q", got, want)
	}
	return err
}

// expect holds that an error has a code, in its status and in the contract's own message, and names an object.
func expect(err error, code codes.Code, object string) error {
	e := detail(err)
	if status.Code(err) != code || codes.Code(e.GetCode()) != code || !strings.Contains(e.GetMessage(), object) { //nolint:gosec // compared only
		return fmt.Errorf("%v, want %v about %s, as an error of the contract", status.Convert(err), code, object)
	}
	return nil
}

// detail gives the contract's own message of an error.
func detail(err error) *pb.Error {
	for _, d := range status.Convert(err).Details() {
		if e, ok := d.(*pb.Error); ok {
			return e
		}
	}
	return nil
}
