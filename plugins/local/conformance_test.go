package main

import (
	"testing"

	"github.com/keyway-dev/keyway/sdk/sdktest"
)

func TestTheBinaryKeepsTheContract(t *testing.T) {
	plugin := sdktest.Start(t, sdktest.Build(t, "."))
	settings := settingsJSON(storePath(t), nil)
	store, err := plugin.Open(t.Context(), "test~1", settings)
	if err != nil {
		t.Fatal(err)
	}
	sdktest.Run(t, &sdktest.Target{Plugin: plugin, Settings: settings, Store: store, Scratch: "kwtest/"})
}
