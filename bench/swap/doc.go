// Package swap measures what a swap of a plugin under load costs its callers, beside the same load without swaps, and what a
// plugin process costs. It prints a table; only a failed call is a failure.
//
//	make bench-swap
package swap
