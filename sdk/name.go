package sdk

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckName refuses a name that no provider may see: empty, over [MaxName] bytes, not UTF-8, with a control character, or
// with an empty, "." or ".." segment between slashes. The error is InvalidArgument and quotes the name.
func CheckName(name string) error {
	if name == "" {
		return Errorf(InvalidArgument, "name is empty")
	}
	if err := checkText("name", name); err != nil {
		return err
	}
	for seg := range strings.SplitSeq(name, "/") {
		if seg == "" || seg == "." || seg == ".." {
			return Errorf(InvalidArgument, "name %q has the segment %q; no segment between slashes may be empty, \".\" or \"..\"", name, seg)
		}
	}
	return nil
}

// CheckVersion refuses a version or key that no provider may see: over [MaxName] bytes, not UTF-8, or with a control
// character. Empty is fine and means current, or the settings' key.
func CheckVersion(v string) error { return checkText("version", v) }

// CheckPrefix is [CheckVersion] for the prefix of a List.
func CheckPrefix(p string) error { return checkText("prefix", p) }

func checkText(what, s string) error {
	switch {
	case len(s) > MaxName:
		return Errorf(InvalidArgument, "%s of %d bytes is over the limit of %d", what, len(s), MaxName)
	case !utf8.ValidString(s):
		return Errorf(InvalidArgument, "%s %q is not valid UTF-8", what, s)
	case strings.ContainsFunc(s, unicode.IsControl):
		return Errorf(InvalidArgument, "%s %q has a control character", what, s)
	}
	return nil
}

// CheckValue refuses a value of 0 bytes or over [MaxValue]: InvalidArgument.
func CheckValue(v Sensitive) error {
	switch n := v.Len(); {
	case n == 0:
		return Errorf(InvalidArgument, "value is empty; a value has 1 byte to %d", MaxValue)
	case n > MaxValue:
		return Errorf(InvalidArgument, "value of %d bytes is over the limit of %d", n, MaxValue)
	}
	return nil
}
