//go:build e2e && unix

package azurekv_test

import (
	"testing"

	"github.com/keyway-dev/keyway/e2e/conformance"
	"github.com/keyway-dev/keyway/internal/fake/azurekv"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

func TestConformance(t *testing.T) {
	for names, scratch := range map[string]string{"exact": "kwtest-", "dashes": "kwtest/", "escaped": "kwtest/sub_folder.d/"} {
		t.Run(names, func(t *testing.T) {
			s := azurekv.Start(t)
			s.Looks(2)
			s.Deny(func(_, name string) bool { return name == "kwdenied" })
			own := settings(s.URL(), s.CA(), set{"names": names})
			p, st := openStore(t, own)
			conformance.Run(t, "azure-kv", &sdktest.Target{Plugin: p, Settings: encode(t, own), Store: st, Scratch: scratch, Denied: "kwdenied",
				SettingsAt: func(address string) []byte {
					return encode(t, settings("https://"+address, s.CA(), set{"names": names}))
				}})
		})
	}
}
