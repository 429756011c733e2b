package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cyberark/conjur-api-go/conjurapi"

	"github.com/keyway-dev/keyway/sdk"
)

// Put sets a variable, and with a policy branch declares one that is not there. Conjur tells no version of what it has set,
// and makes none for the value that is current already.
func (st *store) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	if len(bytes.Trim(r.Value.Reveal(), " \t\n\v\f\r")) == 0 {
		return sdk.PutResult{}, sdk.Errorf(sdk.InvalidArgument, "put %q: Conjur takes no value of white space alone", r.Name)
	}
	if _, ok := r.Labels[description]; ok {
		return sdk.PutResult{}, sdk.Errorf(sdk.InvalidArgument, "put %q: the label %q is the description's", r.Name, description)
	}
	id := st.id(r.Name)
	err := st.set(ctx, r)
	relative, within := st.within(id)
	switch {
	case sdk.CodeOf(err) != sdk.NotFound:
		return sdk.PutResult{}, err
	case st.branch == "":
		return sdk.PutResult{}, sdk.Errorf(sdk.NotFound,
			"put %q: the variable is not declared, or the login has no privilege on it; load a policy with the line \"- !variable %s\", or set policy_branch", r.Name, id)
	case !within:
		return sdk.PutResult{}, sdk.Errorf(sdk.NotFound,
			"put %q: the variable %s is not declared, and it is outside policy_branch %q, where this store declares", r.Name, id, st.branch)
	}
	if err := st.declare(ctx, r, relative); err != nil {
		return sdk.PutResult{}, err
	}
	err = st.set(ctx, r)
	if sdk.CodeOf(err) == sdk.NotFound {
		return sdk.PutResult{}, sdk.Errorf(sdk.PermissionDenied,
			"put %q: the variable is declared, but the login may not see it; it needs to own policy %q, or read, execute and update on variable %s", r.Name, st.branch, id)
	}
	return sdk.PutResult{}, err
}

// set gives a declared variable a value. It is not sent as a form, which the official client does: parts of a value could
// then be taken for parameters.
// https://docs.cyberark.com/conjur-open-source/latest/en/content/developer/conjur_api_add_secret.htm
func (st *store) set(ctx context.Context, r sdk.PutRequest) error {
	id := st.id(r.Name)
	_, err := st.do(ctx, call{op: "put", object: r.Name, quiet: true, needs: "update on variable " + id, build: func() (*http.Request, error) {
		q, err := st.requests.AddSecretRequest(st.full("variable", id), "")
		if err == nil {
			setBody(q, r.Value.Reveal(), "application/octet-stream")
		}
		return q, err
	}})
	return err
}

func setBody(r *http.Request, body []byte, kind string) {
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Type", kind)
}

// within gives an id relative to the policy branch, and whether it is in it.
func (st *store) within(id string) (string, bool) {
	if st.branch == "root" {
		return id, true
	}
	return strings.CutPrefix(id, st.branch+"/")
}

// declare appends a variable to the branch. One that is there keeps its annotations.
// https://docs.cyberark.com/conjur-open-source/latest/en/content/operations/policy/statement-ref-variable.htm
func (st *store) declare(ctx context.Context, r sdk.PutRequest, relative string) error {
	var b strings.Builder
	b.WriteString("- !variable\n  id: " + quoted(relative) + "\n")
	notes := maps.Clone(r.Labels)
	if r.Description != "" {
		if notes == nil {
			notes = map[string]string{}
		}
		notes[description] = r.Description
	}
	if len(notes) > 0 {
		b.WriteString("  annotations:\n")
	}
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		b.WriteString("    " + quoted(name) + ": " + quoted(notes[name]) + "\n")
	}
	return st.loadPolicy(ctx, "put", r.Name, "create", conjurapi.PolicyModePost, b.String())
}

// Delete removes the declaration, and with it the value and all versions, beyond recovery. Removing what is not there is done.
// https://docs.cyberark.com/conjur-open-source/latest/en/content/operations/policy/statement-ref-delete.htm
func (st *store) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	id := st.id(r.Name)
	relative, ok := st.within(id)
	if !ok {
		return sdk.DeleteResult{}, sdk.Errorf(sdk.PermissionDenied, "delete %q: the variable %s is outside policy_branch %q, where this store may remove", r.Name, id, st.branch)
	}
	return sdk.DeleteResult{}, st.loadPolicy(ctx, "delete", r.Name, "update", conjurapi.PolicyModePatch, "- !delete\n  record: !variable "+quoted(relative)+"\n")
}

// loadPolicy changes the branch. Loads of one account exclude each other: the server answers 409 to one that meets another,
// and when to come again.
// https://docs.cyberark.com/conjur-open-source/latest/en/content/developer/conjur_api_append_policy.htm
func (st *store) loadPolicy(ctx context.Context, op, name, privilege string, mode conjurapi.PolicyMode, text string) error {
	_, err := st.do(ctx, call{op: op, object: name, needs: privilege + " on policy " + st.branch, build: func() (*http.Request, error) {
		r, err := spaced(st.requests.LoadPolicyRequest(mode, st.full("policy", st.branch), http.NoBody, false))
		if err == nil {
			setBody(r, []byte(text), "application/x-yaml")
		}
		return r, err
	}})
	if sdk.CodeOf(err) == sdk.NotFound {
		return sdk.Errorf(sdk.FailedPrecondition, "%s %q: there is no policy %q, which policy_branch names, or the login has no privilege on it; it needs %s", op, name, st.branch, privilege)
	}
	return err
}

// quoted writes a text for YAML. A JSON string is one, and no character of it means anything else there.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return `""`
	}
	return string(b)
}
