package wire

import (
	"strings"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/sdk"
)

// The Allow functions judge a request before it is sent and again before a provider sees it. can is what the store can do.
// A missing capability is Unimplemented and names the field that stands behind it; a malformed request is InvalidArgument
// and names the limit.

// guarded are the fields behind refinements.
var guarded = map[sdk.Capabilities]string{
	sdk.CanGetVersion:   "version",
	sdk.CanPutIfAbsent:  "if_absent",
	sdk.CanPutIfVersion: "if_version",
	sdk.CanPutLabels:    "description and labels",
	sdk.CanPurge:        "purge",
	sdk.CanDeleteWindow: "recovery_window",
	sdk.CanAAD:          "aad",
}

// allow finds what need has and can lacks.
func allow(op string, can, need sdk.Capabilities) error {
	lacks := need &^ can
	if lacks == 0 {
		return nil
	}
	for c, field := range guarded {
		if lacks == c {
			return sdk.Errorf(sdk.Unimplemented, "%s: the store lacks the capability %s, so the request's %s cannot be honoured", op, c, field)
		}
	}
	return sdk.Errorf(sdk.Unimplemented, "%s: the store lacks the capabilities %s", op, lacks)
}

// AllowGet judges a read.
func AllowGet(can sdk.Capabilities, r sdk.GetRequest) error {
	need := sdk.CanGet
	if r.Version != "" {
		need |= sdk.CanGetVersion
	}
	return first("get", allow("get", can, need), sdk.CheckName(r.Name), sdk.CheckVersion(r.Version))
}

// AllowBatch judges a read of many.
func AllowBatch(can sdk.Capabilities, r sdk.BatchRequest) error {
	const op = "get_batch"
	if err := allow(op, can, sdk.CanGetBatch); err != nil {
		return err
	}
	if n := len(r.Names); n < 1 || n > sdk.MaxBatch {
		return invalid("%s: %d names; a batch has 1 to %d", op, n, sdk.MaxBatch)
	}
	seen := make(map[string]struct{}, len(r.Names))
	for _, name := range r.Names {
		if err := first(op, sdk.CheckName(name)); err != nil {
			return err
		}
		if _, again := seen[name]; again {
			return invalid("%s: name %q is there twice; the names of a batch are distinct", op, name)
		}
		seen[name] = struct{}{}
	}
	return nil
}

// AllowStat judges a request for metadata.
func AllowStat(can sdk.Capabilities, r sdk.StatRequest) error {
	return first("stat", allow("stat", can, sdk.CanStat), sdk.CheckName(r.Name))
}

// AllowList judges a request for a page of secrets.
func AllowList(can sdk.Capabilities, r sdk.ListRequest) error {
	return first("list", allow("list", can, sdk.CanList), sdk.CheckPrefix(r.Prefix), checkPage(r.PageSize, r.PageToken))
}

// AllowVersions judges a request for a page of versions.
func AllowVersions(can sdk.Capabilities, r sdk.VersionsRequest) error {
	return first("versions", allow("versions", can, sdk.CanVersions), sdk.CheckName(r.Name), checkPage(r.PageSize, r.PageToken))
}

// AllowPut judges a write.
func AllowPut(can sdk.Capabilities, r sdk.PutRequest) error {
	need := sdk.CanPut
	compare := !r.If.IsZero() && !r.If.Absent()
	switch {
	case r.If.Absent():
		need |= sdk.CanPutIfAbsent
	case compare:
		need |= sdk.CanPutIfVersion
	}
	if r.Description != "" || len(r.Labels) > 0 {
		need |= sdk.CanPutLabels
	}
	if err := first("put", allow("put", can, need), sdk.CheckName(r.Name), sdk.CheckValue(r.Value), sdk.CheckVersion(r.If.Version())); err != nil {
		return err
	}
	if compare && r.If.Version() == "" {
		return invalid("put %q: the precondition names no version", r.Name)
	}
	if n := len(r.IdempotencyKey); n != 0 && (n < 32 || n > 64) || !utf8.ValidString(r.IdempotencyKey) {
		return invalid("put %q: an idempotency key of %d bytes; it is text of 32 to 64", r.Name, n)
	}
	return first("put "+r.Name, checkLabels(r.Description, r.Labels))
}

func checkLabels(description string, labels map[string]string) error {
	switch {
	case len(description) > MaxDescription:
		return invalid("description of %d bytes is over the limit of %d", len(description), MaxDescription)
	case !utf8.ValidString(description):
		return invalid("description is not valid UTF-8")
	case len(labels) > MaxLabels:
		return invalid("%d labels are over the limit of %d", len(labels), MaxLabels)
	}
	for k, v := range labels {
		switch {
		case k == "" || len(k) > sdk.MaxName || !utf8.ValidString(k) || strings.ContainsFunc(k, unsafeRune):
			return invalid("label %q is not 1 to %d bytes of text without control characters", k, sdk.MaxName)
		case len(v) > MaxLabelValue || !utf8.ValidString(v):
			return invalid("label %q has a value that is not text of up to %d bytes", k, MaxLabelValue)
		}
	}
	return nil
}

// AllowDelete judges a delete.
func AllowDelete(can sdk.Capabilities, r sdk.DeleteRequest) error {
	need := sdk.CanDelete
	if r.Purge {
		need |= sdk.CanPurge
	}
	if r.RecoveryWindow != 0 {
		need |= sdk.CanDeleteWindow
	}
	if err := first("delete", allow("delete", can, need), sdk.CheckName(r.Name)); err != nil {
		return err
	}
	switch {
	case r.RecoveryWindow < 0:
		return invalid("delete %q: recovery window %s is negative", r.Name, r.RecoveryWindow)
	case r.RecoveryWindow > 0 && r.Purge:
		return invalid("delete %q: purge and a recovery window exclude each other", r.Name)
	}
	return nil
}

// AllowRestore judges a restore.
func AllowRestore(can sdk.Capabilities, r sdk.RestoreRequest) error {
	return first("restore", allow("restore", can, sdk.CanRestore), sdk.CheckName(r.Name))
}

// AllowEncrypt judges an encryption.
func AllowEncrypt(can sdk.Capabilities, r sdk.EncryptRequest) error {
	need := sdk.CanEncrypt
	if len(r.AAD) > 0 {
		need |= sdk.CanAAD
	}
	return first("encrypt", allow("encrypt", can, need), sdk.CheckVersion(r.Key), checkSize("plaintext", r.Plaintext.Len()), checkAAD(r.AAD))
}

// AllowDecrypt judges a decryption.
func AllowDecrypt(can sdk.Capabilities, r sdk.DecryptRequest) error {
	need := sdk.CanDecrypt
	if len(r.AAD) > 0 {
		need |= sdk.CanAAD
	}
	return first("decrypt", allow("decrypt", can, need), sdk.CheckVersion(r.Key), checkSize("ciphertext", len(r.Ciphertext)), checkAAD(r.AAD))
}

// AllowWatch judges a watch.
func AllowWatch(can sdk.Capabilities) error { return allow("watch", can, sdk.CanWatch) }

// AllowOpen judges an opening.
func AllowOpen(handle string, settings []byte) error {
	if n := len(settings); n > MaxSettings {
		return invalid("open %q: settings of %d bytes are over the limit of %d", Line(handle, maxReason), n, MaxSettings)
	}
	return AllowHandle("open", handle)
}

// AllowHandle refuses a handle that no host may choose.
func AllowHandle(op, handle string) error {
	if handle == "" || len(handle) > sdk.MaxName || !utf8.ValidString(handle) || strings.ContainsFunc(handle, unsafeRune) {
		return invalid("%s: store handle %q is not 1 to %d bytes of text without control characters", op, Line(handle, maxReason), sdk.MaxName)
	}
	return nil
}

func checkPage(size int, token string) error {
	switch {
	case size < 1 || size > sdk.MaxPage:
		return invalid("page size %d is not 1 to %d", size, sdk.MaxPage)
	case len(token) > MaxToken:
		return invalid("page token of %d bytes is over the limit of %d", len(token), MaxToken)
	case !utf8.ValidString(token):
		return invalid("page token is not valid UTF-8")
	}
	return nil
}

func checkSize(what string, n int) error {
	switch {
	case n == 0:
		return invalid("%s is empty; it has 1 byte to %d", what, sdk.MaxValue)
	case n > sdk.MaxValue:
		return invalid("%s of %d bytes is over the limit of %d", what, n, sdk.MaxValue)
	}
	return nil
}

func checkAAD(aad []byte) error {
	if len(aad) > MaxAAD {
		return invalid("additional data of %d bytes is over the limit of %d", len(aad), MaxAAD)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return sdk.Errorf(sdk.InvalidArgument, format, args...)
}

// first gives the first error there is, with op in front unless it is there already.
func first(op string, errs ...error) error {
	for _, err := range errs {
		switch {
		case err == nil:
		case sdk.CodeOf(err) == sdk.Unimplemented:
			return err
		default:
			return sdk.Errorf(sdk.CodeOf(err), "%s: %w", op, err)
		}
	}
	return nil
}
