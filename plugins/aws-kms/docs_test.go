package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestEveryWordOfTheServiceIsOnThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/providers/aws-kms.md")
	if err != nil {
		t.Fatal(err)
	}
	for word, code := range codes {
		row := slices.IndexFunc(strings.Split(string(page), "\n"), func(line string) bool {
			return strings.HasPrefix(line, "|") && strings.Contains(line, strings.TrimSuffix(word, "Exception"))
		})
		if row < 0 {
			t.Errorf("the table of errors does not have %s, which is %v", word, code)
		}
	}
}
