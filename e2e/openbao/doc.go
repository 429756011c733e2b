// Package openbao runs a real OpenBao for tests: it installs the server on first use into the ignored folder .cache of
// the repository, starts it in memory on a free loopback port, and stops it when the test ends.
//
//	srv := openbao.Start(t)
//	mount := srv.KV(t, 2)
//	token := srv.NewToken(t, `path "`+mount+`/data/*" { capabilities = ["read"] }`)
//
// One server may serve all tests of a package: [Run] is for TestMain, and every KV, Transit and AppRole is a fresh mount.
package openbao
