package lock

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/plugin/image"
	"github.com/keyway-dev/keyway/host/internal/suggest"
)

// Parse is Load for bytes; path is for messages.
func Parse(path string, data []byte) (*File, error) {
	r := &reader{path: path}
	f := &File{Version: 1, Plugins: map[string]Plugin{}}
	if root := r.root(data); root != nil {
		r.file(root, f)
	}
	if len(r.problems) > 0 {
		return nil, config.NewError(r.problems...)
	}
	return f, nil
}

// reader reads the nodes of a file and notes what is wrong with them.
type reader struct {
	path     string
	problems []config.Problem
}

func (r *reader) fault(n *yaml.Node, at, format string, args ...any) {
	p := config.Problem{File: r.path, Path: at, Message: fmt.Sprintf(format, args...)}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	r.problems = append(r.problems, p)
}

// root gives the file's one mapping.
func (r *reader) root(data []byte) *yaml.Node {
	if len(data) > maxFile || !utf8.Valid(data) {
		r.fault(nil, "", "the file is not UTF-8, or over the limit of 1 MiB")
		return nil
	}
	var docs []yaml.Node
	if err := yaml.Load(data, &docs, yaml.WithAllDocuments()); err != nil {
		r.syntax(err)
		return nil
	}
	if len(docs) != 1 || len(docs[0].Content) == 0 {
		r.fault(nil, "", "it must hold one document with \"version: 1\" and \"plugins\"")
		return nil
	}
	return docs[0].Content[0]
}

func (r *reader) syntax(err error) {
	p := config.Problem{File: r.path, Message: "not valid YAML; look for a quote, bracket, colon or indentation here or just before"}
	var one *yaml.LoadError
	if many := (*yaml.LoadErrors)(nil); errors.As(err, &many) && len(many.Errors) > 0 {
		one = many.Errors[0]
	}
	if one != nil || errors.As(err, &one) {
		p.Line, p.Column = one.Mark.Line, one.Mark.Column
	}
	r.problems = append(r.problems, p)
}

func (r *reader) file(n *yaml.Node, f *File) {
	keys := r.mapping(n, "", "version", "plugins")
	if v := keys["version"]; v.node == nil || v.node.Value != "1" {
		r.fault(or(v.node, n), "version", "must be 1")
	}
	if keys["plugins"].node == nil {
		r.fault(n, "plugins", "is required; {} if there is none")
		return
	}
	for name, v := range r.mapping(keys["plugins"].node, "plugins") {
		at := config.Path("plugins", name)
		if !providerForm.MatchString(name) {
			r.fault(v.key, at, "must be a provider's name")
		}
		f.Plugins[name] = r.plugin(v.node, at)
	}
}

func (r *reader) plugin(n *yaml.Node, at string) Plugin {
	keys := r.mapping(n, at, "use", "stores", "versions")
	p := Plugin{Use: r.text(keys["use"].node, at+".use"), Versions: map[string]Version{}}
	if keys["versions"].node == nil {
		r.fault(n, at+".versions", "is required")
	}
	for number, v := range r.mapping(keys["versions"].node, at+".versions") {
		here := within(at+".versions", number)
		if _, err := semver.StrictNewVersion(number); err != nil {
			r.fault(v.key, here, "must be a version such as 1.2.0")
		}
		p.Versions[number] = r.version(v.node, here)
	}
	r.known(keys["use"].node, at+".use", p.Use, p.Versions)
	for store, v := range r.mapping(keys["stores"].node, at+".stores") {
		if p.Stores == nil {
			p.Stores = map[string]string{}
		}
		here := within(at+".stores", store)
		p.Stores[store] = r.text(v.node, here)
		r.known(v.node, here, p.Stores[store], p.Versions)
	}
	return p
}

// known holds that a version that is used is one of those that are listed.
func (r *reader) known(n *yaml.Node, at, number string, versions map[string]Version) {
	if n == nil || number == "" {
		return
	}
	if _, ok := versions[number]; !ok {
		there := slices.SortedFunc(maps.Keys(versions), compareVersions)
		r.fault(n, at, "version %q is not among its versions%s", number, suggest.Hint(number, there))
	}
}

func (r *reader) version(n *yaml.Node, at string) Version {
	keys := r.mapping(n, at, "digests", "capabilities", "network", "endpoints", "bad")
	v := Version{Digests: map[string]string{}, Network: r.text(keys["network"].node, at+".network"), Bad: r.text(keys["bad"].node, at+".bad"),
		Capabilities: r.list(keys["capabilities"].node, at+".capabilities", capability, "a capability such as get or put.if_version"),
		Endpoints:    r.list(keys["endpoints"].node, at+".endpoints", endpoint, "host:port or *.domain:port")}
	if v.Network != "" && v.Network != Brokered && v.Network != Direct {
		r.fault(keys["network"].node, at+".network", "must be brokered or direct")
	}
	for platform, d := range r.mapping(keys["digests"].node, at+".digests") {
		here := within(at+".digests", platform)
		if !platformForm.MatchString(platform) {
			r.fault(d.key, here, "must be a platform such as linux/amd64")
		}
		text := r.text(d.node, here)
		if _, err := image.ParseDigest(text); err != nil && text != "" {
			r.fault(d.node, here, "%v", err)
		}
		v.Digests[platform] = text
	}
	if len(v.Digests) == 0 && n != nil {
		r.fault(or(keys["digests"].node, n), at+".digests", "needs the digest of at least one platform")
	}
	return v
}

var (
	providerForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	platformForm = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9]+$`)
)

// capability reports whether s can be one of a plugin's words: a later contract may have others than this one, and they do no harm.
func capability(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) })
}

// endpoint reports whether s is "host:port", or "*.domain:port".
func endpoint(s string) bool {
	host, port, err := net.SplitHostPort(s)
	number, perr := strconv.ParseUint(port, 10, 16)
	rest := strings.TrimPrefix(host, "*.")
	return err == nil && perr == nil && number > 0 && rest != "" && !strings.ContainsAny(rest, "*/@ ")
}

// entry is one key of a mapping.
type entry struct{ key, node *yaml.Node }

// mapping gives the entries of a mapping by their keys: nothing for none at all. With known keys, others are at fault.
func (r *reader) mapping(n *yaml.Node, at string, known ...string) map[string]entry {
	out := map[string]entry{}
	if n == nil {
		return out
	}
	if n.Kind != yaml.MappingNode {
		r.fault(n, at, "must be a mapping of names to values")
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch earlier, doubled := out[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.Value == "":
			r.fault(key, at, "must have texts as keys")
		case doubled:
			r.fault(key, within(at, key.Value), "is set twice; the first is in line %d", earlier.key.Line)
		case len(known) > 0 && !slices.Contains(known, key.Value):
			r.fault(key, within(at, key.Value), "unknown key%s; the keys here are %s", suggest.Hint(key.Value, known), strings.Join(known, ", "))
		default:
			out[key.Value] = entry{key, n.Content[i+1]}
		}
	}
	return out
}

// text gives a text that is not empty, or "" for none.
func (r *reader) text(n *yaml.Node, at string) string {
	switch {
	case n == nil:
		return ""
	case n.Kind != yaml.ScalarNode || n.Value == "" || n.ShortTag() == "!!null":
		r.fault(n, at, "must be a text")
		return ""
	}
	return n.Value
}

func (r *reader) list(n *yaml.Node, at string, fits func(string) bool, form string) []string {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.fault(n, at, "must be a list")
		return nil
	}
	var out []string
	for i, x := range n.Content {
		here := within(at, strconv.Itoa(i))
		text := r.text(x, here)
		if text != "" && !fits(text) {
			r.fault(x, here, "must be %s", form)
		}
		out = append(out, text)
	}
	return out
}

// within is the path of a key below another path.
func within(at, key string) string {
	const parent = "_"
	return strings.TrimPrefix(at+strings.TrimPrefix(config.Path(parent, key), parent), ".")
}

func or(n, other *yaml.Node) *yaml.Node {
	if n != nil {
		return n
	}
	return other
}

// compareVersions sorts versions by their meaning, and others behind.
func compareVersions(a, b string) int {
	va, erra := semver.StrictNewVersion(a)
	vb, errb := semver.StrictNewVersion(b)
	if erra != nil || errb != nil {
		return strings.Compare(a, b)
	}
	if n := va.Compare(vb); n != 0 {
		return n
	}
	return strings.Compare(a, b) // they differ in their build
}

// quoted is a text as YAML: as it is where nothing could be mistaken, else in double quotes.
func quoted(s string) string {
	if plainForm.MatchString(s) && !ambiguous(s) {
		return s
	}
	return strconv.QuoteToGraphic(s)
}

// plainForm leaves out what YAML gives a meaning, and whatever begins like a number but versions, which have two dots.
var plainForm = regexp.MustCompile(`^([a-z][a-z0-9_./-]*|[0-9]+\.[0-9]+\.[0-9]+)$`)

func ambiguous(s string) bool {
	return slices.Contains([]string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}, s)
}
