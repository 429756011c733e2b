package main

import (
	"net"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/azurekv"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

func TestTheCompiledPluginKeepsTheContract(t *testing.T) {
	for _, names := range []string{"exact", "escaped"} { // dashes: e2e
		t.Run(names, func(t *testing.T) {
			s := azurekv.Start(t)
			s.Deny(func(_, name string) bool { return name == "kwdenied" })
			scratch := map[string]string{"exact": "kwtest-", "escaped": "kwtest/sub_folder.d/"}[names]
			raw := encode(t, settings(s, set{"names": names}))
			p := sdktest.Start(t, sdktest.Build(t, "."))
			st, err := p.Open(t.Context(), "test~1", raw)
			if err != nil {
				t.Fatal(err)
			}
			sdktest.Run(t, &sdktest.Target{Plugin: p, Settings: raw, Store: st, Scratch: scratch, Denied: "kwdenied",
				SettingsAt: func(address string) []byte {
					if _, _, err := net.SplitHostPort(address); err != nil {
						t.Errorf("settings at %q: %v", address, err)
					}
					return encode(t, settings(s, set{"names": names, "endpoint": "https://" + address, "authority_host": "https://" + address}))
				}})
		})
	}
}
