//go:build unix

package localkms

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// Region is the one that all keys are in.
const Region = "us-east-1"

// Server is a running local-kms. Its keys end with it.
type Server struct {
	URL string // "http://127.0.0.1:41234"
}

// Run starts a server, installing it when that has not been done; stop ends it and must be called.
func Run() (s *Server, stop func(), err error) {
	binary, err := install()
	if err != nil {
		return nil, nil, fmt.Errorf("install: %w", err)
	}
	dir, err := os.MkdirTemp("", "local-kms")
	if err != nil {
		return nil, nil, err
	}
	url, end, err := start(binary, dir)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, nil, fmt.Errorf("start: %w", err)
	}
	return &Server{URL: url}, func() {
		end()
		_ = os.RemoveAll(dir)
	}, nil
}

// start runs the server, which ends with its standard input: when the test process has ended, in whatever way.
func start(binary, dir string) (url string, end func(), err error) {
	var log bytes.Buffer
	cmd := exec.CommandContext(context.Background(), binary, dir)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, []string{}, &log
	input, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	lines := bufio.NewReader(output)
	line, err := lines.ReadString('\n')
	if err != nil {
		_ = input.Close()
		_ = cmd.Wait()
		return "", nil, fmt.Errorf("the server did not start: %s", log.Bytes())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait()
	}()
	return strings.TrimSpace(line), func() {
		_ = input.Close()
		<-done
	}, nil
}

// Client is the vendor's own.
func (s *Server) Client() *kms.Client {
	return kms.New(kms.Options{Region: Region, BaseEndpoint: &s.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "none", "")})
}

// Settings gives the JSON of a store's settings: region, endpoint and a key that nobody looks at, and what is added.
func (s *Server) Settings(t testing.TB, more map[string]any) []byte {
	t.Helper()
	m := map[string]any{"region": Region, "endpoint": s.URL,
		"auth": map[string]any{"static": map[string]any{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "none"}}}
	maps.Copy(m, more)
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("settings: %v", err)
	}
	return raw
}

// NewKey makes a key for encryption and gives its ARN. spec is AWS's word, "SYMMETRIC_DEFAULT" or "RSA_2048".
func (s *Server) NewKey(t testing.TB, spec string) string {
	t.Helper()
	out, err := s.Client().CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: types.KeySpec(spec), KeyUsage: types.KeyUsageTypeEncryptDecrypt})
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	return aws.ToString(out.KeyMetadata.Arn)
}

// Disable takes a key out of use until [Server.Enable].
func (s *Server) Disable(t testing.TB, key string) {
	t.Helper()
	if _, err := s.Client().DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}); err != nil {
		t.Fatalf("disable %s: %v", key, err)
	}
}

// Enable undoes [Server.Disable].
func (s *Server) Enable(t testing.TB, key string) {
	t.Helper()
	if _, err := s.Client().EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: &key}); err != nil {
		t.Fatalf("enable %s: %v", key, err)
	}
}

// ScheduleDeletion has a key deleted in a week; until then it is pending deletion.
func (s *Server) ScheduleDeletion(t testing.TB, key string) {
	t.Helper()
	if _, err := s.Client().ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key, PendingWindowInDays: aws.Int32(7)}); err != nil {
		t.Fatalf("schedule the deletion of %s: %v", key, err)
	}
}
