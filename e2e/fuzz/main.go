// Fuzz runs every fuzz target of the module for a while, one after the other.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
)

func main() {
	fuzztime := flag.String("fuzztime", "30s", "how long each target runs, as go test's flag")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	targets, err := find(ctx)
	if err == nil && len(targets) == 0 {
		err = fmt.Errorf("the module has no fuzz target")
	}
	for _, t := range targets {
		if err != nil {
			break
		}
		fmt.Printf("== fuzz %s %s for %s\n", t.pkg, t.name, *fuzztime)
		err = run(ctx, t, *fuzztime)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
	fmt.Printf("== %d fuzz targets found nothing\n", len(targets))
}

type target struct{ pkg, name string }

// find lists the targets: `go test -list` prints the names of a package and then "ok <package>".
func find(ctx context.Context) ([]target, error) {
	var stdout bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "test", "-list", "^Fuzz", "./...")
	cmd.Stdout, cmd.Stderr = &stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("listing targets: %w", err)
	}
	var all []target
	var names []string
	for line := range strings.Lines(stdout.String()) {
		switch f := strings.Fields(line); {
		case len(f) == 1 && strings.HasPrefix(f[0], "Fuzz"):
			names = append(names, f[0])
		case len(f) > 1 && f[0] == "ok":
			for _, n := range names {
				all = append(all, target{f[1], n})
			}
			names = nil
		}
	}
	return all, nil
}

func run(ctx context.Context, t target, fuzztime string) error {
	// Making each interesting input smaller, go's default, would take most of the time.
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", fuzztime, "-fuzzminimizetime", "10x", t.pkg)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", t.pkg, t.name, err)
	}
	return nil
}
