//go:build unix

package openbao

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// NewClientCert makes another certificate that the server takes from clients, and its key, as PEM texts.
func (s *Server) NewClientCert(t testing.TB, name string) (cert, key string) {
	t.Helper()
	cert, key, err := s.newClientCert(name)
	if err != nil {
		t.Fatalf("client certificate: %v", err)
	}
	return cert, key
}

// NewSecretID makes another secret id of a role.
func (s *Server) NewSecretID(t testing.TB, r Role) string {
	t.Helper()
	id, _ := s.Write(t, "auth/"+r.Mount+"/role/"+r.Name+"/secret-id", nil)["secret_id"].(string)
	return id
}

// WrapSecretID makes another secret id of a role and gives the token of the response that wraps it.
func (s *Server) WrapSecretID(t testing.TB, r Role) string {
	t.Helper()
	c := s.Client()
	c.SetWrappingLookupFunc(func(string, string) string { return "5m" })
	a, err := c.Logical().WriteWithContext(t.Context(), "auth/"+r.Mount+"/role/"+r.Name+"/secret-id", nil)
	if err != nil {
		t.Fatalf("wrap a secret id: %v", err)
	}
	return a.WrapInfo.Token
}

// Userpass mounts the auth method at a fresh path with a user "gateway" who has the rules.
func (s *Server) Userpass(t testing.TB, rules, password string) string {
	t.Helper()
	path := "userpass-" + s.Name()
	s.Write(t, "sys/auth/"+path, map[string]any{"type": "userpass"})
	user := "auth/" + path + "/users/" + "gateway"
	s.Write(t, user, map[string]any{"password": password, "token_policies": []string{s.Policy(t, rules)}})
	return path
}

// Issuer signs tokens that an auth mount accepts for its role "gateway".
type Issuer struct {
	Mount string
	key   *rsa.PrivateKey
}

// JWTAuth mounts the auth method at a fresh path for tokens of a new issuer with the audience "keyway".
func (s *Server) JWTAuth(t testing.TB, rules string) *Issuer {
	t.Helper()
	i := newIssuer(t, "jwt-"+s.Name())
	der, err := x509.MarshalPKIXPublicKey(&i.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "sys/auth/"+i.Mount, map[string]any{"type": "jwt"})
	s.Write(t, "auth/"+i.Mount+"/config", map[string]any{"jwt_validation_pubkeys": []string{pemText("PUBLIC KEY", der)}})
	s.Write(t, "auth/"+i.Mount+"/role/gateway", map[string]any{"role_type": "jwt", "user_claim": "sub",
		"bound_audiences": []string{"keyway"}, "token_policies": []string{s.Policy(t, rules)}})
	return i
}

func newIssuer(t testing.TB, mount string) *Issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &Issuer{Mount: mount, key: key}
}

// Sign makes a token of the subject that holds for an hour.
func (i *Issuer) Sign(t testing.TB, subject string) string {
	t.Helper()
	return i.sign(t, map[string]any{"sub": subject, "aud": "keyway"})
}

func (i *Issuer) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	now := time.Now()
	claims["iat"], claims["nbf"], claims["exp"], claims["jti"] = now.Unix(), now.Unix(), now.Add(time.Hour).Unix(), rand.Text()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Cluster stands in for a Kubernetes API that knows the service account "gateway" of the namespace "default". It answers
// token reviews, which is all that the auth method asks.
// https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
type Cluster struct {
	Issuer
	mu     sync.Mutex
	issued map[string]bool
}

// KubernetesAuth mounts the auth method at a fresh path for a new cluster, with the rules for its role "gateway".
func (s *Server) KubernetesAuth(t testing.TB, rules string) *Cluster {
	t.Helper()
	c := &Cluster{Issuer: *newIssuer(t, "kubernetes-"+s.Name()), issued: map[string]bool{}}
	api := httptest.NewServer(http.HandlerFunc(c.review))
	t.Cleanup(api.Close)
	ca, _, err := sign(template("cluster", 1), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "sys/auth/"+c.Mount, map[string]any{"type": "kubernetes"})
	s.Write(t, "auth/"+c.Mount+"/config", map[string]any{"kubernetes_host": api.URL, "token_reviewer_jwt": c.ServiceToken(t),
		"kubernetes_ca_cert": pemText("CERTIFICATE", ca.Raw), "disable_local_ca_jwt": true})
	s.Write(t, "auth/"+c.Mount+"/role/gateway", map[string]any{"bound_service_account_names": []string{"gateway"},
		"bound_service_account_namespaces": []string{"default"}, "token_policies": []string{s.Policy(t, rules)}})
	return c
}

// ServiceToken makes a token of the service account, as the kubelet puts one into a pod.
func (c *Cluster) ServiceToken(t testing.TB) string {
	t.Helper()
	token := c.sign(t, map[string]any{"iss": "https://kubernetes.default.svc.cluster.local", "sub": "system:serviceaccount:default:gateway",
		"kubernetes.io": map[string]any{"namespace": "default", "serviceaccount": map[string]any{"name": "gateway", "uid": "uid-1"}}})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.issued[token] = true
	return token
}

func (c *Cluster) review(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Spec struct {
			Token string `json:"token"`
		} `json:"spec"`
	}
	if r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || json.NewDecoder(r.Body).Decode(&asked) != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	c.mu.Lock()
	status := map[string]any{"authenticated": c.issued[asked.Spec.Token]}
	c.mu.Unlock()
	if status["authenticated"] == true {
		status["user"] = map[string]any{"username": "system:serviceaccount:default:gateway", "uid": "uid-1",
			"groups": []string{"system:serviceaccounts", "system:serviceaccounts:default"}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status})
}
