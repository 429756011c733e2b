// Command probe makes the one attempt that it is told. It exits 0 when that worked, 1 when not, 2 when it was not made.
package main

import (
	"fmt"
	"os"

	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox/internal/attempt"
)

func main() {
	if len(os.Args) != 2 {
		os.Exit(2)
	}
	switch os.Args[1] {
	case attempt.Nothing:
		return
	case attempt.Wait:
		_, _ = os.Stdin.Read(make([]byte, 1))
		return
	case attempt.Traced:
		attempt.BeTraced()
		_, _ = os.Stdin.Read(make([]byte, 1))
		return
	case attempt.Descriptors:
		fmt.Fprint(os.Stderr, attempt.Open())
		os.Exit(1)
	}
	targets, err := attempt.FromEnviron()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, a := range attempt.All() {
		if a.Name != os.Args[1] {
			continue
		}
		if err := a.Do(targets); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	fmt.Fprintf(os.Stderr, "no attempt of %q\n", os.Args)
	os.Exit(2)
}
