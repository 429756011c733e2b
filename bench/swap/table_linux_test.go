//go:build e2e

package swap

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// table is what was measured.
type table struct{ rows []row }

// row is one figure, beside another one or a goal where it has one.
type row struct{ what, ours, floor, ratio, goal, met string }

func (b *table) print(w io.Writer) {
	const form = "%-56s %12s %12s %6s  %-12s %s\n"
	fmt.Fprintf(w, "\n"+form, "", "measured", "beside", "ratio", "goal", "")
	for _, r := range b.rows {
		fmt.Fprintf(w, form, r.what, r.ours, r.floor, r.ratio, r.goal, r.met)
	}
}

func word(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

// against adds a duration beside another one; a goal of 0 is none.
func (b *table) against(what string, ours, floor time.Duration, goal float64) {
	ratio := float64(ours) / float64(floor)
	r := row{what: what, ours: text(ours), floor: text(floor), ratio: fmt.Sprintf("%.2f", ratio)}
	if goal > 0 {
		r.goal, r.met = fmt.Sprintf("<= %.2f x", goal), word(ratio <= goal)
	}
	b.rows = append(b.rows, r)
}

// within adds a duration that has a bound.
func (b *table) within(what string, ours, goal time.Duration) {
	b.rows = append(b.rows, row{what: what, ours: text(ours), goal: "<= " + goal.String(), met: word(ours <= goal)})
}

// exactly adds a count.
func (b *table) exactly(what string, ours, goal int64) {
	b.rows = append(b.rows, row{what: what, ours: fmt.Sprint(ours), goal: fmt.Sprint("= ", goal), met: word(ours == goal)})
}

// size adds bytes; a floor of 0 is none.
func (b *table) size(what string, ours, floor int64) {
	r := row{what: what, ours: mib(ours)}
	if floor > 0 {
		r.floor, r.ratio = mib(floor), fmt.Sprintf("%.2f", float64(ours)/float64(floor))
	}
	b.rows = append(b.rows, r)
}

func (b *table) plain(what, ours string) { b.rows = append(b.rows, row{what: what, ours: ours}) }

func text(d time.Duration) string { return d.Round(100 * time.Nanosecond).String() }
func mib(n int64) string          { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}
