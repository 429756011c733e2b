// Package localkms runs local-kms, an emulator of the AWS Key Management Service, for tests: it builds the server on first
// use into the ignored folder .cache of the repository, from a pinned module of its own, starts it on a free loopback port,
// and stops it when the test process ends.
//
//	srv, stop, err := localkms.Run()
//	key := srv.NewKey(t)             // and srv.Disable, srv.ScheduleDeletion
//	raw := srv.Settings(t, set{"key": key})
//
// It looks at neither signatures nor permissions, and has no Security Token Service. Where it and AWS's documentation differ,
// the documentation counts; what module/main.go makes good is said there.
package localkms
