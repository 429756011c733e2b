package main

import (
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/keyway-dev/keyway/sdk"
)

// Forms of names and versions.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)
	idForm   = regexp.MustCompile(`^[A-Za-z0-9_-]{32,64}$`)
)

const maxName, maxStage = 512, 256 // characters

// secretID gives what AWS is asked for: the name behind the prefix, or an ARN as it is, which may be another account's.
// What AWS would refuse is InvalidArgument, before any call.
func (st *store) secretID(op, name string) (string, error) {
	if strings.HasPrefix(name, "arn:") {
		return name, st.checkARN(op, name)
	}
	id := st.s.Prefix + name
	if !nameForm.MatchString(id) {
		return "", sdk.Errorf(sdk.InvalidArgument, "%s %q: a name in Secrets Manager is 1 to %d letters, digits or /_+=.@-, with the prefix", op, name, maxName)
	}
	return id, nil
}

func (st *store) checkARN(op, name string) error {
	a, err := arn.Parse(name)
	secret, ok := strings.CutPrefix(a.Resource, "secret:")
	switch {
	case err != nil || a.Service != "secretsmanager" || !ok || !nameForm.MatchString(secret):
		return sdk.Errorf(sdk.InvalidArgument, "%s %q: is not the ARN of a secret", op, name)
	case a.Region != st.s.Region:
		return sdk.Errorf(sdk.InvalidArgument, "%s %q: is a secret of the region %s, and the store is of %s", op, name, a.Region, st.s.Region)
	}
	return nil
}

func isARN(id string) bool { return strings.HasPrefix(id, "arn:") }

// named reports whether an answer is about the secret that was asked for. An ARN may lack the random characters at its end.
func named(id, name, fullARN string) bool {
	return name == id || isARN(id) && strings.HasPrefix(fullARN, id)
}
