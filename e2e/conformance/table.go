package conformance

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// Table tells what became of every check with every provider.
type Table struct {
	providers []string
	checks    []string
	cells     map[[2]string]string // by provider and check; "" where there is no result
}

// Load joins the records in a folder. Of several runs of a provider's suite, a failure counts most, and absence least: what
// one store cannot show, another with other settings can.
func Load(dir string, providers []string) (*Table, error) {
	t := &Table{providers: providers, cells: map[[2]string]string{}}
	for _, c := range sdktest.Suite() {
		t.checks = append(t.checks, c.Name)
	}
	for _, p := range providers {
		records, err := read(dir, p)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			for check, got := range r.Checks {
				cell := [2]string{p, check}
				t.cells[cell] = slices.MaxFunc([]string{t.cells[cell], got}, func(a, b string) int { return cmp.Compare(weight(a), weight(b)) })
			}
		}
	}
	return t, nil
}

func weight(status string) int {
	return slices.Index([]string{"", sdktest.Absent.String(), sdktest.Passed.String(), sdktest.Failed.String()}, status)
}

// Print writes a line for each check, and one with the numbers.
func (t *Table) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(first string, cell func(provider string) string) {
		fmt.Fprint(tw, first)
		for _, p := range t.providers {
			fmt.Fprint(tw, "\t", cell(p))
		}
		fmt.Fprintln(tw)
	}
	line("check", func(p string) string { return p })
	for _, c := range t.checks {
		line(c, func(p string) string { return cmp.Or(t.cells[[2]string{p, c}], "no result") })
	}
	for _, s := range []sdktest.Status{sdktest.Passed, sdktest.Absent, sdktest.Failed} {
		line(s.String(), func(p string) string { return fmt.Sprint(t.count(p, s.String())) })
	}
	return tw.Flush()
}

func (t *Table) count(provider, status string) (n int) {
	for _, c := range t.checks {
		if t.cells[[2]string{provider, c}] == status {
			n++
		}
	}
	return n
}

// Err says which providers lack results, or failed. It is nil where every check of each has passed or is absent.
func (t *Table) Err() error {
	var faults []error
	for _, p := range t.providers {
		if n := t.count(p, ""); n > 0 {
			faults = append(faults, fmt.Errorf("%s: %d of %d checks have no result", p, n, len(t.checks)))
		}
		if n := t.count(p, sdktest.Failed.String()); n > 0 {
			faults = append(faults, fmt.Errorf("%s: %d checks failed", p, n))
		}
	}
	return errors.Join(faults...)
}
