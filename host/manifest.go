package host

import (
	"maps"
	"slices"

	"github.com/keyway-dev/keyway/sdk"
)

// Manifest is what the plugin of a provider says of itself. Where stores run several versions of it, the manifest is that of
// the first store's, by name. NotFound when no store has this provider.
func (h *Host) Manifest(provider string) (sdk.Manifest, error) {
	stores := h.stores()
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		if r := stores[name].plugin.Load(); r != nil && r.provider == provider {
			return r.manifest, nil
		}
	}
	return sdk.Manifest{}, sdk.Errorf(sdk.NotFound, "there is no plugin %q in use: no store of the configuration has this provider", provider)
}
