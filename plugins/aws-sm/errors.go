package main

import (
	"context"

	"github.com/keyway-dev/keyway/plugins/internal/awsauth"
	"github.com/keyway-dev/keyway/sdk"
)

// codes are the service's own words; those that all of AWS shares are awsauth's.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html#API_GetSecretValue_Errors
var codes = map[string]sdk.Code{
	"ResourceNotFoundException":        sdk.NotFound,
	"ResourceExistsException":          sdk.AlreadyExists,
	"InvalidRequestException":          sdk.FailedPrecondition, // above all: scheduled for deletion
	"PreconditionNotMetException":      sdk.FailedPrecondition,
	"DecryptionFailure":                sdk.FailedPrecondition, // the KMS key is disabled or pending deletion
	"DecryptionFailureException":       sdk.FailedPrecondition,
	"EncryptionFailure":                sdk.FailedPrecondition,
	"EncryptionFailureException":       sdk.FailedPrecondition,
	"InvalidParameterException":        sdk.InvalidArgument,
	"InvalidNextTokenException":        sdk.InvalidArgument,
	"InternalServiceErrorException":    sdk.Unavailable,
	"LimitExceededException":           sdk.ResourceExhausted,
	"MalformedPolicyDocumentException": sdk.InvalidArgument,
}

const service = "Secrets Manager"

// keyed are the actions that use the secret's KMS key too.
var keyed = map[string]string{
	"GetSecretValue": "kms:Decrypt", "PutSecretValue": "kms:GenerateDataKey and kms:Decrypt", "CreateSecret": "kms:GenerateDataKey and kms:Decrypt",
}

// do makes one call of the service. What it may lack is told by the names of IAM.
func do[I, O, F any](ctx context.Context, st *store, op, name, action string, request func(context.Context, *I, ...F) (*O, error), in *I) (*O, error) {
	needs := "secretsmanager:" + action + " on it"
	if k := keyed[action]; k != "" {
		needs += ", and " + k + " on its KMS key unless that is AWS's own"
	}
	return awsauth.Do(ctx, st.session, awsauth.Call{
		Op: op, Object: name, Service: service, Needs: needs, Codes: codes,
		Quiet: action == "PutSecretValue" || action == "CreateSecret",
	}, request, in)
}

// item gives the error of one name of a batch.
func item(name, word, message string) error {
	code, ok := codes[word]
	if !ok {
		code = awsauth.CodeOf(word)
	}
	e := sdk.Errorf(code, "get %q: %s answered %s: %s", name, service, word, message)
	e.Reason = word
	return e
}

// isCode reports whether err has a code.
func isCode(err error, codes ...sdk.Code) bool {
	for _, c := range codes {
		if sdk.CodeOf(err) == c {
			return true
		}
	}
	return false
}
