package plugin

import (
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// maxThreads bounds GOMAXPROCS of a plugin: it mostly waits for its backend.
const maxThreads = 4

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// environment is the whole environment of a plugin: a few fixed entries, those the operator allows, and go-plugin's own,
// which win. The host's environment has the gateway's secrets in it and is never passed on.
func environment(allowed, own []string) ([]string, error) {
	env := map[string]string{"TZ": "UTC", "GOMAXPROCS": strconv.Itoa(min(runtime.NumCPU(), maxThreads))}
	for _, kv := range allowed {
		name, value, ok := strings.Cut(kv, "=")
		switch {
		case !ok || !variableForm.MatchString(name) || strings.ContainsRune(value, 0):
			return nil, sdk.Errorf(sdk.InvalidArgument, "plugin environment: an entry for %q is not of the form NAME=value", name)
		case strings.HasPrefix(name, "PLUGIN_") || strings.HasPrefix(name, "KEYWAY_PLUGIN"):
			return nil, sdk.Errorf(sdk.InvalidArgument, "plugin environment: %s is set by the host", name)
		}
		env[name] = value
	}
	for _, kv := range own {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	out := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, name+"="+env[name])
	}
	return out, nil
}
