// Package suggest finds the word that a mistyped one was meant to be.
package suggest

import (
	"fmt"
	"strings"
)

// Hint gives `; did you mean "x"?` for the word nearest to a mistyped one, or nothing where none is near: more than two
// letters, or a third of it, away.
func Hint(typed string, words []string) string {
	best, at := "", 0
	for _, w := range words {
		d := distance(strings.ToLower(typed), strings.ToLower(w))
		if best == "" || d < at {
			best, at = w, d
		}
	}
	if best == "" || at >= len(best) || at > max(1, min(2, len(typed)/3)) {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the number of letters to insert, remove, replace or swap with a neighbour that make a into b.
func distance(a, b string) int {
	if len(a) > maxSuggest || len(b) > maxSuggest {
		return maxSuggest
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// maxSuggest bounds the words that are compared, in bytes: no key is longer.
const maxSuggest = 64
