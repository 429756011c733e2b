//go:build unix

package moto

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Account is the one that everything is in.
const Account = "123456789012"

// Key is an access key.
type Key struct {
	ID, Secret string
	User       string // whose it is
}

// Auth gives the setting "auth" of a store that uses the key.
func (k Key) Auth() map[string]any {
	return map[string]any{"static": map[string]any{"access_key_id": k.ID, "secret_access_key": k.Secret}}
}

// Config is for a vendor's client of any service, with the key of the user who may do everything.
func (s *Server) Config() aws.Config {
	return aws.Config{Region: Region, BaseEndpoint: &s.URL, Credentials: credentials.NewStaticCredentialsProvider(s.Key.ID, s.Key.Secret, "")}
}

// Settings gives the JSON of a store's settings: region, endpoint and key of the server, and what is added.
func (s *Server) Settings(t testing.TB, more map[string]any) []byte {
	t.Helper()
	m := map[string]any{"region": Region, "endpoint": s.URL, "auth": s.Key.Auth()}
	maps.Copy(m, more)
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("settings: %v", err)
	}
	return raw
}

// Name gives a name that no other test has.
func (s *Server) Name() string { return strings.ToLower(rand.Text()[:10]) }

// User makes a user with one inline policy and gives a key of it.
func (s *Server) User(t testing.TB, policy string) Key {
	t.Helper()
	k, err := s.newUser(t.Context(), policy)
	if err != nil {
		t.Fatalf("make a user: %v", err)
	}
	return k
}

// NewKey gives one more key of a user.
func (s *Server) NewKey(t testing.TB, user string) Key {
	t.Helper()
	k, err := s.newKey(t.Context(), user)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	return k
}

// Revoke deletes a key.
func (s *Server) Revoke(t testing.TB, k Key) {
	t.Helper()
	s.IAM(t, "DeleteAccessKey", map[string]string{"UserName": k.User, "AccessKeyId": k.ID})
}

// SetPolicy replaces the policy of a user.
func (s *Server) SetPolicy(t testing.TB, user, policy string) {
	t.Helper()
	s.IAM(t, "PutUserPolicy", map[string]string{"UserName": user, "PolicyName": "own", "PolicyDocument": policy})
}

// Role makes a role that everybody may assume whose own policy allows it, with one inline policy, and gives its ARN.
func (s *Server) Role(t testing.TB, policy string) string {
	t.Helper()
	return s.roleTrusting(t, policy, `"Principal":{"AWS":"*"}`)
}

// RoleFor is Role for those who send an external id.
func (s *Server) RoleFor(t testing.TB, policy, externalID string) string {
	t.Helper()
	return s.roleTrusting(t, policy, `"Principal":{"AWS":"*"},"Condition":{"StringEquals":{"sts:ExternalId":"`+externalID+`"}}`)
}

func (s *Server) roleTrusting(t testing.TB, policy, whom string) string {
	t.Helper()
	name := "role-" + s.Name()
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",` + whom + `}]}`
	s.IAM(t, "CreateRole", map[string]string{"RoleName": name, "AssumeRolePolicyDocument": trust})
	s.IAM(t, "PutRolePolicy", map[string]string{"RoleName": name, "PolicyName": "own", "PolicyDocument": policy})
	return "arn:aws:iam::" + Account + ":role/" + name
}

// IAM makes one call of the identity service and gives its answer, XML.
func (s *Server) IAM(t testing.TB, action string, params map[string]string) []byte {
	t.Helper()
	out, err := s.query(t.Context(), action, params)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *Server) newUser(ctx context.Context, policy string) (Key, error) {
	name := "user-" + s.Name()
	if _, err := s.query(ctx, "CreateUser", map[string]string{"UserName": name}); err != nil {
		return Key{}, err
	}
	if _, err := s.query(ctx, "PutUserPolicy", map[string]string{"UserName": name, "PolicyName": "own", "PolicyDocument": policy}); err != nil {
		return Key{}, err
	}
	return s.newKey(ctx, name)
}

func (s *Server) newKey(ctx context.Context, user string) (Key, error) {
	out, err := s.query(ctx, "CreateAccessKey", map[string]string{"UserName": user})
	if err != nil {
		return Key{}, err
	}
	var answer struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	if err := xml.Unmarshal(out, &answer); err != nil || answer.ID == "" {
		return Key{}, fmt.Errorf("CreateAccessKey: no key in the answer: %w", err)
	}
	return Key{ID: answer.ID, Secret: answer.Secret, User: user}, nil
}

// query makes one signed call of IAM. https://docs.aws.amazon.com/IAM/latest/APIReference/CommonParameters.html
func (s *Server) query(ctx context.Context, action string, params map[string]string) ([]byte, error) {
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for k, v := range params {
		form.Set(k, v)
	}
	body := []byte(form.Encode())
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	key := aws.Credentials{AccessKeyID: s.Key.ID, SecretAccessKey: s.Key.Secret}
	if key.AccessKeyID == "" { // before there is a user, nobody looks
		key = aws.Credentials{AccessKeyID: "none", SecretAccessKey: "none"}
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, key, q, hex.EncodeToString(sum[:]), "iam", Region, time.Now()); err != nil {
		return nil, err
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	out, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d, %w: %s", action, a.StatusCode, err, out)
	}
	return out, nil
}
