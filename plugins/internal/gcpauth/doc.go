// Package gcpauth connects a provider to a Google Cloud service over gRPC: the settings of the connection and of the login,
// what they reach, and a connection whose calls carry the login.
//
//	conn, err := s.connection().Connect(env)                     // sends nothing
//	client, err := kms.NewKeyManagementClient(ctx, conn.Options()...) // Close of the client closes conn
//	err = gcpauth.Repeat(ctx, func() error { … gcpauth.Failure(ctx, op, object, err, explain) … })
//
// The client's own way to connect is not used: it looks at the environment for certificates, proxies and other endpoints,
// and it connects by itself.
package gcpauth
