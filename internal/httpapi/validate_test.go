package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"pgregory.net/rapid"
)

// TestValidateIsTheSpecs guarantees that a request is valid here if and only if it is to kin-openapi as a whole, which
// looks for each parameter that an operation has.
func TestValidateIsTheSpecs(t *testing.T) {
	t.Parallel()
	spec := freshSpec(t)
	table, err := newOperationTable(spec)
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(method, path string, item *openapi3.PathItem, op *openapi3.Operation) {
		o := table[method+" "+echoPath(path)]
		t.Run(o.id, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				body := ""
				if o.body == bodyJSON {
					body = rapid.SampledFrom([]string{`{}`, `{"query":"{a=\"b\"}"}`, `[]`, ``}).Draw(t, "body")
				}
				h, inPath, values := http.Header{"Content-Type": {"application/json"}}, map[string]string{}, url.Values{}
				for _, p := range parametersOf(item, op) {
					draw(t, p.Value, h, inPath, values)
				}
				request := func() *http.Request { // each validation reads the body
					r := httptest.NewRequest(method, "http://localhost/", strings.NewReader(body))
					r.Header = h
					return r
				}
				err := o.validate(t.Context(), request(), inPath, values)
				want := openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{
					Request: request(), PathParams: inPath, QueryParams: values, Route: o.route, Options: validation,
				})
				if (err == nil) != (want == nil) {
					t.Errorf("%v, want %v; path %v, parameters %v, headers %v, body %s", err, want, inPath, values, h, body)
				}
			})
		})
	})
}

// draw gives a request a parameter, or not.
func draw(t *rapid.T, p *openapi3.Parameter, h http.Header, inPath map[string]string, values url.Values) {
	text := rapid.SampledFrom([]string{"", "1", "-1", "0", "5m", "forward", "acme", "app", "2026-01-31T12:00:00Z", "x y", "\x7f", strings.Repeat("a", 200)})
	given := rapid.SliceOfN(text, 0, 2).Draw(t, p.Name)
	if len(given) == 0 && p.In != openapi3.ParameterInPath {
		return
	}
	switch p.In {
	case openapi3.ParameterInQuery:
		values[p.Name] = given
	case openapi3.ParameterInHeader:
		h[http.CanonicalHeaderKey(p.Name)] = given
	case openapi3.ParameterInPath:
		inPath[p.Name] = strings.Join(given, "")
	}
}
