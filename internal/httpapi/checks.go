package httpapi

import (
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"regexp/syntax"
	"strconv"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
)

// checks are what the spec says of an operation's parameters, compiled once: they recognize what is
// certainly as described. Whatever they are not sure of, a refusal included, is for openapi3filter to
// decide, so the spec stays the only place that says what is taken; TestChecks holds that nothing passes
// here which does not pass there. That one interprets the schemas anew for each request, at eight times
// the cost.
type checks []check

// check is what is known of one parameter.
type check struct {
	name     string
	in       string
	required bool
	repeats  bool
	most     int               // values, where it repeats
	text     func(string) bool // whether one value is certainly as described
}

// newChecks compiles the parameters; ok is false if one of them says more than is understood here.
func newChecks(parameters openapi3.Parameters) (all checks, ok bool) {
	for _, p := range parameters {
		c, ok := newCheck(p.Value)
		if !ok {
			return nil, false
		}
		all = append(all, c)
	}
	return all, true
}

func newCheck(p *openapi3.Parameter) (check, bool) {
	c := check{name: p.Name, in: p.In, required: p.Required}
	exploded := p.In == openapi3.ParameterInQuery && p.Style == "form" && p.Explode != nil && *p.Explode
	plain := p.Style == "" && p.Explode == nil
	if p.In == openapi3.ParameterInHeader {
		c.name = http.CanonicalHeaderKey(p.Name)
	}
	// What is left out is documentation, or is asked for below; one more keyword, and all is different.
	understood := &openapi3.Parameter{
		Extensions: p.Extensions, Origin: p.Origin, Name: p.Name, In: p.In, Description: p.Description, Style: p.Style,
		Explode: p.Explode, AllowEmptyValue: p.AllowEmptyValue, Required: p.Required, Deprecated: p.Deprecated,
		Schema: p.Schema, Example: p.Example, Examples: p.Examples,
	}
	if !plain && !exploded || p.Schema == nil || !reflect.DeepEqual(understood, p) {
		return check{}, false
	}
	schema := p.Schema.Value
	if schema.Type.Is(openapi3.TypeArray) {
		understood := &openapi3.Schema{
			Extensions: schema.Extensions, Origin: schema.Origin, Type: schema.Type, Description: schema.Description,
			MaxItems: schema.MaxItems, Items: schema.Items, Example: schema.Example,
		}
		if !exploded || schema.Items == nil || schema.MaxItems == nil || !reflect.DeepEqual(understood, schema) {
			return check{}, false
		}
		c.repeats, c.most = true, int(*schema.MaxItems) //nolint:gosec // the spec is ours
		schema = schema.Items.Value
	}
	c.text = compileText(schema)
	return c, c.text != nil
}

// compileText compiles the schema of a string or an integer; nil is any other.
func compileText(s *openapi3.Schema) func(string) bool {
	understood := &openapi3.Schema{
		Extensions: s.Extensions, Origin: s.Origin, Type: s.Type, Description: s.Description, Example: s.Example, Default: s.Default,
		Enum: s.Enum, MinLength: s.MinLength, MaxLength: s.MaxLength, Pattern: s.Pattern, Min: s.Min, Max: s.Max,
	}
	if !reflect.DeepEqual(understood, s) {
		return nil
	}
	switch {
	case s.Type.Is(openapi3.TypeInteger) && len(s.Enum) == 0 && s.Pattern == "" && s.MinLength == 0 && s.MaxLength == nil:
		return integerWithin(s.Min, s.Max)
	case s.Type.Is(openapi3.TypeString) && s.Min == nil && s.Max == nil && s.MinLength <= 1:
		return textOf(s)
	default:
		return nil
	}
}

// integerWithin takes short numbers in their plainest form.
func integerWithin(least, most *float64) func(string) bool {
	return func(text string) bool {
		n, err := strconv.Atoi(text)
		return err == nil && len(text) <= 9 && strconv.Itoa(n) == text &&
			(least == nil || float64(n) >= *least) && (most == nil || float64(n) <= *most)
	}
}

func textOf(s *openapi3.Schema) func(string) bool {
	words := map[string]bool{}
	for _, word := range s.Enum {
		text, ok := word.(string)
		if !ok {
			return nil
		}
		words[text] = true
	}
	matches := func(string) bool { return true }
	if s.Pattern != "" {
		if matches = compilePattern(s.Pattern); matches == nil {
			return nil
		}
	}
	return func(text string) bool {
		// Characters are at most as many as bytes.
		return text != "" && (s.MaxLength == nil || uint64(len(text)) <= *s.MaxLength) &&
			(len(words) == 0 || words[text]) && matches(text)
	}
}

// compilePattern compiles a pattern: to a table where it is `^[…]+$` of ASCII, which most are and which a
// regular expression takes twenty times as long for.
func compilePattern(pattern string) func(string) bool {
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil // such as one of ECMA's that Go does not have
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	class, ok := oneClass(parsed.Simplify())
	if !ok {
		return compiled.MatchString
	}
	return func(text string) bool {
		for i := range len(text) {
			if c := text[i]; c >= utf8.RuneSelf || !class[c] {
				return false
			}
		}
		return text != ""
	}
}

// oneClass reads `^[…]+$`.
func oneClass(re *syntax.Regexp) (class [utf8.RuneSelf]bool, ok bool) {
	if re.Op != syntax.OpConcat || len(re.Sub) != 3 || re.Sub[0].Op != syntax.OpBeginText ||
		re.Sub[1].Op != syntax.OpPlus || re.Sub[2].Op != syntax.OpEndText {
		return class, false
	}
	set := re.Sub[1].Sub[0]
	if set.Op != syntax.OpCharClass || set.Flags&syntax.FoldCase != 0 {
		return class, false
	}
	for i := 0; i < len(set.Rune); i += 2 {
		if set.Rune[i+1] >= utf8.RuneSelf {
			return class, false
		}
		for r := set.Rune[i]; r <= set.Rune[i+1]; r++ {
			class[r] = true
		}
	}
	return class, true
}

// sure tells whether a request's parameters are certainly as described. Their names have been looked at.
func (all checks) sure(header http.Header, path func(name string) string, values url.Values) bool {
	for i := range all {
		if !all[i].sure(header, path, values) {
			return false
		}
	}
	return true
}

func (c *check) sure(header http.Header, path func(name string) string, values url.Values) bool {
	var given []string
	switch c.in {
	case openapi3.ParameterInQuery:
		given = values[c.name]
	case openapi3.ParameterInHeader:
		given = header[c.name]
	case openapi3.ParameterInPath:
		return c.text(path(c.name))
	default:
		return false
	}
	if len(given) == 0 {
		return !c.required
	}
	if len(given) > 1 && (!c.repeats || len(given) > c.most) {
		return false
	}
	for _, text := range given {
		if !c.text(text) {
			return false
		}
	}
	return true
}
