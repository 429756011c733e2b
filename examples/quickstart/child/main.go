// Command child stands for a gateway: it reads its configuration, finds the references in it and tells, masked, what its
// environment holds for each.
package main

import (
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: gateway CONFIG")
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var config yaml.Node
	if err := yaml.Load(data, &config); err != nil {
		return err
	}
	fmt.Printf("gateway: process %d, started by %d, configuration %s\n", os.Getpid(), os.Getppid(), args[0])
	missing := 0
	for _, name := range references(&config, nil) {
		value, ok := os.LookupEnv(name)
		if !ok {
			missing++
		}
		fmt.Printf("gateway: %-20s %s\n", name, masked(value))
	}
	if missing > 0 {
		return fmt.Errorf("%d keys are missing", missing)
	}
	return nil
}

// references gives the names that a configuration takes from the environment.
func references(n *yaml.Node, found []string) []string {
	if name, ok := strings.CutPrefix(n.Value, "os.environ/"); ok {
		found = append(found, name)
	}
	for _, c := range n.Content {
		found = references(c, found)
	}
	return found
}

// masked shows that a value is there, and what kind of key it is by its first three letters.
func masked(value string) string {
	if len(value) < 12 {
		return fmt.Sprintf("******** (%d bytes)", len(value))
	}
	return fmt.Sprintf("%s******** (%d bytes)", value[:3], len(value))
}
