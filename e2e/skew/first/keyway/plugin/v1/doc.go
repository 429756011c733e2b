// Package pluginv1 is the contract as it was first released, with the code that was generated of it then. It is never
// generated anew: programs that link it are what is out there. A program links it or today's contract, never both, because
// both register the same names.
package pluginv1
