package sdk_test

import (
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestCheckNameKnowsWhatABackendMaySee(t *testing.T) {
	long := strings.Repeat("n", sdk.MaxName)
	good := []string{"a", "a/b/c", "..a", "a..b", "a.", ".a", "...", "a b", "ключ", "a%2Fb", `a\b`, "a?b#c", "-a", "$(x)", "{{x}}", long}
	for _, n := range good {
		if err := sdk.CheckName(n); err != nil {
			t.Errorf("CheckName(%q): %v", n, err)
		}
	}
	bad := map[string]string{"": "empty", "/": "segment", "/a": "segment", "a/": "segment", "a//b": "segment", ".": "segment", "..": "segment", "a/./b": "segment", "a/../b": "segment",
		"../a": "segment", "a/..": "segment", "a\x00": "control", "a\nb": "control", "a\x7f": "control", "a\u0085b": "control", "a\xff": "UTF-8", "\xed\xa0\x80": "UTF-8", long + "n": "1024"}
	for n, says := range bad {
		if err := sdk.CheckName(n); sdk.CodeOf(err) != sdk.InvalidArgument || !strings.Contains(err.Error(), says) {
			t.Errorf("CheckName(%q): %v, want invalid argument that says %q", n, err, says)
		}
	}
}

func TestVersionsAndPrefixesAreText(t *testing.T) {
	long := strings.Repeat("v", sdk.MaxName+1)
	for what, check := range map[string]func(string) error{"version": sdk.CheckVersion, "prefix": sdk.CheckPrefix} {
		for _, s := range []string{"", "a", "a//", "../", "AWSPREVIOUS"} {
			if err := check(s); err != nil {
				t.Errorf("%s %q: %v", what, s, err)
			}
		}
		for _, s := range []string{"\n", "\xff", long} {
			if err := check(s); sdk.CodeOf(err) != sdk.InvalidArgument || !strings.Contains(err.Error(), what) {
				t.Errorf("%s %q: %v, want invalid argument", what, s, err)
			}
		}
	}
}

func TestValuesAreOneByteToOneMebibyte(t *testing.T) {
	for n, want := range map[int]sdk.Code{0: sdk.InvalidArgument, 1: sdk.OK, sdk.MaxValue: sdk.OK, sdk.MaxValue + 1: sdk.InvalidArgument} {
		if err := sdk.CheckValue(sdk.NewSensitive(make([]byte, n))); sdk.CodeOf(err) != want {
			t.Errorf("a value of %d bytes: %v, want %v", n, err, want)
		}
	}
}
