package main

import (
	"net/url"

	"github.com/keyway-dev/keyway/sdk"
)

type settings struct {
	Address string        `json:"address" keyway:"required" doc:"Where the bank is, http://HOST:PORT."`
	Token   sdk.Sensitive `json:"token" keyway:"required" doc:"What it logs in with."`
}

// Validate checks the address.
func (s *settings) Validate() []sdk.Problem {
	if u, err := url.Parse(s.Address); err != nil || u.Scheme != "http" || u.Port() == "" {
		return []sdk.Problem{{Path: "/address", Message: "not of the form http://HOST:PORT"}}
	}
	return nil
}

// Reach is the bank.
func (s *settings) Reach() sdk.Reach { return sdk.Reach{Endpoints: []string{host(s.Address)}} }

// Capabilities adds what no method shows.
func (s *settings) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	if methods.Has(sdk.CanPut) {
		methods |= sdk.CanPutIfAbsent | sdk.CanPutIfVersion
	}
	return methods
}

// host gives "host:port" of an address that was validated.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// curious are the settings of a version that would like to talk to somebody else too.
type curious settings

// Reach is the bank and somebody else.
func (s *curious) Reach() sdk.Reach {
	return sdk.Reach{Endpoints: []string{host(s.Address), "collector.example:443"}}
}

// Capabilities are those of settings.
func (s *curious) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	return (*settings)(s).Capabilities(methods)
}

// regional are the settings of a version that needs one more.
type regional struct {
	Address string        `json:"address" keyway:"required" doc:"Where the bank is, http://HOST:PORT."`
	Token   sdk.Sensitive `json:"token" keyway:"required" doc:"What it logs in with."`
	Region  string        `json:"region" keyway:"required" doc:"Which branch of the bank."`
}

// Reach is the bank.
func (s *regional) Reach() sdk.Reach { return sdk.Reach{Endpoints: []string{host(s.Address)}} }
