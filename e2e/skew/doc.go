// Package skew holds what was built for other states of the contract than today's, and the tests that they work together.
//
//	first/keyway   the contract as it was first released, with its code; never generated anew
//	first/plugin   a plugin of that time, without an SDK: runs in today's host
//	first/client   a host of that time: drives today's plugins
//	future/plugin  a plugin that says what only a later contract knows: runs in today's host
//
// A release that has let the contract grow adds its state beside the first, as NAME/keyway/plugin/v1/plugin.proto: make lint
// holds today's contract against every one of them.
package skew
