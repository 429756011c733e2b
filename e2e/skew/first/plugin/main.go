// Command plugin is a plugin that was built when the contract was new.
package main

import "github.com/keyway-dev/keyway/e2e/skew/first/memory"

func main() { memory.Plugin{Name: "first"}.Main() }
