// Package candidates builds new versions of a plugin that turn out in every way that a new version can, good and bad, for
// the tests of what a host does with them. Package kinds lists the ways. The provider is "bank"; its secrets are in a
// [Backend], which every version reaches.
package candidates

// Provider is the name of the candidates' provider.
const Provider = "bank"
