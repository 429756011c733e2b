package cli

import (
	"context"
	"os"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/litellm"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

// maxVariable is the most that Linux takes as one string of an environment, "NAME=value" with its end: MAX_ARG_STRLEN, 32
// pages of 4 KiB. See execve(2).
const maxVariable = 128 << 10

// wanted is what a program is to find in its environment.
type wanted struct {
	list   []want
	byName map[string]bool
}

// want is one variable.
type want struct {
	name     string
	text     string // what to resolve
	parts    []refs.Part
	places   []string // who asks for it
	required bool
	inFile   bool // its value stands in the copy of LiteLLM's configuration too
	litellm  bool
}

func newWanted() *wanted { return &wanted{byName: map[string]bool{}} }

func (w *wanted) has(name string) bool { return w.byName[name] }

func (w *wanted) add(name, text, place string, required bool) error {
	parts, err := refs.Split(text)
	if err != nil {
		return sdk.Errorf(sdk.InvalidArgument, "%s: %w", place, err)
	}
	w.byName[name] = true
	w.list = append(w.list, want{name: name, text: text, parts: parts, places: []string{place}, required: required})
	return nil
}

// addAll adds what LiteLLM must get. What the operator set on the command line, or as a reference in the environment, counts
// more.
func (w *wanted) addAll(t *litellm.Translation) {
	for _, r := range t.References {
		parts, err := refs.Split(r.Text)
		if w.has(r.Name) || err != nil {
			continue
		}
		w.byName[r.Name] = true
		w.list = append(w.list, want{r.Name, r.Text, parts, r.Places, r.Required, r.InFile, true})
	}
}

// environ is the environment for the host, without the variables that hold references: their text is nobody's secret.
func (w *wanted) environ(name string) (string, bool) {
	v, ok := os.LookupEnv(name)
	if ok && isReference(v) {
		return "", false
	}
	return v, ok
}

// resolve reads everything in one pass. The error joins all that is required and cannot be had; what is optional may be
// absent.
func (w *wanted) resolve(ctx context.Context, h *host.Host, cfg *config.Config) (map[string]sdk.Sensitive, error) {
	lives := make(map[string]*host.Live, len(w.list))
	for _, x := range w.list {
		if lives[x.text] == nil {
			lives[x.text] = host.NewLive(x.text)
		}
	}
	whole := h.Bind(ctx, lives) // each Live tells its own error
	values := map[string]sdk.Sensitive{}
	var failed []unresolved
	for _, x := range w.list {
		v, err := lives[x.text].Load()
		if err == nil {
			err = x.check(v.Sensitive)
		} else if sdk.CodeOf(err) == sdk.FailedPrecondition && whole != nil {
			_, err = h.Resolve(ctx, x.text) // not bound at all: its store is not there
		}
		switch {
		case err == nil:
			values[x.name] = v.Sensitive
		case x.required || !absent(err):
			failed = append(failed, unresolved{x, err})
		}
	}
	if len(failed) > 0 {
		return nil, w.unresolvable(failed, cfg)
	}
	return values, nil
}

// check refuses a value that an environment cannot hold.
func (x want) check(v sdk.Sensitive) error {
	b := v.Reveal()
	size := len(x.name) + 1 + len(b) + 1
	switch {
	case strings.IndexByte(string(b), 0) >= 0:
		return sdk.Errorf(sdk.InvalidArgument, "%s: the value has a byte of zero, which no environment can hold", x.text)
	case runtime.GOOS == "linux" && size > maxVariable:
		return sdk.Errorf(sdk.InvalidArgument, "%s: the value of %d bytes is over the limit of %d for one variable", x.text, len(b), maxVariable-len(x.name)-2)
	case x.inFile && !utf8.Valid(b):
		return sdk.Errorf(sdk.InvalidArgument, "%s: the value is no text, which a list in LiteLLM's configuration needs", x.text)
	}
	return nil
}
