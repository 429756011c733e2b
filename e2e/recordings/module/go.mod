// The modules whose recordings the tests replay. Nothing is built of them, so nothing else is required.
module github.com/keyway-dev/keyway/e2e/recordings/module

go 1.26.0

require (
	github.com/Azure/azure-sdk-for-go/sdk/keyvault/azsecrets v0.12.0
	gocloud.dev v0.47.0
)
