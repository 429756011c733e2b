package litellm

import "strings"

// closest gives `; did you mean "x"?` for the word that a mistyped one was probably meant to be, or nothing.
func closest(typed string, words []string) string {
	best, least := "", 3
	for _, w := range words {
		if d := distance(strings.ToLower(typed), w); d < least && d*2 < len(typed) {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return `; did you mean "` + best + `"?`
}

// distance counts the letters to insert, remove or replace that make a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
