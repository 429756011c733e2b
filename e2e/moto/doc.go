// Package moto runs moto, an emulator of AWS, for tests: it installs the server on first use into the ignored folder .cache
// of the repository, starts it in memory on a free loopback port, and stops it when the test ends.
//
//	srv, stop, err := moto.Run()     // one server for a package's tests; keys and permissions are not looked at
//	raw := srv.Settings(t, set{...}) // of a store on it
//
//	own := moto.StartEnforced(t)     // signatures and IAM policies count
//	key := own.User(t, `{"Version":"2012-10-17","Statement":[...]}`)
//	raw = own.Settings(t, set{"auth": key.Auth()})
//
// It is an emulator: where it and AWS's documentation differ, the documentation counts.
package moto
