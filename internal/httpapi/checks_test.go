package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"pgregory.net/rapid"
)

// values are texts for a parameter: as the schema wants them, nearly so, and not at all.
func valuesOf(s *openapi3.Schema) *rapid.Generator[string] {
	all := []*rapid.Generator[string]{rapid.String(), rapid.StringMatching(`[0-9A-Za-z:.+ -]{0,70}`), rapid.Just("")}
	if s.Pattern != "" {
		all = append(all, rapid.StringMatching(s.Pattern), rapid.StringMatching(strings.TrimRight(s.Pattern, "$")))
	}
	for _, word := range s.Enum {
		all = append(all, rapid.Just(fmt.Sprint(word)), rapid.Just(strings.ToUpper(fmt.Sprint(word))))
	}
	if s.Type.Is(openapi3.TypeInteger) {
		all = append(all, rapid.StringMatching(`-?[0-9]{1,21}`), rapid.SampledFrom([]string{"1", "0", "+1", "01", "1.0", "1e3", " 1", "0x1", "1_0"}))
	}
	if s.MaxLength != nil && *s.MaxLength <= 4096 {
		n := int(*s.MaxLength)
		all = append(all, rapid.SampledFrom([]string{strings.Repeat("a", n), strings.Repeat("a", n+1), strings.Repeat("é", n), strings.Repeat("1", n+1)}))
	}
	return rapid.OneOf(all...)
}

// TestChecks guarantees that nothing passes the compiled checks which the spec itself, as openapi3filter
// reads it, would refuse, for whatever values of every operation's parameters.
func TestChecks(t *testing.T) {
	t.Parallel()
	prepared, err := newContract(freshSpec(t))
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(method, path string, item *openapi3.PathItem, op *openapi3.Operation) {
		o := prepared[method+" "+echoPath(path)]
		if o.body == bodyJSON {
			return // its body is for openapi3filter
		}
		if o.checks == nil {
			t.Errorf("%s %s: a parameter's schema says what the checks don't know", method, path)
			return
		}
		for _, p := range item.Parameters {
			if o.route.Operation.Parameters.GetByInAndName(p.Value.In, p.Value.Name) != nil {
				t.Errorf("%s %s: %s is the path's and the operation's", method, path, p.Value.Name)
			}
		}
		for i, p := range append(slices.Clone(item.Parameters), o.route.Operation.Parameters...) {
			t.Run(op.OperationID+"/"+p.Value.Name, func(t *testing.T) { checkAgrees(t, o, &o.checks[i], p.Value) })
		}
	})
}

// checkAgrees draws values of one parameter, and holds that none passes the check alone.
func checkAgrees(t *testing.T, o *operation, c *check, p *openapi3.Parameter) {
	schema, most := p.Schema.Value, 1
	if schema.Type.Is(openapi3.TypeArray) {
		schema, most = schema.Items.Value, c.most+1
	}
	passed := 0
	rapid.Check(t, func(t *rapid.T) {
		header, inPath, values := http.Header{}, map[string]string{}, url.Values{}
		draw := func() string { return valuesOf(schema).Draw(t, p.Name) }
		switch p.In {
		case openapi3.ParameterInPath:
			inPath[p.Name] = draw()
		case openapi3.ParameterInHeader:
			header.Set(p.Name, draw())
		default:
			for range rapid.SampledFrom([]int{0, 1, 1, 1, most}).Draw(t, "how many") {
				values.Add(p.Name, draw())
			}
		}
		if !c.sure(header, func(name string) string { return inPath[name] }, values) {
			return
		}
		passed++
		r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
		r.Header = header
		err := openapi3filter.ValidateParameter(t.Context(), &openapi3filter.RequestValidationInput{
			Request: r, PathParams: inPath, QueryParams: values, Route: o.route, Options: validation,
		}, p)
		if err != nil {
			t.Fatalf("%v %v %v passed the check: %v", header, inPath, values, err)
		}
	})
	if passed == 0 {
		t.Error("nothing passed the check")
	}
}

// TestChecksKnowTheSamples guarantees that honest requests take the fast way: every parameter's example.
func TestChecksKnowTheSamples(t *testing.T) {
	t.Parallel()
	prepared, err := newContract(freshSpec(t))
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(method, path string, item *openapi3.PathItem, op *openapi3.Operation) {
		for _, c := range prepared[method+" "+echoPath(path)].checks {
			for _, p := range parametersOf(item, op) {
				if p.Value.In != c.in || !strings.EqualFold(p.Value.Name, c.name) {
					continue
				}
				examples, repeated := p.Value.Example.([]any)
				if !repeated {
					examples = []any{p.Value.Example}
				}
				for _, example := range examples {
					if !c.text(fmt.Sprint(example)) {
						t.Errorf("%s %s: %s: the checks don't know %q", method, path, c.name, example)
					}
				}
			}
		}
	})
}

// TestChecksUnderstandAllOrNothing guarantees that a schema with a keyword which the checks don't know is
// left to openapi3filter.
func TestChecksUnderstandAllOrNothing(t *testing.T) {
	t.Parallel()
	one, two := 1.0, uint64(2)
	for name, p := range map[string]*openapi3.Parameter{
		"format":         {In: "query", Schema: openapi3.NewStringSchema().WithFormat("date-time").NewRef()},
		"nullable":       {In: "query", Schema: openapi3.NewStringSchema().WithNullable().NewRef()},
		"multiple of":    {In: "query", Schema: (&openapi3.Schema{Type: &openapi3.Types{"integer"}, MultipleOf: &one}).NewRef()},
		"any of":         {In: "query", Schema: openapi3.NewAnyOfSchema(openapi3.NewStringSchema()).NewRef()},
		"two characters": {In: "query", Schema: openapi3.NewStringSchema().WithMinLength(2).NewRef()},
		"a number":       {In: "query", Schema: openapi3.NewFloat64Schema().NewRef()},
		"unique":         {In: "query", Style: "form", Explode: openapi3.Ptr(true), Schema: (&openapi3.Schema{Type: &openapi3.Types{"array"}, Items: openapi3.NewStringSchema().NewRef(), MaxItems: &two, UniqueItems: true}).NewRef()},
		"joined":         {In: "query", Schema: (&openapi3.Schema{Type: &openapi3.Types{"array"}, Items: openapi3.NewStringSchema().NewRef(), MaxItems: &two}).NewRef()},
		"content":        {In: "query", Content: openapi3.NewContentWithJSONSchema(openapi3.NewStringSchema())},
		"no schema":      {In: "query"},
		"ECMA's":         {In: "query", Schema: openapi3.NewStringSchema().WithPattern(`(?!a)`).NewRef()},
	} {
		p.Name = "p"
		if _, ok := newChecks(openapi3.Parameters{{Value: p}}); ok {
			t.Errorf("%s: compiled", name)
		}
	}
}

// BenchmarkValidate sets the checks beside the schemas that they are compiled from.
func BenchmarkValidate(b *testing.B) {
	spec, err := theSpec()
	if err != nil {
		b.Fatal(err)
	}
	prepared, err := newContract(spec)
	if err != nil {
		b.Fatal(err)
	}
	o := prepared["GET /loki/api/v1/query_range"]
	r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
	values := url.Values{
		"query": {`sum by (level) (rate({app="checkout"} |= "error" [5m]))`}, "limit": {"1000"}, "direction": {"backward"},
		"start": {"1795441600000000000"}, "end": {"1795445200000000000"}, "step": {"15s"},
	}
	b.Run("compiled", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !o.checks.sure(r.Header, func(string) string { return "" }, values) {
				b.Fatal("not sure")
			}
		}
	})
	b.Run("interpreted", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := o.validate(b.Context(), r, nil, values); err != nil {
				b.Fatal(err)
			}
		}
	})
}
