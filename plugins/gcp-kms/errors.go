package main

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keyway-dev/keyway/plugins/internal/gcpauth"
)

const maxWords = 300 // bytes of the service's own words in our message

// Permissions of the two calls, on the key.
// https://cloud.google.com/kms/docs/reference/permissions-and-roles
const (
	useToEncrypt = "cloudkms.cryptoKeyVersions.useToEncrypt"
	useToDecrypt = "cloudkms.cryptoKeyVersions.useToDecrypt"
)

// hints say what to do about a refusal of each call: of the caller, and of the request.
var hints = map[string]struct{ denied, invalid string }{
	"encrypt": {": needs " + useToEncrypt + " on the key, as in roles/cloudkms.cryptoKeyEncrypter",
		": a key in an HSM takes 8 KiB together with the additional data"},
	"decrypt": {": needs " + useToDecrypt + " on the key, as in roles/cloudkms.cryptoKeyDecrypter",
		": the ciphertext is damaged, or made with another key or other additional data"},
}

// classify turns what a call met into an [sdk.Error]; nil stays nil.
func classify(ctx context.Context, op, object string, err error) error {
	return gcpauth.Failure(ctx, op, object, err, func(st *status.Status) string { return explain(op, st) })
}

// explain gives what to do about a status and what the service says, unless that might quote a value: an Encrypt holds one,
// and what is wrong with a request is found in its fields.
func explain(op string, st *status.Status) string {
	hint, quotes := "", false
	switch st.Code() {
	case codes.PermissionDenied:
		hint = hints[op].denied
	case codes.InvalidArgument:
		hint, quotes = hints[op].invalid, op == "encrypt"
	case codes.NotFound, codes.FailedPrecondition, codes.ResourceExhausted, codes.Unauthenticated, codes.Unavailable:
	default:
		quotes = op == "encrypt"
	}
	if words := strings.Join(strings.Fields(st.Message()), " "); words != "" && !quotes {
		hint += ": " + words[:min(len(words), maxWords)]
	}
	return hint
}
