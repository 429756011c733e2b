// Package awsauth is what the providers of AWS services share: the settings of a connection, how they log in, which
// addresses that reaches, and what an answer of AWS means.
//
//	s := awsauth.Settings{Region: "eu-west-1", Auth: auth}
//	session, err := s.Open(env)
//	client := secretsmanager.NewFromConfig(session.Config)
//	out, err := awsauth.Do(ctx, session, call, client.GetSecretValue, in)
//
// Nothing of the process's environment or home folder counts, except with the login "default". A [Session] logs in on its
// first call, once for all callers, again before a login ends, and once more when AWS refuses it.
package awsauth
