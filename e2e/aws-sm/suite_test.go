//go:build e2e && unix

package awssm_test

import (
	"testing"

	"github.com/keyway-dev/keyway/e2e/conformance"
)

func TestStoreKeepsTheContractUnderEnforcedPermissions(t *testing.T) {
	conformance.Run(t, "aws-sm", target(t, enforced, nil))
}

func TestStoreWithAPrefixKeepsTheContract(t *testing.T) {
	conformance.Run(t, "aws-sm", target(t, srv, set{"prefix": "gateway-" + srv.Name() + "/", "kms_key_id": "alias/aws/secretsmanager"}))
}
