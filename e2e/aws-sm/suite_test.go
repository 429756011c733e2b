//go:build e2e && unix

package awssm_test

import (
	"testing"

	"github.com/keyway-dev/keyway/sdk/sdktest"
)

func TestStoreKeepsTheContractUnderEnforcedPermissions(t *testing.T) {
	sdktest.Run(t, target(t, enforced, nil))
}

func TestStoreWithAPrefixKeepsTheContract(t *testing.T) {
	sdktest.Run(t, target(t, srv, set{"prefix": "gateway-" + srv.Name() + "/", "kms_key_id": "alias/aws/secretsmanager"}))
}
