//go:build e2e && linux

package gcpkms_test

import (
	"io"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/keyway-dev/keyway/e2e/world"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
)

const (
	service      = "cloudkms.googleapis.com"
	metadata     = "metadata.google.internal"
	machineToken = "of-the-machine" // as the metadata server gives it out
)

// furnish makes a world in which Google's name leads to the fake, and a machine has an identity. So nothing needs to be told
// where anything is.
func furnish(t *testing.T) *gcpkms.Server {
	t.Helper()
	w := world.Furnish(t, map[string]string{service: "127.0.0.20", metadata: "169.254.169.254"})
	w.Serve(t, metadata, "80", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Metadata-Flavor", "Google")
		switch r.Header.Get("Metadata-Flavor") + r.URL.Path {
		case "Google/computeMetadata/v1/instance/service-accounts/default/token":
			_, _ = io.WriteString(rw, `{"access_token":"`+machineToken+`","expires_in":3599,"token_type":"Bearer"}`)
		case "Google/computeMetadata/v1/instance/service-accounts/default/email":
			_, _ = io.WriteString(rw, "gateway@acme.iam.gserviceaccount.com")
		default:
			rw.WriteHeader(http.StatusNotFound)
		}
	})
	srv := gcpkms.New()
	t.Cleanup(srv.Serve(w.Listen(t, service, "443"), grpc.Creds(credentials.NewServerTLSFromCert(&w.Certificate))))
	return srv
}
