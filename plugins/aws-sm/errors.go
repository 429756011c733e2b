package main

import (
	"context"
	"slices"

	"github.com/keyway-dev/keyway/plugins/internal/awsauth"
	"github.com/keyway-dev/keyway/sdk"
)

// codes are the service's own words; those that all of AWS shares are awsauth's.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html#API_GetSecretValue_Errors
var codes = map[string]sdk.Code{
	"ResourceNotFoundException": sdk.NotFound,
	"ResourceExistsException":   sdk.AlreadyExists,
	"InvalidRequestException":   sdk.FailedPrecondition, // above all: scheduled for deletion
	"DecryptionFailure":         sdk.FailedPrecondition, // the KMS key is disabled or pending deletion
	"EncryptionFailure":         sdk.FailedPrecondition,
	"InvalidParameterException": sdk.InvalidArgument,
	"InvalidNextTokenException": sdk.InvalidArgument,
}

// keyed are the actions that use the secret's KMS key too.
var keyed = map[string]string{
	"GetSecretValue": "kms:Decrypt", "PutSecretValue": "kms:GenerateDataKey and kms:Decrypt", "CreateSecret": "kms:GenerateDataKey and kms:Decrypt",
}

// calling says what a call is for. What it may lack is told by the names of IAM.
func calling(op, name, action string) awsauth.Call {
	needs := "secretsmanager:" + action + " on it"
	if k := keyed[action]; k != "" {
		needs += ", and " + k + " on its KMS key unless that is AWS's own"
	}
	return awsauth.Call{Op: op, Object: name, Service: "Secrets Manager", Needs: needs, Codes: codes,
		Quiet: action == "PutSecretValue" || action == "CreateSecret"}
}

func do[I, O, F any](ctx context.Context, st *store, op, name, action string, request func(context.Context, *I, ...F) (*O, error), in *I) (*O, error) {
	return awsauth.Do(ctx, st.session, calling(op, name, action), request, in)
}

// isCode reports whether err has one of the codes.
func isCode(err error, codes ...sdk.Code) bool { return slices.Contains(codes, sdk.CodeOf(err)) }
