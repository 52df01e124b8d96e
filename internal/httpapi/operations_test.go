package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

// freshSpec is openapi.yaml, read anew.
func freshSpec(t *testing.T) *openapi3.T {
	t.Helper()
	spec, err := api.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// each calls f for every operation of the spec, in order.
func each(t *testing.T, f func(method, path string, item *openapi3.PathItem, op *openapi3.Operation)) {
	t.Helper()
	paths := freshSpec(t).Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		operations := paths[path].Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			f(method, path, paths[path], operations[method])
		}
	}
}

// parametersOf are the parameters that a request of the operation carries: of the URL, or of the form
// by the GET operation of the same path.
func parametersOf(item *openapi3.PathItem, op *openapi3.Operation) openapi3.Parameters {
	if op.RequestBody != nil && item.Get != nil {
		op = item.Get
	}
	return append(slices.Clone(item.Parameters), op.Parameters...)
}

// logQL tells which parameters carry LogQL, and of which kind.
func logQL(item *openapi3.PathItem, op *openapi3.Operation) map[string]string {
	kinds := map[string]string{}
	for _, p := range parametersOf(item, op) {
		if kind, ok := p.Value.Extensions["x-logfence-logql"].(string); ok {
			kinds[p.Value.Name] = kind
		}
	}
	return kinds
}

// sample is a request of an operation, with a text of LogQL for each parameter that takes one.
func (g *gateway) sample(method, path string, item *openapi3.PathItem, op *openapi3.Operation, text func(kind string) string) *http.Request {
	g.Helper()
	path = strings.NewReplacer("{name}", "app").Replace(path)
	var params []string
	carries := logQL(item, op)
	for name, kind := range carries {
		params = append(params, name, text(kind))
	}
	for _, p := range parametersOf(item, op) {
		if p.Value.Required && p.Value.In == openapi3.ParameterInQuery && carries[p.Value.Name] == "" {
			params = append(params, p.Value.Name, fmt.Sprint(p.Value.Example))
		}
	}
	if op.RequestBody != nil && op.RequestBody.Value.Content.Get("application/json") != nil {
		r := g.request(method, path)
		body := fmt.Sprintf(`{"query":%q}`, text("query"))
		r.Body, r.ContentLength = http.NoBody, int64(len(body))
		r.Body = nopCloser{strings.NewReader(body)}
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	r := g.request(method, path, params...)
	if op.Responses.Value("101") != nil {
		asWebSocket(r)
	}
	return r
}

type nopCloser struct{ *strings.Reader }

func (nopCloser) Close() error { return nil }

// fitting is a text that an operation takes: some take metrics alone, or lines alone.
func fitting(op *openapi3.Operation, selector string) func(string) string {
	return func(kind string) string {
		if kind == "query" && strings.Contains(strings.ToLower(op.OperationID), "instant") || op.OperationID == "lokiQuery" || op.OperationID == "lokiQueryForm" {
			return "count_over_time(" + selector + "[1h])"
		}
		return selector
	}
}

// TestEveryOperationIsConfined is derived from the spec: whatever an operation's parameters request,
// the LogQL that arrives at Loki carries the caller's tenant in each selector, LogQL arrives where a
// rule says so, and nothing of another tenant comes back. An operation without a rule fails.
func TestEveryOperationIsConfined(t *testing.T) {
	t.Parallel()
	each(t, func(method, path string, item *openapi3.PathItem, op *openapi3.Operation) {
		t.Run(op.OperationID, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			fence, _ := op.Extensions["x-logfence-fence"].(string)
			if !slices.Contains(fences, fence) || op.Security == nil || len(*op.Security) == 0 {
				t.Fatalf("x-logfence-fence is %q and security %v", fence, op.Security)
			}
			for _, selector := range []string{`{app=~".+"}`, `{tenant_id="beta"}`, `{tenant_id=~".*"}`, `{tenant_id!="alpha"}`, `{}`} {
				g.loki.Forget()
				a := g.send(alphaToken, g.sample(method, path, item, op, fitting(op, selector)))
				none := op.OperationID == "lokiRules" && a.StatusCode == http.StatusNotFound
				if a.StatusCode != http.StatusOK && a.StatusCode != http.StatusSwitchingProtocols && !none {
					t.Errorf("%s: %d %s", selector, a.StatusCode, a.text)
				}
				if strings.Contains(a.text, "beta") && !strings.Contains(selector, "beta") {
					t.Errorf("%s: another's streams in %s", selector, a.text)
				}
				g.confined(fence, op.OperationID)
			}
			if fence == "selector" { // none at all is not everybody's
				g.loki.Forget()
				a := g.get(alphaToken, strings.ReplaceAll(path, "{name}", "app"))
				if a.StatusCode == http.StatusOK {
					g.confined(fence, op.OperationID)
				}
				if strings.Contains(a.text, "beta") {
					t.Errorf("no selector: another's streams in %s", a.text)
				}
			}
		})
	})
}

// confined looks at what has arrived at Loki.
func (g *gateway) confined(fence, id string) {
	g.Helper()
	requests := g.loki.Requests()
	if id == "lokiDrilldownLimits" { // it also reads Loki's version, of no tenant
		requests = slices.DeleteFunc(requests, func(r lokitest.Request) bool {
			return strings.HasSuffix(r.Path, "/status/buildinfo") && len(r.Params) == 0
		})
	}
	local := id == "explainQuery" || strings.HasPrefix(id, "lokiFormatQuery")
	if local && len(requests) > 0 {
		g.Errorf("Loki got requests: %+v", requests)
	}
	// A tail also requests the lines before it, and context those before and after.
	several := id == "tailLogs" || id == "lokiTail" || id == "getContext"
	if fence != "none" && !local && len(requests) != 1 && (!several || len(requests) == 0) {
		g.Errorf("%d requests to Loki", len(requests))
	}
	for _, r := range requests {
		if fence == "none" {
			continue
		}
		found := 0
		for name, values := range r.Params {
			if name != "query" && name != "match[]" {
				continue
			}
			for _, value := range values {
				found++
				if n := strings.Count(value, "{"); n == 0 || strings.Count(value, `{tenant_id="alpha"`) != n {
					g.Errorf("%s=%s arrived at %s", name, value, r.Path)
				}
			}
		}
		if found == 0 {
			g.Errorf("no LogQL arrived at %s: %v", r.Path, r.Params)
		}
	}
}

// TestFormsAreTheirGET guarantees that a form has exactly the parameters of the GET operation, whose
// binding and validation it shares.
func TestFormsAreTheirGET(t *testing.T) {
	t.Parallel()
	each(t, func(_, path string, item *openapi3.PathItem, op *openapi3.Operation) {
		if op.RequestBody == nil || op.RequestBody.Value.Content.Get("application/x-www-form-urlencoded") == nil {
			return
		}
		form := op.RequestBody.Value.Content.Get("application/x-www-form-urlencoded").Schema.Value
		if form.AdditionalProperties.Has == nil || *form.AdditionalProperties.Has {
			t.Errorf("%s: the form takes properties that are not described", path)
		}
		var names []string
		for _, p := range parametersOf(item, op) {
			if p.Value.In != openapi3.ParameterInQuery {
				continue
			}
			names = append(names, p.Value.Name)
			property := form.Properties[p.Value.Name]
			if property == nil {
				t.Errorf("%s: the form lacks %s", path, p.Value.Name)
				continue
			}
			a, b := p.Value.Schema.Value, property.Value
			if !slices.Equal(a.Type.Slice(), b.Type.Slice()) || a.Pattern != b.Pattern || fmt.Sprint(a.Enum) != fmt.Sprint(b.Enum) || a.MinLength != b.MinLength {
				t.Errorf("%s: %s is not the same in URL and form", path, p.Value.Name)
			}
			if p.Value.Required != slices.Contains(form.Required, p.Value.Name) {
				t.Errorf("%s: %s is not required in both", path, p.Value.Name)
			}
			if p.Value.Extensions["x-logfence-logql"] != property.Value.Extensions["x-logfence-logql"] && property.Extensions["x-logfence-logql"] == nil {
				t.Errorf("%s: %s carries LogQL in one of URL and form", path, p.Value.Name)
			}
		}
		if len(names) != len(form.Properties) {
			t.Errorf("%s: the form has %d properties, the URL %d parameters", path, len(form.Properties), len(names))
		}
	})
}

// TestContractRefusesOpenOperations guarantees that an operation cannot be served unconfined by
// forgetting to say how it is confined, or who may call it.
func TestContractRefusesOpenOperations(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*openapi3.Operation){
		"no fence":      func(op *openapi3.Operation) { delete(op.Extensions, "x-logfence-fence") },
		"unknown fence": func(op *openapi3.Operation) { op.Extensions["x-logfence-fence"] = "some" },
		"no security":   func(op *openapi3.Operation) { op.Security = nil },
		"open security": func(op *openapi3.Operation) { op.Security = &openapi3.SecurityRequirements{} },
		"no id":         func(op *openapi3.Operation) { op.OperationID = "" },
	} {
		spec := freshSpec(t)
		if _, err := newOperationTable(spec); err != nil {
			t.Fatal(err)
		}
		spoil(spec.Paths.Value("/api/v1/logs/labels").Get)
		if _, err := newOperationTable(spec); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// statuses are ways to meet each status that an operation may declare.
var statuses = map[int]func(g *gateway, r *http.Request) apiResponse{
	http.StatusOK:                 func(g *gateway, r *http.Request) apiResponse { return g.send(alphaToken, r) },
	http.StatusSwitchingProtocols: func(g *gateway, r *http.Request) apiResponse { return g.send(alphaToken, r) },
	http.StatusUpgradeRequired: func(g *gateway, r *http.Request) apiResponse {
		r.Header.Del("Upgrade")
		return g.send(alphaToken, r)
	},
	http.StatusBadRequest: func(g *gateway, r *http.Request) apiResponse {
		r.URL.RawQuery = "limit=1;limit=2" // which some servers take for two parameters
		return g.send(alphaToken, r)
	},
	http.StatusUnauthorized: func(g *gateway, r *http.Request) apiResponse { return g.send("nobody-knows-me", r) },
	http.StatusForbidden:    func(g *gateway, r *http.Request) apiResponse { return g.send("of-nobody", r) },
	http.StatusRequestEntityTooLarge: func(g *gateway, r *http.Request) apiResponse {
		big := strings.NewReader("query=" + strings.Repeat("x", DefaultMaxBody))
		r.Body, r.ContentLength = nopCloser{big}, int64(big.Len())
		return g.send(alphaToken, r)
	},
	http.StatusNotAcceptable: func(g *gateway, r *http.Request) apiResponse {
		r.Header.Set("Accept", "text/html")
		return g.send(alphaToken, r)
	},
	http.StatusUnsupportedMediaType: func(g *gateway, r *http.Request) apiResponse {
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		return g.send(alphaToken, r)
	},
	http.StatusTooManyRequests: func(g *gateway, r *http.Request) apiResponse {
		g.exhaust("alpha")
		return g.send(alphaToken, r)
	},
	http.StatusInternalServerError: func(g *gateway, r *http.Request) apiResponse { return g.send("of-a-fault", r) },
	http.StatusBadGateway: func(g *gateway, r *http.Request) apiResponse {
		g.loki.Close()
		return g.send(alphaToken, r)
	},
	http.StatusServiceUnavailable: func(g *gateway, r *http.Request) apiResponse { return g.send("of-no-keys", r) },
	http.StatusNotFound:           featureOff,
	http.StatusNotImplemented:     featureOff,
	http.StatusGatewayTimeout: func(g *gateway, r *http.Request) apiResponse {
		g.loki.Instead(lokitest.Fail(http.StatusGatewayTimeout, "context deadline exceeded"))
		return g.send(alphaToken, r)
	},
}

// featureOff sends a request to a Loki that has the feature turned off.
func featureOff(g *gateway, r *http.Request) apiResponse {
	g.loki.Instead(lokitest.Fail(http.StatusNotFound, "not found"))
	return g.send(alphaToken, r)
}

// TestEveryDeclaredStatus guarantees that every status which an operation declares is met, as declared:
// the response was validated against the spec as one of this operation, and not skipped.
func TestEveryDeclaredStatus(t *testing.T) {
	t.Parallel()
	each(t, func(method, path string, item *openapi3.PathItem, op *openapi3.Operation) {
		for declared := range op.Responses.Map() {
			t.Run(op.OperationID+"/"+declared, func(t *testing.T) {
				t.Parallel()
				var status int
				if _, err := fmt.Sscan(declared, &status); err != nil {
					t.Fatal(err)
				}
				g := newGateway(t)
				var a apiResponse
				if status == http.StatusUnprocessableEntity {
					a = g.beyondLimits(method, path, item, op)
				} else {
					meet, ok := statuses[status]
					if !ok {
						t.Fatalf("no way is known to meet %d", status)
					}
					a = meet(g, g.sample(method, path, item, op, fitting(op, `{app="api"}`)))
				}
				if a.StatusCode != status || a.err != nil {
					t.Errorf("%d %s, %v, want %d", a.StatusCode, a.text, a.err, status)
				}
				if _, ok := g.held.Load(metAs(op, status)); !ok {
					t.Error("the response was not validated against the spec")
				}
				for _, name := range []string{"127.0.0.1", "goroutine", "token-of", "10.0.0.1"} {
					if strings.Contains(a.text, name) && status != http.StatusOK {
						t.Errorf("the response names %q: %s", name, a.text)
					}
				}
			})
		}
	})
}

// beyondLimits sends a text that is too long, or where there is none, a span that is too wide.
func (g *gateway) beyondLimits(method, path string, item *openapi3.PathItem, op *openapi3.Operation) apiResponse {
	g.Helper()
	long := func(string) string { return `{app="` + strings.Repeat("x", 17<<10) + `"}` }
	return g.send(alphaToken, g.sample(method, path, item, op, long))
}

// TestUnknownIsRefused guarantees that what the spec doesn't describe is not there.
func TestUnknownIsRefused(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{http.MethodGet, "/api/v1/logs", 404, "not_found"},
		{http.MethodGet, "/api/v1/logs/", 404, "not_found"},
		{http.MethodGet, "/api/v1/logs/query/", 404, "not_found"},
		{http.MethodGet, "/api/v1/logs//query", 404, "not_found"},
		{http.MethodGet, "/api/v1/logs/./query", 404, "not_found"},
		{http.MethodGet, "/api/v1/x/../logs/query", 404, "not_found"},
		{http.MethodGet, "/API/v1/logs/query", 404, "not_found"},
		{http.MethodGet, "/api/v1/logs/Query", 404, "not_found"},
		{http.MethodGet, "/api/v1/logs%2Fquery", 404, "not_found"},
		{http.MethodGet, "/api/v1/logs/%71uery", 404, "not_found"},
		{http.MethodGet, "/api/v1/logs/labels/a%2Fb/values", 404, "not_found"},
		{http.MethodGet, "/api/v1/logs/labels/../series", 404, "not_found"},
		{http.MethodGet, "/api/v1/logs/labels/%2e%2e/values", 404, "not_found"},
		{http.MethodGet, "/api/v1/logs/labels//values", 404, "not_found"},
		{http.MethodGet, "/healthz", 404, "not_found"},
		{http.MethodGet, "/metrics", 404, "not_found"},
		{http.MethodGet, "/config", 404, "not_found"},
		{http.MethodPost, "/flush", 404, "not_found"},
		{http.MethodPost, "/loki/api/v1/push", 404, ""},
		{http.MethodPost, "/loki/api/v1/delete", 404, ""},
		{http.MethodGet, "/loki/api/v1/rules/x", 404, ""},
		{http.MethodGet, "/loki/api/v1/index/shards", 404, ""},
		{http.MethodGet, "/otlp/v1/logs", 404, "not_found"},
		{http.MethodPost, "/api/v1/logs/labels", 405, "method_not_allowed"},
		{http.MethodPut, "/api/v1/logs/query", 405, "method_not_allowed"},
		{http.MethodDelete, "/api/v1/logs/series", 405, "method_not_allowed"},
		{http.MethodHead, "/api/v1/logs/query", 405, ""},
		{http.MethodOptions, "/api/v1/logs/query", 405, "method_not_allowed"},
		{"QUERY", "/api/v1/logs/query", 405, "method_not_allowed"},
	} {
		a := g.send(alphaToken, g.request(tt.method, tt.path))
		if a.StatusCode != tt.status || tt.code != "" && !strings.Contains(a.text, `"code":"`+tt.code+`"`) {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, a.StatusCode, a.text, tt.status, tt.code)
		}
		if tt.status == 405 && a.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", tt.method, tt.path)
		}
	}
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests arrived at Loki", n)
	}
}

// TestCompatOff guarantees that Loki's own paths are not there when they are turned off.
func TestCompatOff(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *Config, _ *loki.Config) { c.Compat = false })
	if a := g.get(alphaToken, "/loki/api/v1/labels"); a.StatusCode != http.StatusNotFound {
		t.Errorf("/loki/api/v1/labels: %d", a.StatusCode)
	}
	if a := g.get(alphaToken, "/api/v1/logs/labels"); a.StatusCode != http.StatusOK {
		t.Errorf("/api/v1/logs/labels: %d", a.StatusCode)
	}
}

// TestOneMeaning guarantees that a request which two readers could understand differently is refused,
// and never arrives at Loki.
func TestOneMeaning(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	const path = "/api/v1/logs/query"
	get := func(rawQuery string) func() *http.Request {
		return func() *http.Request {
			r := g.request(http.MethodGet, path)
			r.URL.RawQuery = rawQuery
			return r
		}
	}
	post := func(rawQuery, contentType, body string) func() *http.Request {
		return func() *http.Request {
			r := g.request(http.MethodPost, path)
			r.URL.RawQuery = rawQuery
			r.Header.Set("Content-Type", contentType)
			r.Body, r.ContentLength = nopCloser{strings.NewReader(body)}, int64(len(body))
			return r
		}
	}
	with := func(header, value string) func() *http.Request {
		return func() *http.Request {
			r := g.request(http.MethodGet, path, "query", `{app="api"}`)
			r.Header.Add(header, value)
			return r
		}
	}
	const form = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name    string
		request func() *http.Request
		status  int
	}{
		{"twice", get("query={a=\"b\"}&query={c=\"d\"}"), 400},
		{"twice the same", get("query=%7B%7D&query=%7B%7D"), 400},
		{"twice, once escaped", get("query=%7B%7D&%71uery=%7B%7D"), 400},
		{"in brackets", get("query[]=%7B%7D"), 400},
		{"in brackets, as well", get("query=%7B%7D&query[0]=%7B%7D"), 400},
		{"other case", get("Query=%7B%7D"), 400},
		{"other case, as well", get("query=%7B%7D&QUERY=%7B%7D"), 400},
		{"semicolon", get("query=%7B%7D;limit=1"), 400},
		{"bad escape", get("query=%zz"), 400},
		{"not UTF-8", get("query=%ff"), 400},
		{"NUL", get("query=%7B%7D%00"), 400},
		{"unknown", get("query=%7B%7D&shards=1"), 400},
		{"Loki's legacy regexp", get("query=%7B%7D&regexp=x"), 400},
		{"missing", get(""), 400},
		{"empty", get("query="), 400},
		{"a hundred parameters", get("query=%7B%7D" + strings.Repeat("&limit=1", 100)), 400},
		{"limit of zero", get("query=%7B%7D&limit=0"), 400},
		{"limit that is no number", get("query=%7B%7D&limit=1e3"), 400},
		{"negative limit", get("query=%7B%7D&limit=-1"), 400},
		{"limit beyond 64 bits", get("query=%7B%7D&limit=99999999999999999999"), 400},
		{"no time", get("query=%7B%7D&start=yesterday"), 400},
		{"infinite time", get("query=%7B%7D&start=1e400."), 400},
		{"end before start", get("query=%7B%7D&start=20&end=10"), 400},
		{"no direction", get("query=%7B%7D&direction=sideways"), 400},
		{"zero step", get("query=%7B%7D&step=0"), 400},
		{"negative step", get("query=%7B%7D&step=-5m"), 400},
		{"body on GET", func() *http.Request {
			r := g.request(http.MethodGet, path, "query", `{app="api"}`)
			r.Body, r.ContentLength = nopCloser{strings.NewReader("query=%7B%7D")}, 12
			return r
		}, 400},
		{"chunked body on GET", func() *http.Request {
			r := g.request(http.MethodGet, path, "query", `{app="api"}`)
			r.Body, r.ContentLength = nopCloser{strings.NewReader("query=%7B%7D")}, -1
			return r
		}, 400},
		{"URL and form", post("query=%7B%7D", form, "query=%7B%7D"), 400},
		{"URL with another parameter, and form", post("limit=1", form, "query=%7B%7D"), 400},
		{"bare question mark, and form", func() *http.Request {
			r := post("", form, "query=%7B%7D")()
			r.URL.ForceQuery = true
			return r
		}, 400},
		{"multipart", post("", "multipart/form-data; boundary=x", "--x--"), 415},
		{"JSON", post("", "application/json", `{"query":"{}"}`), 415},
		{"no media type", post("", "", "query=%7B%7D"), 415},
		{"text", post("", "text/plain", "query=%7B%7D"), 415},
		{"other charset", post("", form+"; charset=utf-16", "query=%7B%7D"), 415},
		{"twice in a form", post("", form, "query=%7B%7D&query=%7B%7D"), 400},
		{"semicolon in a form", post("", form, "query=%7B%7D;x=1"), 400},
		{"compressed form", func() *http.Request {
			r := post("", form, "query=%7B%7D")()
			r.Header.Set("Content-Encoding", "gzip")
			return r
		}, 415},
		{"method override", with("X-HTTP-Method-Override", "POST"), 400},
		{"URL override", with("X-Original-URL", "/loki/api/v1/push"), 400},
		{"encoding flag twice", func() *http.Request {
			r := with("X-Loki-Response-Encoding-Flags", flagCategorize)()
			r.Header.Add("X-Loki-Response-Encoding-Flags", flagCategorize)
			return r
		}, 400},
		{"unknown encoding flag", with("X-Loki-Response-Encoding-Flags", "other"), 400},
	} {
		a := g.send(alphaToken, tt.request())
		if a.StatusCode != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.name, a.StatusCode, a.text, tt.status)
		}
	}
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests arrived at Loki, such as %+v", n, g.loki.Requests()[0])
	}
}

// TestEveryErrorHasItsResponse walks what the packages refuse with, so that none falls through to 500
// unnoticed.
func TestEveryErrorHasItsResponse(t *testing.T) {
	t.Parallel()
	for _, err := range refusals() {
		wrapped := fmt.Errorf("on the way: %w", err)
		p := problemOf(wrapped)
		if p.Code == codeInternal.name {
			t.Errorf("%v becomes %s", err, p.Code)
		}
		if p.Detail == "" || p.Title == "" || p.Type != "/docs/problems#"+p.Code {
			t.Errorf("%v: %+v", err, p)
		}
	}
	if p := problemOf(errors.New("dial tcp 10.0.0.1:3100")); p.Code != codeInternal.name || strings.Contains(p.Detail, "10.0.0.1") {
		t.Errorf("an unknown error becomes %+v", p)
	}
}

// TestTimesAreLokis guarantees that times and spans are read as Loki reads them, and sent exactly.
func TestTimesAreLokis(t *testing.T) {
	t.Parallel()
	nano := func(tm time.Time) string { return fmt.Sprintf("%019d", tm.UnixNano()) }
	for _, tt := range []struct{ name, params, start, end string }{
		{"defaults", "", nano(now.Add(-lokitest.DefaultSince)), nano(now)},
		{"since", "since=30m", nano(now.Add(-30 * time.Minute)), nano(now)},
		{"since in days", "since=2d", nano(now.Add(-48 * time.Hour)), nano(now)},
		{"seconds", "start=1772360000&end=1772363600", "1772360000000000000", "1772363600000000000"},
		{"nanoseconds", "start=1772360000000000001&end=1772360000000000002", "1772360000000000001", "1772360000000000002"},
		{"fractions to the millisecond", "start=1772360000.1239&end=1772360001.5", "1772360000124000000", "1772360001500000000"},
		{"RFC 3339", "start=2026-03-01T10:00:00.000000001Z&end=2026-03-01T12:00:00%2B01:00", "1772359200000000001", "1772362800000000000"},
		{"end in the past", "end=1772360000", "1772356400000000000", "1772360000000000000"},
		{"end in the future counts from now", "end=" + nano(now.Add(time.Hour)), nano(now.Add(-time.Hour)), nano(now.Add(time.Hour))},
		{"start wins over since", "start=1772360000&end=1772360001&since=5h", "1772360000000000000", "1772360001000000000"},
		{"long ago", "start=60&end=61", "60000000000", "61000000000"},
	} {
		g := newGateway(t)
		r := g.request(http.MethodGet, "/api/v1/logs/labels")
		r.URL.RawQuery = tt.params
		if a := g.send(alphaToken, r); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", tt.name, a.StatusCode, a.text)
			continue
		}
		sent := g.loki.Requests()[0].Params
		if sent.Get("start") != tt.start || sent.Get("end") != tt.end {
			t.Errorf("%s: sent %s to %s, want %s to %s", tt.name, sent.Get("start"), sent.Get("end"), tt.start, tt.end)
		}
	}
}
