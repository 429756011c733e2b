//go:build e2e && unix

package moto_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keyway-dev/keyway/e2e/moto"
)

func TestServerHoldsCallersToTheirPoliciesOnceItIsTold(t *testing.T) {
	srv := moto.StartEnforced(t)
	create := func(c *secretsmanager.Client, name string) error {
		_, err := c.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String("v")})
		return err
	}
	if err := create(secretsmanager.NewFromConfig(srv.Config()), "a"); err != nil {
		t.Errorf("the user who may do everything: %v", err)
	}
	other := *srv
	other.Key = srv.User(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`)
	c := secretsmanager.NewFromConfig(other.Config())
	if err := create(c, "b"); err == nil {
		t.Error("a user who may only read has made a secret")
	}
	if _, err := c.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("a")}); err != nil {
		t.Errorf("read: %v", err)
	}
	other.Key.Secret += "x"
	if _, err := secretsmanager.NewFromConfig(other.Config()).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("a")}); err == nil {
		t.Error("a wrong key was served")
	}
}
