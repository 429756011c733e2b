package main

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keyway-dev/keyway/plugins/internal/gcpauth"
)

const maxReason = 300 // bytes of the service's own words in our message

// need is a permission and the narrowest of Google's own roles that has it.
// https://cloud.google.com/secret-manager/docs/access-control
type need struct{ permission, role string }

var (
	toAccess   = need{"secretmanager.versions.access", "roles/secretmanager.secretAccessor"}
	toRead     = need{"secretmanager.secrets.get", "roles/secretmanager.viewer"}
	toSee      = need{"secretmanager.versions.get", "roles/secretmanager.viewer"}
	toList     = need{"secretmanager.secrets.list", "roles/secretmanager.viewer"}
	toVersions = need{"secretmanager.versions.list", "roles/secretmanager.viewer"}
	toAdd      = need{"secretmanager.versions.add", "roles/secretmanager.secretVersionAdder"}
	toCreate   = need{"secretmanager.secrets.create", "roles/secretmanager.admin"}
	toUpdate   = need{"secretmanager.secrets.update", "roles/secretmanager.admin"}
	toDelete   = need{"secretmanager.secrets.delete", "roles/secretmanager.admin"}
)

// call is one request, for errors to name.
type call struct {
	op, object string
	on         string // resource that the permission must be on
	need       need
	quotes     bool // the request holds a value, which a refusal might quote
}

// do makes a request, up to three times within the time of ctx.
func (c call) do(ctx context.Context, attempt func() error) error {
	return gcpauth.Repeat(ctx, func() error { return c.classify(ctx, attempt()) })
}

// classify turns what a request met into an [sdk.Error]; nil stays nil.
func (c call) classify(ctx context.Context, err error) error {
	return gcpauth.Failure(ctx, c.op, c.object, err, c.explain)
}

// explain gives what to do about a status and what the service says, unless that might quote a value. Who may not read a
// secret is not told whether it exists.
// https://cloud.google.com/secret-manager/docs/troubleshooting
func (c call) explain(st *status.Status) string {
	hint, quotes := "", c.quotes
	switch st.Code() {
	case codes.PermissionDenied:
		hint = ": needs " + c.need.permission + " on " + c.on + ", as in " + c.need.role + "; a secret or project that does not exist is refused likewise"
		quotes = false
	case codes.NotFound, codes.FailedPrecondition, codes.AlreadyExists, codes.ResourceExhausted, codes.Unauthenticated, codes.Unavailable:
		quotes = false
	default:
	}
	if words := strings.Join(strings.Fields(st.Message()), " "); words != "" && !quotes {
		hint += ": " + words[:min(len(words), maxReason)]
	}
	return hint
}
