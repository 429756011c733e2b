// Package awssm is an AWS Secrets Manager in memory for tests: its JSON protocol, its limits and its refusals as AWS's
// reference documents them, where emulators are more lenient. What it does not do: look at signatures, keep KMS keys, rotate.
//
//	srv := awssm.Start(t)
//	srv.Faults.Next(1, fault.Fault{Status: 503})
//	settings := `{"region":"eu-west-1","endpoint":"` + srv.URL + `",…}`
package awssm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/fault"
)

// Account is the one that everything is in.
const Account = "123456789012"

// Server is one account in one region. Its fields but Faults are set before the first request.
type Server struct {
	URL    string
	Faults fault.Injector
	// Denied are prefixes of names, and Forbidden actions, that the caller has no permission for.
	Denied, Forbidden []string
	// PurgeLooks is how many times a purged secret is still described before AWS knows it no more.
	PurgeLooks int
	// Lost are actions whose first answer is lost after they were carried out: 503 in its place.
	Lost []string

	mu      sync.Mutex
	secrets map[string]*secret
	calls   map[string]int
	lost    map[string]bool
}

// secret is one with its versions, oldest first.
type secret struct {
	name, description, kmsKey string
	tags                      []tag
	replicas                  []string
	created, changed          time.Time
	deleted                   time.Time
	purging                   bool
	looks                     int
	versions                  []*version
}

type version struct {
	id      string
	text    *string
	binary  []byte
	stages  []string
	created time.Time
}

type tag struct{ Key, Value string }

// Start serves until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{secrets: map[string]*secret{}, calls: map[string]int{}, lost: map[string]bool{}}
	web := httptest.NewServer(s.Faults.Handler(s))
	t.Cleanup(web.Close)
	s.URL = web.URL
	return s
}

// Calls tells how often an action was asked for; faults that answer in its place are not counted.
func (s *Server) Calls(action string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[action]
}

// refusal is an error as AWS answers it.
type refusal struct {
	status  int
	Type    string `json:"__type"`
	Message string `json:"Message,omitempty"`
}

func (r refusal) Error() string { return r.Type + ": " + r.Message }

func refuse(kind, format string, args ...any) error {
	return refusal{http.StatusBadRequest, kind, fmt.Sprintf(format, args...)}
}

// input holds the members of all requests that we read.
type input struct {
	SecretId, Name, Description, KmsKeyId, ClientRequestToken string
	VersionId, VersionStage, NextToken                        string
	MoveToVersionId, RemoveFromVersionId                      string
	SecretString                                              *string
	SecretBinary                                              []byte
	VersionStages, SecretIdList, RemoveReplicaRegions         []string
	Tags                                                      []tag
	AddReplicaRegions                                         []struct{ Region string }
	Filters                                                   []struct {
		Key    string
		Values []string
	}
	ForceDeleteWithoutRecovery bool
	RecoveryWindowInDays       *int
	MaxResults                 int
}

type output = map[string]any

func (s *Server) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	action, ok := strings.CutPrefix(q.Header.Get("X-Amz-Target"), "secretsmanager.")
	if !ok {
		s.sts(w, q)
		return
	}
	s.calls[action]++
	var in input
	raw, err := io.ReadAll(q.Body)
	if err == nil {
		err = json.Unmarshal(raw, &in)
	}
	if err != nil {
		err = refuse("SerializationException", "not JSON")
	}
	var out output
	if err == nil {
		out, err = s.act(action, in)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "11111111-2222-3333-4444-555555555555")
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if r, ok := err.(refusal); ok { //nolint:errorlint // we made it
		w.WriteHeader(r.status)
		_ = json.NewEncoder(w).Encode(r)
		return
	}
	for _, a := range s.Lost {
		if a == action && !s.lost[a] {
			s.lost[a] = true
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (s *Server) act(action string, in input) (output, error) {
	for _, a := range s.Forbidden {
		if a == action {
			return nil, denied(action, "*")
		}
	}
	id := in.SecretId + in.Name
	for _, p := range s.Denied {
		if id != "" && strings.HasPrefix(id, p) {
			return nil, denied(action, id)
		}
	}
	acts := map[string]func(input) (output, error){
		"GetSecretValue": s.get, "BatchGetSecretValue": s.batch, "DescribeSecret": s.describe, "ListSecrets": s.list,
		"ListSecretVersionIds": s.listVersions, "CreateSecret": s.create, "PutSecretValue": s.put,
		"UpdateSecretVersionStage": s.move, "DeleteSecret": s.delete, "RestoreSecret": s.restore,
		"RemoveRegionsFromReplication": s.removeReplicas,
	}
	act, ok := acts[action]
	if !ok {
		return nil, refuse("UnknownOperationException", "")
	}
	return act(in)
}

func denied(action, resource string) error {
	return refuse("AccessDeniedException", "User: arn:aws:iam::%s:user/gateway is not authorized to perform: secretsmanager:%s on resource: %s", Account, action, resource)
}

// sts answers GetCallerIdentity, the one thing of the token service that needs no other server.
func (s *Server) sts(w http.ResponseWriter, q *http.Request) {
	if q.ParseForm() != nil || q.PostForm.Get("Action") != "GetCallerIdentity" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::%[1]s:user/gateway</Arn><UserId>AIDA</UserId><Account>%[1]s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, Account)
}
