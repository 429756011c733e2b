//go:build e2e

package recordings_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/keyway-dev/keyway/e2e/recordings"
)

func TestEveryRecordingThatTheTestsNeedIsThere(t *testing.T) {
	for _, want := range []struct {
		module, folder string
		files          int
	}{
		{"gocloud.dev", "runtimevar/awssecretsmanager/testdata", 18},
		{"gocloud.dev", "runtimevar/gcpsecretmanager/testdata", 9},
		{"gocloud.dev", "secrets/awskms/testdata", 6},
		{"gocloud.dev", "secrets/azurekeyvault/testdata", 6},
		{"gocloud.dev", "secrets/gcpkms/testdata", 7},
		{"github.com/Azure/azure-sdk-for-go/sdk/keyvault/azsecrets", "testdata/recordings", 6},
	} {
		dir := filepath.Join(recordings.Dir(t, want.module), want.folder)
		var got int
		err := filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				got++
			}
			return err
		})
		if err != nil || got != want.files {
			t.Errorf("%s of %s: %d files (%v), want %d", want.folder, want.module, got, err, want.files)
		}
	}
}
