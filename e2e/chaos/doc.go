// Package chaos kills, stops, slows and starves plugins under load. Its tests promise what callers see of it: nothing where
// a value is cached, and at most a delay elsewhere; and that nothing is left of any of it in the host.
package chaos
