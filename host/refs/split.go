package refs

import (
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// Part is a piece of a text: either literal Text, or a reference.
type Part struct {
	Text string
	Ref  *Ref // nil for literal text
}

// Split takes a text apart into literals and references. A text that [Is] a reference is one part. Elsewhere a reference
// stands in ${…} and ends at the first "}" (which a name writes %7D). A "${" that no reference follows is literal, so that
// ${HOME} passes; "$${" is a literal "${", so that ${secret://…} can be written too. An empty text has no parts. The error
// is InvalidArgument: a reference that does not parse, or has no "}".
func Split(text string) ([]Part, error) {
	if Is(text) {
		r, err := Parse(text)
		if err != nil {
			return nil, err
		}
		return []Part{{Ref: &r}}, nil
	}
	var parts []Part
	var literal strings.Builder
	for text != "" {
		i := strings.Index(text, "${")
		if i < 0 {
			literal.WriteString(text)
			break
		}
		if i > 0 && text[i-1] == '$' {
			literal.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		literal.WriteString(text[:i])
		text = text[i+2:]
		if !Is(text) {
			literal.WriteString("${")
			continue
		}
		inner, rest, closed := strings.Cut(text, "}")
		if !closed {
			return nil, sdk.Errorf(sdk.InvalidArgument, "split text: no \"}\" ends \"${%s\"", prefixes[kindOf(text)])
		}
		r, err := Parse(inner)
		if err != nil {
			return nil, err
		}
		if literal.Len() > 0 {
			parts = append(parts, Part{Text: literal.String()})
			literal.Reset()
		}
		parts, text = append(parts, Part{Ref: &r}), rest
	}
	if literal.Len() > 0 {
		parts = append(parts, Part{Text: literal.String()})
	}
	return parts, nil
}
