package plugin

import (
	"context"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

func TestDescribe(t *testing.T) {
	f := newFixture(t, "")
	m, err := f.Describe(t.Context(), f.binary())
	if err != nil || m.Name != "fake" || m.Version != "1.0.0" || string(m.Schema) != `{"type":"object"}` {
		t.Errorf("Describe = %+v, %v, want fake 1.0.0 with its schema", m, err)
	}
}

func TestDescribeRefuses(t *testing.T) {
	for _, c := range []struct {
		mode string
		want error
		says []string
	}{
		{"describe-fail", ErrNotPlugin, []string{"exit status 2", "unknown flag ?[31m--describe"}},
		{"describe-text", ErrNotPlugin, []string{"does not print a manifest"}},
		{"describe-flood", ErrNotPlugin, []string{"more than 1048576 bytes"}},
		{"describe-bad-version", ErrNotPlugin, []string{`"latest"`}},
		{"describe-sentence", ErrNotPlugin, []string{`capability "put all bad: x" is not a word`}},
		{"describe-schema-text", ErrNotPlugin, []string{"not a JSON object"}},
		{"describe-large-schema", ErrNotPlugin, []string{"over the limit of 262144"}},
		{"misnamed", ErrIdentity, []string{`"other"`}},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, c.mode)
			_, err := f.Describe(t.Context(), f.binary())
			wantFault(t, err, sdk.FailedPrecondition, c.want, append(c.says, f.plugin)...)
		})
	}
}

func TestDescribeEndsWithItsContext(t *testing.T) {
	f := newFixture(t, "describe-hang")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := f.Describe(ctx, f.binary())
	wantFault(t, err, sdk.FailedPrecondition, ErrSlow, "--describe did not end")
}

func TestDescribeOfAShellScript(t *testing.T) {
	f := newFixture(t, "")
	f.opts.Sandbox = "off" // in the sandbox a script's interpreter must be allowed
	b := f.binary()
	for script, want := range map[string]error{
		"#!/bin/sh\ncat\n":                            ErrNotPlugin, // its standard input is empty, not the host's
		"#!/bin/sh\necho '[]'\n":                      ErrNotPlugin,
		"#!/bin/sh\necho '{} {}'\n":                   ErrNotPlugin,
		"#!/bin/sh\nkill -9 $$\n":                     ErrNotPlugin,
		"#!/bin/sh\nsleep 60 & echo '{\"name\":1}'\n": ErrNotPlugin,
		"neither script nor program":                  ErrNotExecutable,
	} {
		if err := replace(f.plugin, script, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := f.Describe(t.Context(), b)
		wantFault(t, err, sdk.FailedPrecondition, want)
	}
}

func TestIdentityIsHeldAgainstFileAndConstraint(t *testing.T) {
	f := newFixture(t, "")
	b := f.binary()
	b.Version = "1.0.1"
	_, err := f.Describe(t.Context(), b)
	wantFault(t, err, sdk.FailedPrecondition, ErrIdentity, `version "1.0.0"`)
	for constraint, fits := range map[string]bool{">=1 <2": true, ">=2": false} {
		b, err := f.Find("fake", constraint)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Describe(t.Context(), b)
		if fits && err != nil {
			t.Errorf("Describe with %q: %v", constraint, err)
		}
		if !fits {
			wantFault(t, err, sdk.FailedPrecondition, ErrIdentity, `does not satisfy`)
		}
	}
}
