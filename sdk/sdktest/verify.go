package sdktest

import (
	"context"
	"errors"
	"testing"
)

// Status is what became of a check.
type Status int

// What may become of a check. Absent: the store does not claim what the promise is about, or the target cannot show it.
const (
	Passed Status = iota
	Failed
	Absent
)

// String gives the status in lower case.
func (s Status) String() string {
	return [...]string{"passed", "failed", "absent"}[s]
}

// Result is what became of one check. Err is why it failed, or what was lacking; nil where it passed.
type Result struct {
	Check  Check
	Status Status
	Err    error
}

// checkFactor times the target's patience bounds one check as a whole, so that a plugin that answers nothing fails
// instead of stopping the run.
const checkFactor = 12

// Verify tries every promise of the suite on t, one after the other, and answers one result for each, in order. When ctx
// ends, what is left fails with the context's error. Afterwards it deletes the secrets it made.
func Verify(ctx context.Context, t *Target) []Result {
	var out []Result
	for _, c := range Suite() {
		out = append(out, try(ctx, c, t))
	}
	t.sweep(ctx)
	return out
}

func try(ctx context.Context, c Check, t *Target) Result {
	if lacking := c.Absent(t); lacking != "" {
		return Result{c, Absent, errors.New(lacking)}
	}
	ctx, cancel := context.WithTimeout(ctx, checkFactor*t.patience())
	defer cancel()
	if err := c.Run(ctx, t); err != nil {
		return Result{c, Failed, err}
	}
	return Result{c, Passed, nil}
}

// Run is [Verify] for go test: each promise is a subtest. Absent ones become no subtest, since nothing was tried; they are
// logged. What go test's -run leaves out has no result.
func Run(t *testing.T, target *Target) []Result {
	t.Helper()
	if target.Store == nil {
		t.Fatal("sdktest: the target has no Store")
	}
	var out []Result
	for _, c := range Suite() {
		if lacking := c.Absent(target); lacking != "" {
			t.Logf("absent: %s: %s", c.Name, lacking)
			out = append(out, Result{c, Absent, errors.New(lacking)})
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			r := try(t.Context(), c, target)
			if r.Err != nil {
				t.Errorf("promise: %s\n%v", c.Promise, r.Err)
			}
			out = append(out, r)
		})
	}
	target.sweep(t.Context())
	return out
}
