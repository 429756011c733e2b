package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keyway-dev/keyway/plugins/internal/awsauth"
	"github.com/keyway-dev/keyway/sdk"
)

const invalidState = "KMSInvalidStateException"

// codes are what KMS's own words mean.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html#API_Decrypt_Errors
var codes = map[string]sdk.Code{
	"NotFoundException":          sdk.NotFound, // the key
	"DisabledException":          sdk.FailedPrecondition,
	invalidState:                 sdk.FailedPrecondition, // see explain
	"InvalidCiphertextException": sdk.InvalidArgument,    // also one of another encryption context
	"IncorrectKeyException":      sdk.InvalidArgument,    // made with another key than the one that is named
	"InvalidKeyUsageException":   sdk.InvalidArgument,    // a key for signing, or another algorithm than the key's
	"InvalidGrantTokenException": sdk.InvalidArgument,
	"InvalidArnException":        sdk.InvalidArgument, // a malformed one, and one of another region
	"KeyUnavailableException":    sdk.Unavailable,
	"DependencyTimeoutException": sdk.Unavailable,
	"KMSInternalException":       sdk.Unavailable,
	"LimitExceededException":     sdk.ResourceExhausted,
}

func encrypting(key string) awsauth.Call { return call("encrypt", "kms:Encrypt", key, true) }

func decrypting(key string) awsauth.Call { return call("decrypt", "kms:Decrypt", key, false) }

func call(op, permission, key string, holdsValue bool) awsauth.Call {
	return awsauth.Call{Op: op, Object: cmp.Or(key, "ciphertext"), Service: "KMS", Needs: permission + " on " + cmp.Or(key, "the key that the ciphertext names"),
		Codes: codes, Quiet: holdsValue}
}

// explain says what is the matter with a key that is not in a state to be used: AWS has one word for a key that somebody
// took out of use and for one that is out of reach for a while, in a custom key store say. The second is Unavailable, so
// that values which were decrypted before stay in use. Who may not describe the key learns AWS's word alone.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
func (st *store) explain(ctx context.Context, key string, err error) error {
	var e *sdk.Error
	if key == "" || !errors.As(err, &e) || e.Reason != invalidState {
		return err
	}
	out, failed := awsauth.Do(ctx, st.session, call("describe", "kms:DescribeKey", key, false), st.client.DescribeKey,
		&kms.DescribeKeyInput{KeyId: aws.String(key), GrantTokens: st.s.GrantTokens})
	if failed != nil || out.KeyMetadata == nil {
		return err
	}
	state := out.KeyMetadata.KeyState
	told := *e
	told.Message += "; the key is " + string(state)
	switch until := out.KeyMetadata.DeletionDate; {
	case state == types.KeyStateUnavailable, state == types.KeyStateUpdating, state == types.KeyStateCreating:
		told.Code = sdk.Unavailable
	case until != nil:
		told.Message += " until " + until.UTC().Format(time.DateOnly)
	}
	return &told
}
