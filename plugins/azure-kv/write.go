package main

import (
	"context"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/keyway-dev/keyway/sdk"
)

// Limits of a secret. https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
const (
	maxValue = 25 << 10 // bytes
	maxTags  = 15
	maxTag   = 512 // characters of a tag's name, and of its value
)

// Put adds a version, which makes the secret where there is none. Tags and content type belong to a version, so those of a
// secret that exists are read and carried over.
func (st *store) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	id, err := st.names.encode("put", r.Name)
	if err != nil {
		return sdk.PutResult{}, err
	}
	value := r.Value.Reveal()
	if len(value) > maxValue || !utf8.Valid(value) {
		return sdk.PutResult{}, sdk.Errorf(sdk.InvalidArgument, "put %q: a value of a vault is UTF-8 text of at most %d bytes; this one has %d", r.Name, maxValue, len(value))
	}
	tags, err := st.newTags(r)
	if err != nil {
		return sdk.PutResult{}, err
	}
	contentType := &st.s.ContentType
	if st.s.ContentType == "" {
		contentType = nil
	}
	switch old, err := st.current(ctx, "put", r.Name, id); sdk.CodeOf(err) {
	case sdk.OK:
		if tags, contentType, err = st.carried(r.Name, old); err != nil {
			return sdk.PutResult{}, err
		}
	case sdk.NotFound:
	default:
		return sdk.PutResult{}, err
	}
	text := string(value)
	var made azsecrets.SetSecretResponse
	err = poll(ctx, func() (bool, error) { // a name is free some seconds after its purge
		made, err = call(ctx, st, func(ctx context.Context, c *azsecrets.Client) (azsecrets.SetSecretResponse, error) {
			return c.SetSecret(ctx, id, azsecrets.SetSecretParameters{Value: &text, ContentType: contentType, Tags: tags}, nil)
		})
		err := classify("put", r.Name, needSet, err)
		return !isBusy(err), notBusy(err)
	})
	if err != nil {
		return sdk.PutResult{}, err
	}
	if made.ID == nil || made.ID.Version() == "" {
		return sdk.PutResult{}, sdk.Errorf(sdk.Internal, "put %q: the answer names no version", r.Name)
	}
	return sdk.PutResult{Version: made.ID.Version()}, nil
}

// newTags are those of a secret that a put creates.
func (st *store) newTags(r sdk.PutRequest) (map[string]*string, error) {
	tags := map[string]*string{}
	for k, v := range r.Labels {
		tags[k] = &v
	}
	for _, own := range []string{description, nameTag} {
		if tags[own] != nil {
			return nil, sdk.Errorf(sdk.InvalidArgument, "put %q: the label %q is taken", r.Name, own)
		}
	}
	if r.Description != "" {
		tags[description] = &r.Description
	}
	if st.names != "exact" {
		tags[nameTag] = &r.Name
	}
	if len(tags) > maxTags {
		return nil, sdk.Errorf(sdk.InvalidArgument, "put %q: %d tags with description and name; a vault takes %d", r.Name, len(tags), maxTags)
	}
	for k, v := range tags {
		if k == "" || utf8.RuneCountInString(k) > maxTag || utf8.RuneCountInString(*v) > maxTag {
			return nil, sdk.Errorf(sdk.InvalidArgument, "put %q: label %.64q: a name has 1 to %d characters, a value at most as many", r.Name, k, maxTag)
		}
	}
	return tags, nil
}

// carried are the tags and content type that a new version has from the one before.
func (st *store) carried(name string, old azsecrets.SecretProperties) (tags map[string]*string, contentType *string, err error) {
	if other := st.names.taken(name, old.Tags); other != "" {
		return nil, nil, collision(sdk.FailedPrecondition, "put", name, other)
	}
	tags = maps.Clone(old.Tags)
	if st.names != "exact" && len(tags) < maxTags {
		if tags == nil {
			tags = map[string]*string{}
		}
		tags[nameTag] = &name
	}
	return tags, old.ContentType, nil
}

// current tells about the current version, also where it is disabled, which cannot be read but is listed.
func (st *store) current(ctx context.Context, op, name, id string) (azsecrets.SecretProperties, error) {
	s, err := st.read(ctx, op, name, id, "")
	if err == nil {
		return azsecrets.SecretProperties{ID: s.ID, Attributes: s.Attributes, ContentType: s.ContentType, Tags: s.Tags}, nil
	}
	if !isDisabled(err) {
		return azsecrets.SecretProperties{}, err
	}
	all, err := st.allVersions(ctx, op, name, id)
	if err != nil {
		return azsecrets.SecretProperties{}, err
	}
	return *all[0], nil
}

// Delete deletes with the vault's recovery window, and answers when the deletion is complete, which takes the vault
// seconds. A purge waits until nothing is left.
func (st *store) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	id, err := st.names.encode("delete", r.Name)
	if err != nil {
		return sdk.DeleteResult{}, err
	}
	if err := st.checkOwn(ctx, "delete", r.Name, id); err != nil {
		return sdk.DeleteResult{}, err
	}
	var gone azsecrets.DeleteSecretResponse
	err = poll(ctx, func() (bool, error) {
		gone, err = call(ctx, st, func(ctx context.Context, c *azsecrets.Client) (azsecrets.DeleteSecretResponse, error) {
			return c.DeleteSecret(ctx, id, nil)
		})
		err := classify("delete", r.Name, needDelete, err)
		return !isBusy(err), notBusy(err)
	})
	var d azsecrets.DeletedSecret
	switch {
	case err == nil && textOf(gone.RecoveryID) == "": // a vault without soft delete
		return sdk.DeleteResult{}, nil
	case err == nil:
		d, err = st.awaitDeleted(ctx, "delete", r.Name, id)
	case sdk.CodeOf(err) == sdk.NotFound: // or deleted before
		d, err = st.deleted(ctx, "delete", r.Name, id)
	}
	switch code := sdk.CodeOf(err); {
	case r.Purge && (code == sdk.OK || code == sdk.PermissionDenied && gone.ID != nil):
		return sdk.DeleteResult{}, st.purge(ctx, r.Name, id, d)
	case code == sdk.PermissionDenied && gone.ID != nil: // it is deleted; only looking at it is not allowed
		return sdk.DeleteResult{Recoverable: true, Until: timeOf(gone.ScheduledPurgeDate)}, nil
	case err != nil:
		return sdk.DeleteResult{}, err
	}
	return sdk.DeleteResult{Recoverable: true, Until: timeOf(d.ScheduledPurgeDate)}, nil
}

// checkOwn makes sure that what stands at a mapped name's place is not another name's.
func (st *store) checkOwn(ctx context.Context, op, name, id string) error {
	if st.names == "exact" {
		return nil
	}
	s, err := st.current(ctx, op, name, id)
	switch sdk.CodeOf(err) {
	case sdk.OK:
	case sdk.NotFound, sdk.FailedPrecondition:
		d, err := st.deleted(ctx, op, name, id)
		if err != nil {
			return nil //nolint:nilerr // nothing is there that could be another's
		}
		s.Tags = d.Tags
	default:
		return err
	}
	if other := st.names.taken(name, s.Tags); other != "" {
		return collision(sdk.NotFound, op, name, other)
	}
	return nil
}

// awaitDeleted waits until the vault has the secret among the deleted ones.
func (st *store) awaitDeleted(ctx context.Context, op, name, id string) (d azsecrets.DeletedSecret, err error) {
	err = poll(ctx, func() (bool, error) {
		d, err = st.deleted(ctx, op, name, id)
		if sdk.CodeOf(err) == sdk.NotFound || isBusy(err) {
			return false, nil
		}
		return true, err
	})
	return d, err
}

// purge takes a deleted secret beyond recovery.
func (st *store) purge(ctx context.Context, name, id string, d azsecrets.DeletedSecret) error {
	if level := levelOf(d.Attributes); level != "" && !strings.Contains(level, "Purgeable") {
		return sdk.Errorf(sdk.FailedPrecondition, "purge %q: deleted, but the vault's purge protection keeps it%s", name, until(d.ScheduledPurgeDate))
	}
	err := poll(ctx, func() (bool, error) {
		_, err := call(ctx, st, func(ctx context.Context, c *azsecrets.Client) (azsecrets.PurgeDeletedSecretResponse, error) {
			return c.PurgeDeletedSecret(ctx, id, nil)
		})
		err = classify("purge", name, needPurge, err)
		return !isBusy(err), notBusy(err)
	})
	if err != nil && sdk.CodeOf(err) != sdk.NotFound {
		return err
	}
	return poll(ctx, func() (bool, error) {
		_, err := st.deleted(ctx, "purge", name, id)
		switch sdk.CodeOf(err) {
		case sdk.NotFound, sdk.PermissionDenied: // gone, or not to be looked at
			return true, nil
		}
		return false, notBusy(err)
	})
}

func levelOf(a *azsecrets.SecretAttributes) string {
	if a == nil {
		return ""
	}
	return textOf(a.RecoveryLevel)
}

// Restore recovers a deleted secret, and answers when it can be read again, which takes the vault seconds.
func (st *store) Restore(ctx context.Context, r sdk.RestoreRequest) error {
	id, err := st.names.encode("restore", r.Name)
	if err != nil {
		return err
	}
	if err := st.checkOwn(ctx, "restore", r.Name, id); err != nil {
		return err
	}
	err = poll(ctx, func() (bool, error) {
		_, err := call(ctx, st, func(ctx context.Context, c *azsecrets.Client) (azsecrets.RecoverDeletedSecretResponse, error) {
			return c.RecoverDeletedSecret(ctx, id, nil)
		})
		if err = classify("restore", r.Name, needRecover, err); isBusy(err) {
			return reasonOf(err) == "ObjectIsBeingRecovered", nil
		}
		return true, err
	})
	deleted := err == nil
	if err != nil && sdk.CodeOf(err) != sdk.NotFound {
		return err
	}
	return poll(ctx, func() (bool, error) {
		switch _, err := st.current(ctx, "restore", r.Name, id); sdk.CodeOf(err) {
		case sdk.NotFound, sdk.FailedPrecondition:
			if deleted {
				return false, nil // on its way
			}
			return true, err
		case sdk.PermissionDenied:
			if deleted {
				return true, nil // it is restored; only reading it is not allowed
			}
			return true, err
		default:
			return true, err
		}
	})
}

// isBusy reports whether a secret is on its way from one state to another.
func isBusy(err error) bool {
	switch reasonOf(err) {
	case "ObjectIsBeingDeleted", "ObjectIsBeingRecovered", "ObjectIsBeingPurged":
		return true
	}
	return false
}

// notBusy leaves out that a secret is on its way.
func notBusy(err error) error {
	if isBusy(err) {
		return nil
	}
	return err
}

// Waits between two looks at a secret on its way.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = 2 * time.Second
)

// poll asks until done, with longer and longer waits, at most until ctx ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	for pause := firstLook; ; pause = min(pause*2, lastLook) {
		if ok, err := done(); ok || err != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
