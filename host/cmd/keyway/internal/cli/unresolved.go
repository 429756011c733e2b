package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/litellm"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

// maxLines is how many names with one and the same reason get a line each.
const maxLines = 20

// unresolved is a variable that cannot be had, and why.
type unresolved struct {
	want
	err error
}

func (u unresolved) line() error {
	return sdk.Errorf(sdk.CodeOf(u.err), "%s (%s): %w", u.name, strings.Join(u.places, ", "), u.err)
}

// absent tells that a store has no such secret for us, which an optional name may lack. A store that does not answer is
// another matter: the secret may be there.
func absent(err error) bool {
	switch sdk.CodeOf(err) {
	case sdk.NotFound, sdk.FailedPrecondition, sdk.PermissionDenied, sdk.InvalidArgument, sdk.Unimplemented:
		return true
	}
	return false
}

// ofStore tells a failure that concerns all of a store, whichever name was asked for.
func ofStore(c sdk.Code) bool {
	switch c {
	case sdk.Unauthenticated, sdk.Unavailable, sdk.DeadlineExceeded, sdk.ResourceExhausted, sdk.Canceled:
		return true
	}
	return false
}

// cause is what failures have in common that are one failure: who was to answer, and how it failed. What is wrong with one
// name is a cause of its own.
type cause struct {
	answers, name, reason string
	code                  sdk.Code
}

func causeOf(u unresolved, cfg *config.Config) cause {
	c := cause{answers: strings.Join(answering(cfg, u.parts), " "), code: sdk.CodeOf(u.err)}
	if !ofStore(c.code) {
		c.name = u.name
	}
	if e, ok := errors.AsType[*sdk.Error](u.err); ok {
		c.reason = e.Reason
	}
	return c
}

// unresolvable joins what failed. Each required name is told with its reference, and of the optional ones that failed with
// it for the same reason only how many they are: a store that is down is one failure, not one for each name of it.
func (w *wanted) unresolvable(failed []unresolved, cfg *config.Config) error {
	var order []cause
	by := map[cause][]unresolved{}
	for _, u := range failed {
		c := causeOf(u, cfg)
		if by[c] == nil {
			order = append(order, c)
		}
		by[c] = append(by[c], u)
	}
	var lines []error
	for _, c := range order {
		lines = append(lines, tell(c.code, by[c])...)
	}
	code := sdk.CodeOf(errors.Join(lines...))
	lines = append(lines, sdk.Errorf(code, "%d of %d references cannot be resolved; the program is not started", len(failed), len(w.list)))
	err := errors.Join(lines...)
	if code != sdk.NotFound {
		return err
	}
	var absentIn []string
	for c := range by {
		if c.code == sdk.NotFound {
			absentIn = append(absentIn, strings.Fields(c.answers)...)
		}
	}
	return &hinted{err, whereToLook(absentIn)}
}

// tell gives the lines of the failures that have one cause.
func tell(code sdk.Code, all []unresolved) []error {
	named := slices.DeleteFunc(slices.Clone(all), func(u unresolved) bool { return !u.required })
	if len(named) == 0 {
		named = all
	}
	var lines []error
	if len(named) <= maxLines {
		for _, u := range named {
			lines = append(lines, u.line())
		}
	} else {
		var others []string
		for _, u := range named[1:] {
			others = append(others, u.name)
		}
		lines = append(lines, named[0].line(), sdk.Errorf(code, "and %d others, for the same reason: %s", len(others), strings.Join(others, ", ")))
	}
	switch rest := len(all) - len(named); rest {
	case 0:
	case 1:
		lines = append(lines, sdk.Errorf(code, "and 1 optional name, for the same reason"))
	default:
		lines = append(lines, sdk.Errorf(code, "and %d optional names, for the same reason", rest))
	}
	return lines
}

// answering gives the stores and sources that a text's references ask.
func answering(cfg *config.Config, parts []refs.Part) []string {
	var out []string
	for _, p := range parts {
		switch {
		case p.Ref == nil:
		case p.Ref.Kind == refs.Environ:
			if r := cfg.References; r.DefaultStore != "" && (r.HostedNames == nil || slices.Contains(r.HostedNames, p.Ref.Name)) {
				out = append(out, r.DefaultStore)
				continue
			}
			out = append(out, "env")
		case p.Ref.Kind == refs.OIDC:
			out = append(out, "oidc")
		default:
			out = append(out, p.Ref.Store)
		}
	}
	return out
}

// hinted is an error that is told with a hint of its own.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// whereToLook says what to do about names that are absent in stores or sources.
func whereToLook(places []string) string {
	slices.Sort(places)
	var hints []string
	for _, place := range slices.Compact(places) {
		switch place {
		case "env":
			hints = append(hints, "set the variable where keyway is started")
		case "file":
			hints = append(hints, "secret://file looks into the folders of sources.file")
		case "cred":
			hints = append(hints, "secret://cred looks into $CREDENTIALS_DIRECTORY")
		case "oidc": // never absent
		case litellm.Store:
			hints = append(hints, "write the name to the secret manager that LiteLLM's configuration names, or set the variable where keyway is started")
		default:
			hints = append(hints, fmt.Sprintf("keyway list %s shows the names that there are", place))
		}
	}
	return strings.Join(hints, "; ")
}
