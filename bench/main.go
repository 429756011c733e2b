//go:build unix

// Bench measures Keyway beside its floors, in one run: ratios hold on a noisy machine where absolute figures do not. It
// prints a table and judges nothing but the ratio's place against its goal.
//
//	make bench
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"time"
)

func main() {
	only := flag.String("only", "", "run one part: call, openbao, cache, many, start, run or matrix")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run: where the binaries are, and what was found.
type bench struct {
	bin       string // folder of the compiled plugins and programs
	rows      []row
	providers []provider
}

func measure(ctx context.Context, only string) error {
	dir, err := os.MkdirTemp("", "keyway-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{bin: dir}
	programs := map[string]string{"example": "./sdk/example/plugin", "floor": "./bench/floor", "began": "./bench/began", "keyway": "./host/cmd/keyway"}
	for _, name := range []string{"vault", "local", "aws-sm", "aws-kms", "azure-kv", "gcp-sm", "gcp-kms", "conjur"} {
		programs[name] = "./plugins/" + name
	}
	for name, pkg := range programs {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("building %s: %w", pkg, err)
		}
	}
	for _, p := range []struct {
		name string
		run  func(context.Context) error
	}{{"cache", b.cached}, {"call", b.call}, {"openbao", b.openbao}, {"many", b.many}, {"start", b.start}, {"run", b.run}, {"matrix", b.matrix}} {
		if only != "" && only != p.name {
			continue
		}
		if err := p.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	b.print()
	b.printMatrix()
	return nil
}

// row is one figure beside its floor and goal.
type row struct {
	what, ours, floor, ratio, goal string
	met                            bool
}

func (b *bench) print() {
	if len(b.rows) == 0 {
		return
	}
	const form = "%-58s %14s %14s %8s  %-22s %s\n"
	fmt.Printf(form, "", "Keyway", "floor", "ratio", "goal", "")
	for _, r := range b.rows {
		met := "missed"
		if r.met {
			met = "met"
		}
		fmt.Printf(form, r.what, r.ours, r.floor, r.ratio, r.goal, met)
	}
}

// against adds a row that compares two durations.
func (b *bench) against(what string, ours, floor time.Duration, goal float64) {
	ratio := float64(ours) / float64(floor)
	b.rows = append(b.rows, row{what, ours.Round(100 * time.Nanosecond).String(), floor.Round(100 * time.Nanosecond).String(),
		fmt.Sprintf("%.2f", ratio), fmt.Sprintf("<= %.2f x", goal), ratio <= goal})
}

// within adds a row that compares a duration with a bound.
func (b *bench) within(what string, ours, goal time.Duration) {
	b.rows = append(b.rows, row{what: what, ours: ours.Round(100 * time.Nanosecond).String(), goal: "<= " + goal.String(), met: ours <= goal})
}

// exactly adds a row for a count.
func (b *bench) exactly(what string, ours, goal int64) {
	b.rows = append(b.rows, row{what: what, ours: fmt.Sprint(ours), goal: fmt.Sprint("= ", goal), met: ours == goal})
}

// side is one of the things that are measured side by side.
type side func(ctx context.Context) error

// turns runs the sides in turn, n times each after a tenth of that to warm up, and gives each one's median. Turn by turn,
// what disturbs the machine disturbs all sides.
func turns(ctx context.Context, n int, sides ...side) ([]time.Duration, error) {
	took := make([][]time.Duration, len(sides))
	for i := range n + n/10 + 1 {
		for s, f := range sides {
			began := time.Now()
			if err := f(ctx); err != nil {
				return nil, err
			}
			if d := time.Since(began); i > n/10 {
				took[s] = append(took[s], d)
			}
		}
	}
	medians := make([]time.Duration, len(sides))
	for s := range sides {
		medians[s] = median(took[s])
	}
	return medians, nil
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}
