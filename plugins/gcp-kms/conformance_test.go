package main

import (
	"testing"

	"github.com/keyway-dev/keyway/sdk/sdktest"
)

func TestTheBinaryKeepsTheContract(t *testing.T) {
	_, address := newServer(t)
	raw := settings(t, address, nil)
	plugin := sdktest.Start(t, sdktest.Build(t, "."))
	store, err := plugin.Open(t.Context(), "test~1", raw)
	if err != nil {
		t.Fatal(err)
	}
	sdktest.Run(t, &sdktest.Target{
		Plugin: plugin, Settings: raw, Store: store, Scratch: "kwtest/",
		SettingsAt: func(address string) []byte { return settings(t, address, nil) },
	})
}
