package refs

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want Ref
	}{
		{"secret://prod/openai", Ref{Kind: Secret, Store: "prod", Name: "openai"}},
		{"secret://prod/llm/openai?version=3#/key", Ref{Kind: Secret, Store: "prod", Name: "llm/openai", Version: "3", Pointer: "/key"}},
		{"secret://prod/a%20b%2Fc%25?version=a%26b#/x%20y/~1z", Ref{Kind: Secret, Store: "prod", Name: "a b/c%", Version: "a&b", Pointer: "/x y/~1z"}},
		{"secret://prod/a%3Fb%23c", Ref{Kind: Secret, Store: "prod", Name: "a?b#c"}},
		{"secret://prod/schlüssel+1", Ref{Kind: Secret, Store: "prod", Name: "schlüssel+1"}},
		{"secret://prod/a?version=x=y", Ref{Kind: Secret, Store: "prod", Name: "a", Version: "x=y"}},
		{"secret://a.b_c-1/n#/", Ref{Kind: Secret, Store: "a.b_c-1", Name: "n", Pointer: "/"}},
		{"secret://prod/arn:aws:secretsmanager:eu-central-1:1:secret:x-AbCdEf", Ref{Kind: Secret, Store: "prod", Name: "arn:aws:secretsmanager:eu-central-1:1:secret:x-AbCdEf"}},
		{"secret://env/OPENAI_API_KEY#/key", Ref{Kind: Secret, Store: "env", Name: "OPENAI_API_KEY", Pointer: "/key"}},
		{"decrypt://kms/AQID_-8", Ref{Kind: Decrypt, Store: "kms", Ciphertext: "\x01\x02\x03\xff\xef"}},
		{"decrypt://kms/AQID_-8=", Ref{Kind: Decrypt, Store: "kms", Ciphertext: "\x01\x02\x03\xff\xef"}},
		{"os.environ/OPENAI_API_KEY", Ref{Kind: Environ, Name: "OPENAI_API_KEY"}},
		{"os.environ/bos.environ/a", Ref{Kind: Environ, Name: "bos.environ/a"}},
		{"oidc/google/https://aud/oidc/x", Ref{Kind: OIDC, Store: "google", Name: "https://aud/oidc/x"}},
		{"oidc/file//var/run/secrets/token", Ref{Kind: OIDC, Store: "file", Name: "/var/run/secrets/token"}},
		{"oidc/circleci_v2/", Ref{Kind: OIDC, Store: "circleci_v2"}},
		{"os.environ/oidc/env/X", Ref{Kind: OIDC, Store: "env", Name: "X"}},
	} {
		got, err := Parse(c.text)
		if err != nil || got != c.want {
			t.Errorf("Parse(%q) = %+v, %v, want %+v", c.text, got, err, c.want)
			continue
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("Parse(%q), the text of %q, = %+v, %v, want %+v", got.String(), c.text, again, err, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	long := strings.Repeat("a", sdk.MaxName+1)
	for _, c := range []struct{ text, reason string }{
		{"secret://prod", "name is empty"},
		{"secret://prod/", "name is empty"},
		{"secret:///x", "store name is empty"},
		{"secret://Prod/x", "store name"},
		{"secret://-p/x", "store name"},
		{"secret://" + strings.Repeat("a", 64) + "/x", "1 to 63"},
		{"secret://prod/../x", `".."`},
		{"secret://prod/a/%2e%2E/x", `".."`},
		{"secret://prod/a%2f..", `".."`},
		{"secret://prod/a//b", `segment ""`},
		{"secret://prod//a", `segment ""`},
		{"secret://prod/./a", `"."`},
		{"secret://prod/a/", `segment ""`},
		{"secret://prod/a%00", "control character"},
		{"secret://prod/a%0A", "control character"},
		{"secret://prod/a\nb", "control character"},
		{"secret://prod/a b", "%20"},
		{"secret://prod/a%ff", "UTF-8"},
		{"secret://prod/a\xff", "UTF-8"},
		{"secret://prod/a%2", "hexadecimal"},
		{"secret://prod/a%zz", "hexadecimal"},
		{"secret://prod/" + long, "1024"},
		{"secret://prod/a?version=" + long, "1024"},
		{"secret://prod/a#/" + long, "1024"},
		{"secret://prod/" + strings.Repeat("a", maxText), "limit"},
		{"secret://prod/a?", `nothing follows "?"`},
		{"secret://prod/a?version=", "version is empty"},
		{"secret://prod/a?version", "version is empty"},
		{"secret://prod/a?ver=1", `"ver" is unknown`},
		{"secret://prod/a?version=1&x=2", "only one parameter"},
		{"secret://prod/a?version=1%00", "control character"},
		{"secret://env/a?version=1", "no versions"},
		{"secret://prod/a#", `begins with "/"`},
		{"secret://prod/a#key", `begins with "/"`},
		{"secret://prod/a#/~2", "~0"},
		{"secret://prod/a#/x~", "~0"},
		{"secret://prod/a#/%00", "control character"},
		{"decrypt://kms", "ciphertext is empty"},
		{"decrypt://kms/", "ciphertext is empty"},
		{"decrypt://kms/a+b/", "base64url"},
		{"decrypt://kms/AQI\n", "base64url"},
		{"decrypt://kms/AQJ#/x", "base64url"},
		{"decrypt://kms/AQF", "base64url"}, // stray bits
		{"decrypt://kms/====", "1 to"},
		{"decrypt://env/AQID", "cannot decrypt"},
		{"decrypt://kms/" + base64.RawURLEncoding.EncodeToString(make([]byte, sdk.MaxValue+1)), "1 to"},
		{"decrypt://kms/" + strings.Repeat("A", 3*sdk.MaxValue), "limit"},
		{"os.environ/", "name is empty"},
		{"os.environ/a/../b", `".."`},
		{"os.environ/A ", "ends with space"},
		{"oidc/google", "second slash"},
		{"oidc//x", "provider"},
		{"oidc/Google/x", "provider"},
		{"oidc/google/ x", "space"},
		{"oidc/google/a\x00", "control character"},
		{"Secret://prod/x", `"secret://" in lower case`},
		{"DECRYPT://prod/x", `"decrypt://" in lower case`},
		{"OS.environ/X", `"os.environ/" in lower case`},
		{" secret://prod/x", "space before"},
		{"secret://prod/x ", "space"},
	} {
		_, err := Parse(c.text)
		var e *sdk.Error
		if !errors.As(err, &e) || e.Code != sdk.InvalidArgument {
			t.Errorf("Parse(%.60q): %v, want InvalidArgument", c.text, err)
			continue
		}
		if !strings.Contains(e.Message, c.reason) || !strings.Contains(e.Message, "; the form is ") {
			t.Errorf("Parse(%.60q): %q, want a reason with %q and the form", c.text, e.Message, c.reason)
		}
		if len(e.Message) > 2000 || strings.ContainsAny(e.Message, "\n\x00") {
			t.Errorf("Parse(%.60q): message of %d bytes, want one short line", c.text, len(e.Message))
		}
	}
}

func TestParseDoesNotQuoteWhatMayBeASecret(t *testing.T) {
	_, err := Parse("sk-canary")
	if sdk.CodeOf(err) != sdk.InvalidArgument || strings.Contains(err.Error(), "canary") {
		t.Errorf("Parse of a literal: %v, want InvalidArgument without the text", err)
	}
}

func TestIs(t *testing.T) {
	for text, want := range map[string]bool{
		"secret://x": true, "decrypt://": true, "os.environ/X": true, "oidc/google/x": true, "SECRET://x": true, "\t secret://x": true,
		"": false, "secret:/x": false, "os.environ": false, "see secret://x": false, "https://x": false,
	} {
		if got := Is(text); got != want {
			t.Errorf("Is(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestReservedNames(t *testing.T) {
	for name, want := range map[string][2]bool{"env": {true, true}, "file": {true, true}, "cred": {true, true}, "oidc": {false, true}, "prod": {}} {
		if got := [2]bool{IsSource(name), IsReserved(name)}; got != want {
			t.Errorf("IsSource, IsReserved(%q) = %v, want %v", name, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"secret://prod/a%20b?version=3#/x/~1", "decrypt://kms/AQID", "os.environ/X", "oidc/google/aud", "os.environ/oidc/env/X", "Secret://x/y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil {
			if sdk.CodeOf(err) != sdk.InvalidArgument {
				t.Fatalf("Parse(%q): %v, want InvalidArgument", text, err)
			}
			return
		}
		if !Is(text) {
			t.Fatalf("Parse takes %q and Is does not", text)
		}
		again, err := Parse(r.String())
		if err != nil || again != r || again.String() != r.String() {
			t.Fatalf("Parse(%q) gave %+v, whose text %q gave %+v, %v", text, r, r.String(), again, err)
		}
		if r.Kind == Secret && sdk.CheckName(r.Name) != nil {
			t.Fatalf("Parse(%q) let the name %q through", text, r.Name)
		}
	})
}
