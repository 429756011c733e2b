package main

import (
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/gcpsm"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

func TestTheBinaryKeepsTheContract(t *testing.T) {
	for name, c := range map[string]struct {
		more    set
		scratch string
		server  *gcpsm.Server
	}{
		"global":   {nil, "kwtest-", gcpsm.New("acme-prod", "892942638129", "")},
		"escaped":  {set{"names": "escaped", "current": "latest_enabled", "prefix": "gateway/"}, "kwtest/", gcpsm.New("acme-prod", "892942638129", "")},
		"regional": {set{"location": "europe-west3"}, "kwtest-", gcpsm.New("acme-prod", "892942638129", "europe-west3")},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range []string{"versions.access", "versions.get", "versions.list", "versions.add", "secrets.get", "secrets.delete"} {
				c.server.Deny("secretmanager."+p, "denied")
				c.server.Deny("secretmanager."+p, "gateway_2fdenied")
			}
			address := c.server.Listen(t)
			raw := settings(t, address, c.more)
			plugin := sdktest.Start(t, sdktest.Build(t, "."))
			store, err := plugin.Open(t.Context(), "test~1", raw)
			if err != nil {
				t.Fatal(err)
			}
			sdktest.Run(t, &sdktest.Target{
				Plugin: plugin, Settings: raw, Store: store, Scratch: c.scratch, Denied: "denied",
				SettingsAt: func(address string) []byte { return settings(t, address, c.more) },
			})
		})
	}
}
