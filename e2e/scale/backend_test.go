//go:build e2e

package scale

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// backend answers one call of AWS Secrets Manager, for every name there may be: the value tells the name. So a read that
// another store has answered is seen.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
type backend struct {
	url   string
	reads atomic.Int64
}

func startBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{}
	web := httptest.NewServer(b)
	t.Cleanup(web.Close)
	b.url = web.URL
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct{ SecretId string }
	if r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") ||
		json.NewDecoder(r.Body).Decode(&asked) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.reads.Add(1)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:" + asked.SecretId + "-AbCdEf", "Name": asked.SecretId,
		"VersionId": "EXAMPLE1-90ab-cdef-fedc-ba987SECRET1", "VersionStages": []string{"AWSCURRENT"}, "CreatedDate": 1.7e9,
		"SecretString": valueOf(asked.SecretId),
	})
}

func valueOf(name string) string { return "value of " + name }
