package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/getkin/kin-openapi/openapi3"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenant"
)

const (
	bothToken  = "token-of-both-0123456789"
	shopToken  = "token-of-shop-0123456789"
	widerToken = "token-of-wider-0123456789"
)

// several is everybody, and principals with several tenants or a selector of their own.
func several() principals {
	who := everybody()
	who[bothToken] = auth.Principal{
		Issuer: "https://id.example", Subject: "ben", Tenants: []tenant.Name{"alpha", "beta"},
		Scopes: []string{"openid", "logs"}, Expiry: now.Add(time.Hour),
	}
	who[shopToken] = auth.Principal{Tenants: []tenant.Name{"alpha", "beta"}, Selector: `{app="api"}`, Expiry: now.Add(time.Hour)}
	who[widerToken] = auth.Principal{Tenants: []tenant.Name{"alpha"}, Selector: `{tenant_id=~".+"}`, Expiry: now.Add(time.Hour)}
	return who
}

func withPrincipals(who principals) option {
	return func(c *Config, _ *loki.Config) { c.Verifier = who }
}

// narrowedTo sends a GET with the header.
func (g *gateway) narrowedTo(token, tenant, path string, params ...string) apiResponse {
	g.Helper()
	r := g.request(http.MethodGet, path, params...)
	r.Header.Set(headerTenant, tenant)
	return g.send(token, r)
}

// TestSeveralTenants guarantees that a caller of several tenants sees the union of them and nothing
// else, and one of them alone when the header names it.
func TestSeveralTenants(t *testing.T) {
	t.Parallel()
	g := newGateway(t, withPrincipals(several()))
	has := func(a apiResponse, want ...string) {
		t.Helper()
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.text)
		}
		for _, word := range []string{"alpha one", "beta one", "lookalike", "betaless"} {
			if wanted := strings.Contains(strings.Join(want, ","), word); wanted != strings.Contains(a.text, word) {
				t.Errorf("%q: wanted %t in %s", word, wanted, a.text)
			}
		}
	}
	for _, path := range []string{"/api/v1/logs/query", "/loki/api/v1/query_range"} {
		has(g.get(bothToken, path, "query", `{app="api"}`), "alpha one", "beta one")
		has(g.narrowedTo(bothToken, "alpha", path, "query", `{app="api"}`), "alpha one")
		has(g.narrowedTo(bothToken, "beta", path, "query", `{app="api"}`), "beta one")
		has(g.narrowedTo(alphaToken, "alpha", path, "query", `{app="api"}`), "alpha one")
	}
}

// TestNarrowing guarantees the response to a header that names no tenant of the caller's: the same,
// whether there is such a tenant or not, for every operation, and with nothing sent to Loki.
func TestNarrowing(t *testing.T) {
	t.Parallel()
	g := newGateway(t, withPrincipals(several()))
	each(t, func(method, path string, item *openapi3.PathItem, op *openapi3.Operation) {
		var texts []string
		for _, tenant := range []string{"alpha-2", "nobody", "alpha,beta", "alpha|beta", ".*", "", "ALPHA", "alpha ", strings.Repeat("a", 200)} {
			r := g.sample(method, path, item, op, fitting(op, `{app="api"}`))
			r.Header.Set(headerTenant, tenant)
			if tenant == "alpha " {
				r.Header[headerTenant] = []string{"alpha;"} // white space around a value is not part of it
			}
			a := g.send(bothToken, r)
			if a.StatusCode != http.StatusForbidden || tenant != "" && strings.Contains(a.text, tenant) {
				t.Errorf("%s, narrowed to %.20q: %d %s", op.OperationID, tenant, a.StatusCode, a.text)
			}
			texts = append(texts, strings.ReplaceAll(a.text, a.Header.Get(audit.HeaderRequestID), ""))
		}
		for _, text := range texts {
			if text != texts[0] {
				t.Errorf("%s tells two tenants apart: %s and %s", op.OperationID, text, texts[0])
			}
		}
		twice := g.sample(method, path, item, op, fitting(op, `{app="api"}`))
		twice.Header[headerTenant] = []string{"alpha", "alpha"}
		if a := g.send(bothToken, twice); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s, with the header twice: %d %s", op.OperationID, a.StatusCode, a.text)
		}
	})
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests arrived at Loki", n)
	}
	if a := g.narrowedTo("", "alpha", "/api/v1/me"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %d", a.StatusCode)
	}
	if a := g.narrowedTo(bothToken, "alpha-2", "/api/v1/me"); !strings.Contains(a.text, `"tenant_not_yours"`) {
		t.Errorf("the code: %s", a.text)
	}
	if !strings.Contains(g.log.String(), `requested the tenant \"nobody\"`) {
		t.Error("the log does not contain the requested tenant")
	}
}

// TestIssuersAreBounded guarantees, for every operation, that a token of an issuer that may name beta
// only reaches nothing by naming alpha, alone or beside beta; that it is told the same whether there is
// such a tenant or not; and that the log has issuer and cause. The tokens are real, of two real issuers.
func TestIssuersAreBounded(t *testing.T) {
	t.Parallel()
	c := auth.Defaults()
	c.DangerouslyAllowHTTPJWKS = true
	own, customer := startIssuer(t), startIssuer(t)
	for _, i := range []struct {
		issuer *demo.Issuer
		tenant string
	}{{own, "alpha"}, {customer, "beta"}} {
		c.Issuers = append(c.Issuers, auth.Issuer{
			URL: i.issuer.URL(), Audiences: []string{demo.Audience}, JWKSURL: i.issuer.JWKSURL(), TenantClaim: "tenant_id", Tenants: []string{i.tenant},
		})
	}
	verifier, err := auth.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	g := newGateway(t, func(c *Config, _ *loki.Config) { c.Verifier = verifier })

	each(t, func(method, path string, item *openapi3.PathItem, op *openapi3.Operation) {
		var texts []string
		for _, tenants := range []any{"alpha", "alpha-2", "nobody", []string{"beta", "alpha"}, []string{"beta", "nobody"}} {
			a := g.send(tokenOf(t, customer, tenants), g.sample(method, path, item, op, fitting(op, `{app="api"}`)))
			if a.StatusCode != http.StatusForbidden || strings.Contains(a.text, "alpha") || strings.Contains(a.text, "beta") {
				t.Errorf("%s, as %v: %d %s", op.OperationID, tenants, a.StatusCode, a.text)
			}
			texts = append(texts, strings.ReplaceAll(a.text, a.Header.Get(audit.HeaderRequestID), ""))
		}
		for _, text := range texts {
			if text != texts[0] {
				t.Errorf("%s distinguishes tenants: %s and %s", op.OperationID, text, texts[0])
			}
		}
	})
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests arrived at Loki", n)
	}
	for _, want := range []string{"issuer \\\"" + customer.URL() + "\\\" may not name the tenant \\\"alpha\\\"", `"subject":"ann"`, `"issuer":"` + customer.URL() + `"`} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("the log does not have %s", want)
		}
	}
	for _, tt := range []struct {
		issuer              *demo.Issuer
		tenant, line, never string
	}{{own, "alpha", "alpha one", "beta one"}, {customer, "beta", "beta one", "alpha one"}} {
		a := g.get(tokenOf(t, tt.issuer, tt.tenant), "/api/v1/logs/query", "query", `{app="api"}`)
		if a.StatusCode != http.StatusOK || !strings.Contains(a.text, tt.line) || strings.Contains(a.text, tt.never) {
			t.Errorf("%s by its own issuer: %d %s", tt.tenant, a.StatusCode, a.text)
		}
	}
}

func startIssuer(t *testing.T) *demo.Issuer {
	t.Helper()
	i, err := demo.StartIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i
}

func tokenOf(t *testing.T, i *demo.Issuer, tenants any) string {
	t.Helper()
	token, err := i.Token(demo.Claims{Subject: "ann", Tenant: tenants})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestTheHeaderIsOfEveryOperation guarantees that the spec describes it wherever it counts.
func TestTheHeaderIsOfEveryOperation(t *testing.T) {
	t.Parallel()
	each(t, func(_, path string, item *openapi3.PathItem, op *openapi3.Operation) {
		if item.Parameters.GetByInAndName(openapi3.ParameterInHeader, headerTenant) == nil {
			t.Errorf("%s %s does not have it", path, op.OperationID)
		}
	})
}

// TestSelectorOfTheToken guarantees that a token's selector confines beside the tenants, and widens
// nothing whatever it says.
func TestSelectorOfTheToken(t *testing.T) {
	t.Parallel()
	who := several()
	who["of-no-selector"] = auth.ErrInvalidSelectorClaim
	who["of-a-pipeline"] = auth.Principal{Tenants: []tenant.Name{"alpha"}, Selector: `{app="api"} |= "x"`, Expiry: now.Add(time.Hour)}
	who["of-two"] = auth.Principal{Tenants: []tenant.Name{"alpha"}, Selector: `{app="api"} or {app="web"}`, Expiry: now.Add(time.Hour)}
	g := newGateway(t, withPrincipals(who))
	a := g.get(shopToken, "/api/v1/logs/query", "query", `{app=~".+"}`)
	if !strings.Contains(a.text, "alpha one") || !strings.Contains(a.text, "beta one") || strings.Contains(a.text, "alpha three") {
		t.Errorf("with {app=\"api\"}: %s", a.text)
	}
	a = g.get(widerToken, "/api/v1/logs/query", "query", `{app=~".+"}`)
	if !strings.Contains(a.text, "alpha three") || strings.Contains(a.text, "beta") {
		t.Errorf("with a selector of every tenant: %s", a.text)
	}
	for _, token := range []string{"of-no-selector", "of-a-pipeline", "of-two"} {
		if a := g.get(token, "/api/v1/logs/labels"); a.StatusCode != http.StatusForbidden || !strings.Contains(a.text, "no_tenant") {
			t.Errorf("%s: %d %s", token, a.StatusCode, a.text)
		}
	}
}

// TestOwnTenants guarantees that what a caller holds counts once for each of the token's tenants, whatever their order, how
// often the token names them, and which of them a header names.
func TestOwnTenants(t *testing.T) {
	t.Parallel()
	who := several()
	who["again"] = auth.Principal{Tenants: []tenant.Name{"beta", "alpha", "beta"}, Expiry: now.Add(time.Hour)}
	g := newGateway(t, withPrincipals(who))
	for _, header := range []string{"", "beta"} {
		r := g.request(http.MethodGet, "/api/v1/me")
		r.Header.Set("Authorization", "Bearer again")
		if header != "" {
			r.Header.Set(headerTenant, header)
		}
		if got, err := g.server.identify(r); err != nil || !slices.Equal(got.own, []tenant.Name{"alpha", "beta"}) {
			t.Errorf("%q: %v, %v", header, got.own, err)
		}
	}
}

// TestMe guarantees what a caller learns about itself, and that it learns nothing else.
func TestMe(t *testing.T) {
	t.Parallel()
	g := newGateway(t, withPrincipals(several()))
	for _, tt := range []struct{ name, token, tenant, want string }{
		{"of two tenants", bothToken, "", `{"subject":"ben","issuer":"https://id.example","tenants":["alpha","beta"],"scopes":["openid","logs"],`},
		{"narrowed", bothToken, "beta", `{"subject":"ben","issuer":"https://id.example","tenants":["beta"],"scopes":["openid","logs"],`},
		{"with a selector, and no name", shopToken, "", `{"issuer":"","tenants":["alpha","beta"],"selector":"{app=\"api\"}","scopes":[],`},
	} {
		a := g.get(tt.token, "/api/v1/me")
		if tt.tenant != "" {
			a = g.narrowedTo(tt.token, tt.tenant, "/api/v1/me")
		}
		want := tt.want + `"expires_at":"2026-03-01T13:00:00Z","limits":{"max_query_bytes":16384,"max_range_seconds":2595600,` +
			`"max_lines":1000,"max_export_lines":10000,"max_tails":4,"max_streams":20,"requests_per_second":10000,"burst":10000,"max_queries":64,` +
			`"max_exports":4,"max_depth":32,"max_selectors":64,"max_range_vector_seconds":2592000,"max_points":11000,` +
			`"max_answer_bytes":268435456,"max_query_bytes_read":1125899906842624,"timeout_seconds":60}}`
		if got, want := object(t, a.text), object(t, want); a.StatusCode != http.StatusOK || got != want {
			t.Errorf("%s: %d\n got %s\nwant %s", tt.name, a.StatusCode, got, want)
		}
	}
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests arrived at Loki", n)
	}
}

// object is a JSON object with its members in order.
func object(t *testing.T, text string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return fmt.Sprint(members)
}

// TestBasicToken guarantees that a token is taken as the password of HTTP Basic, with any user name,
// where the operator says so and nowhere else; and that browsers do not prompt for a password.
func TestBasicToken(t *testing.T) {
	t.Parallel()
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for _, tt := range []struct {
		name   string
		on     bool
		header string
		want   int
	}{
		{"on", true, basic("anybody", alphaToken), http.StatusOK},
		{"on, without a name", true, basic("", alphaToken), http.StatusOK},
		{"on, and a bearer token", true, "Bearer " + alphaToken, http.StatusOK},
		{"on, a wrong token", true, basic("alpha", "secret"), http.StatusUnauthorized},
		{"on, the token as the name", true, basic(alphaToken, ""), http.StatusUnauthorized},
		{"off", false, basic("anybody", alphaToken), http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, func(c *Config, _ *loki.Config) { c.BasicToken = tt.on })
			r := g.request(http.MethodGet, "/loki/api/v1/labels")
			r.Header.Set("Authorization", tt.header)
			a := g.send("", r)
			if a.StatusCode != tt.want {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
			if challenge := a.Header.Get("WWW-Authenticate"); strings.Contains(challenge, "Basic") {
				t.Errorf("the challenge %q makes browsers prompt for a password, and keep it", challenge)
			}
			if strings.Contains(g.log.String(), alphaToken) || strings.Contains(g.log.String(), strings.TrimPrefix(tt.header, "Basic ")) {
				t.Errorf("the token is in the log: %s", g.log)
			}
		})
	}
}

// TestTokenHeaders guarantees that the first configured header that is present decides, that no other one is looked at,
// that a page of a configured origin may send it, and that a token that a proxy makes out of a cookie is not accepted
// from a page of another site.
func TestTokenHeaders(t *testing.T) {
	t.Parallel()
	who := everybody()
	ambient := who[alphaToken].(auth.Principal)
	ambient.Ambient = true
	const ambientToken = "token-of-alpha-from-a-cookie-0123456789"
	who[ambientToken] = ambient
	g := newGateway(t, func(c *Config, _ *loki.Config) {
		c.Verifier, c.TokenHeaders, c.CORSOrigins = who, []string{"X-Id-Token", "Authorization"}, []string{"https://logs.example"}
	})
	for _, tt := range []struct {
		name   string
		header http.Header
		want   int
	}{
		{"alone", http.Header{"X-Id-Token": {alphaToken}}, http.StatusOK},
		{"with a scheme", http.Header{"X-Id-Token": {"bearer " + alphaToken}}, http.StatusOK},
		{"the second alone", http.Header{"Authorization": {"Bearer " + alphaToken}}, http.StatusOK},
		{"the first decides", http.Header{"X-Id-Token": {alphaToken}, "Authorization": {"Bearer bad-token"}}, http.StatusOK},
		{"no fall back", http.Header{"X-Id-Token": {"bad-token"}, "Authorization": {"Bearer " + alphaToken}}, http.StatusUnauthorized},
		{"no fall back from an empty one", http.Header{"X-Id-Token": {""}, "Authorization": {"Bearer " + alphaToken}}, http.StatusUnauthorized},
		{"twice", http.Header{"X-Id-Token": {alphaToken, alphaToken}}, http.StatusUnauthorized},
		{"the second twice", http.Header{"X-Id-Token": {alphaToken}, "Authorization": {"Bearer " + alphaToken, "Bearer " + alphaToken}}, http.StatusUnauthorized},
		{"a header that is not configured", http.Header{"X-Forwarded-Access-Token": {alphaToken}}, http.StatusUnauthorized},
		{"from a cookie, of this site", http.Header{"X-Id-Token": {ambientToken}, "Sec-Fetch-Site": {"same-origin"}}, http.StatusOK},
		{"from a cookie, of another site", http.Header{"X-Id-Token": {ambientToken}, "Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		{"set by a page of another site", http.Header{"X-Id-Token": {alphaToken}, "Sec-Fetch-Site": {"cross-site"}}, http.StatusOK},
	} {
		r := g.request(http.MethodGet, "/api/v1/logs/labels")
		for name, values := range tt.header {
			r.Header[name] = values
		}
		if a := g.send("", r); a.StatusCode != tt.want {
			t.Errorf("%s: %d %s", tt.name, a.StatusCode, a.text)
		}
	}
	r := g.request(http.MethodOptions, "/api/v1/logs/labels")
	r.Header.Set("Origin", "https://logs.example")
	r.Header.Set("Access-Control-Request-Method", http.MethodGet)
	r.Header.Set("Access-Control-Request-Headers", "x-id-token")
	if a := g.send("", r); a.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("preflight: %v", a.Header)
	}
	if strings.Contains(g.log.String(), alphaToken) || strings.Contains(g.log.String(), ambientToken) {
		t.Errorf("a token is in the log: %s", g.log)
	}
}

// TestBehindProxies guarantees that the record has the caller's address as trusted proxies tell it, and
// the connection's without them.
func TestBehindProxies(t *testing.T) {
	t.Parallel()
	for _, trusted := range []bool{false, true} {
		var proxies audit.TrustedProxies
		if trusted {
			var err error
			if proxies, err = audit.ParseTrustedProxies([]string{"127.0.0.0/8"}); err != nil {
				t.Fatal(err)
			}
		}
		g := newGateway(t, func(c *Config, _ *loki.Config) { c.TrustedProxies = proxies })
		r := g.request(http.MethodGet, "/api/v1/me")
		r.Header.Set("X-Forwarded-For", "192.0.2.77, 203.0.113.9")
		g.send(alphaToken, r)
		want := map[bool]string{false: `"client":"127.0.0.1"`, true: `"client":"203.0.113.9"`}[trusted]
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("trusted %t: no %s in %s", trusted, want, g.log)
		}
	}
}

// audited makes the gateway record into a file.
func audited(t *testing.T, path string, required bool) option {
	t.Helper()
	a, err := audit.Open(audit.Config{Log: path, Queries: audit.Text, Required: required}, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return func(c *Config, _ *loki.Config) {
		c.Recorder = telemetry.NewRecorder(slog.New(slog.DiscardHandler), telemetry.WithAudit(a))
	}
}

// TestAudit guarantees one record for each request, granted or refused, that states who requested what
// of whom and what came of it; and no token in any.
func TestAudit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	g := newGateway(t, withPrincipals(several()), audited(t, path, false))
	granted := g.get(bothToken, "/api/v1/logs/query", "query", `{app="api"}`, "start", "2026-03-01T11:00:00Z", "end", "2026-03-01T12:00:00Z")
	g.get("a-token-that-nobody-made", "/api/v1/logs/labels")
	g.narrowedTo(bothToken, "alpha-2", "/loki/api/v1/labels")
	g.get(alphaToken, "/api/v1/logs/query", "query", `{app=`)
	g.get(alphaToken, "/nothing/here")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records := strings.Split(strings.TrimSpace(string(content)), "\n")
	wants := [][]string{
		{
			`"stage":"response"`, `"time":"2026-03-01T12:00:00Z"`, `"request_id":"` + granted.Header.Get(audit.HeaderRequestID) + `"`, `"subject":"ben"`,
			`"issuer":"https://id.example"`, `"tenants":["alpha","beta"]`, `"client":"127.0.0.1"`, `"operation":"queryLogs"`,
			`"query":["{app=\"api\"}"]`, `"fenced":["{tenant_id=~\"alpha|beta\",app=\"api\"}"]`,
			`"start":"2026-03-01T11:00:00Z","end":"2026-03-01T12:00:00Z"`, `"outcome":"granted"`, `"status":200`, fmt.Sprintf(`"bytes":%d`, len(granted.text)),
		},
		{`"operation":"listLabels"`, `"outcome":"refused","code":"unauthorized","status":401`},
		{`"subject":"ben"`, `"tenants":["alpha","beta"]`, `"operation":"lokiLabels"`, `"code":"tenant_not_yours","status":403`},
		{`"subject":"ann@alpha"`, `"query":["{app="]`, `"code":"query_invalid","status":400`},
		{`"outcome":"refused","code":"not_found","status":404`},
	}
	if len(records) != len(wants) {
		t.Fatalf("%d records for %d requests:\n%s", len(records), len(wants), content)
	}
	for i, want := range wants {
		for _, part := range want {
			if !strings.Contains(records[i], part) {
				t.Errorf("no %s in %s", part, records[i])
			}
		}
	}
	if strings.Contains(string(content), "0123456789") || strings.Contains(string(content), "nobody-made") {
		t.Errorf("a token is in the audit: %s", content)
	}
}

// TestAuditRequired guarantees that with a full disk no response grants anything, by any
// operation, that refusals stay what they are, and that the response states so.
func TestAuditRequired(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	g := newGateway(t, audited(t, "/dev/full", true))
	each(t, func(method, path string, item *openapi3.PathItem, op *openapi3.Operation) {
		a := g.send(alphaToken, g.sample(method, path, item, op, fitting(op, `{app="api"}`)))
		if op.OperationID == "lokiRules" { // it grants nothing
			if a.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d %s", op.OperationID, a.StatusCode, a.text)
			}
			return
		}
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || strings.Contains(a.text, "alpha") {
			t.Errorf("%s: %d %s", op.OperationID, a.StatusCode, a.text)
		}
	})
	if a := g.get(alphaToken, "/api/v1/me"); !strings.Contains(a.text, `"audit_unavailable"`) || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s", a.Header, a.text)
	}
	r := g.request(http.MethodGet, "/api/v1/logs/query", "query", `{app="api"}`)
	r.Header.Set("Accept-Encoding", "gzip")
	if a := g.send(alphaToken, r); a.Header.Get("Content-Encoding") != "" || !strings.Contains(a.text, "audit_unavailable") {
		t.Errorf("headers of the response that was withheld: %s", a.Header)
	}
	if a := g.get("nobody", "/api/v1/logs/labels"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a refusal: %d", a.StatusCode)
	}
	if a := g.get("", "/openapi.json"); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the spec: %d", a.StatusCode)
	}
}

// TestAuditComesFirst guarantees that the record is there before the first byte of the response is.
func TestAuditComesFirst(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	g := newGateway(t, audited(t, path, true))
	goOn := make(chan struct{})
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":`)
		_ = http.NewResponseController(w).Flush()
		<-goOn
		_, _ = io.WriteString(w, `"success","data":{"resultType":"streams","result":[],"stats":{}}}`)
	}))
	r := g.request(http.MethodGet, "/api/v1/logs/query", "query", `{app="api"}`)
	r.Header.Set("Authorization", "Bearer "+alphaToken)
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := response.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil || strings.Count(string(content), "\n") != 1 || !strings.Contains(string(content), `"stage":"request"`) ||
		!strings.Contains(string(content), `"fenced":["{tenant_id=\"alpha\",app=\"api\"}"]`) {
		t.Errorf("in the middle of the response: %v %s", err, content)
	}
	close(goOn)
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
}

// TestRecordedWriter guarantees that there is no way around the record: neither by flushing, by taking
// the connection over, nor by an early status.
func TestRecordedWriter(t *testing.T) {
	t.Parallel()
	full := func() error { return fmt.Errorf("%w: %w", audit.ErrNotRecorded, syscall.ENOSPC) }
	for name, response := range map[string]func(http.ResponseWriter) error{
		"write": func(w http.ResponseWriter) error { _, err := w.Write([]byte("x")); return err },
		"status, then write": func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusOK)
			_, err := w.Write([]byte("x"))
			return err
		},
		"flush":  func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"hijack": func(w http.ResponseWriter) error { _, _, err := http.NewResponseController(w).Hijack(); return err },
		"early hints": func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusEarlyHints)
			return http.NewResponseController(w).Flush()
		},
	} {
		out := httptest.NewRecorder()
		out.Code = 0
		w := &auditGate{ResponseWriter: out, begin: full}
		if err := response(w); !errors.Is(err, audit.ErrNotRecorded) || out.Flushed || out.Code != 0 || out.Body.Len() > 0 {
			t.Errorf("%s: %v, flushed %t, status %d, %q", name, err, out.Flushed, out.Code, out.Body)
		}
		if w.err == nil {
			t.Errorf("%s: the creator of the writer does not get the error", name)
		}
	}
	out := httptest.NewRecorder()
	w := &auditGate{ResponseWriter: out, begin: full}
	w.WriteHeader(http.StatusForbidden)
	if _, err := w.Write([]byte("no")); err != nil || out.Code != http.StatusForbidden || out.Body.String() != "no" {
		t.Errorf("a refusal: %v, %d %q", err, out.Code, out.Body)
	}
}

// TestTailsAreRecorded guarantees the same of a connection that is given away: no WebSocket without a
// record, and a record that counts what went over it.
func TestTailsAreRecorded(t *testing.T) {
	dial := func(g *gateway, tenant string) (*websocket.Conn, int, error) {
		r := g.request(http.MethodGet, "/loki/api/v1/tail", "query", `{app="api"}`)
		r.Header.Set("Authorization", "Bearer "+bothToken)
		r.Header.Set(headerTenant, tenant)
		conn, response, err := websocket.Dial(g.Context(), r.URL.String(), &websocket.DialOptions{
			HTTPHeader: r.Header, HTTPClient: &http.Client{Transport: g.transport()},
		})
		if err != nil {
			return nil, response.StatusCode, err
		}
		return conn, response.StatusCode, nil
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	t.Run("", func(t *testing.T) {
		inBubble(t, func(g *gateway) {
			if _, status, err := dial(g, "alpha-2"); err == nil || status != http.StatusForbidden {
				g.Errorf("of another tenant: %d %v", status, err)
			}
			conn, _, err := dial(g, "alpha")
			if err != nil {
				g.Fatal(err)
			}
			_, frame, err := conn.Read(g.Context())
			if err != nil || !strings.Contains(string(frame), "alpha one") || strings.Contains(string(frame), "beta one") {
				g.Errorf("the frame: %v %s", err, frame)
			}
			_ = conn.Close(websocket.StatusNormalClosure, "")
			synctest.Wait()
			content, err := os.ReadFile(path)
			if err != nil {
				g.Fatal(err)
			}
			records := strings.Split(strings.TrimSpace(string(content)), "\n")
			last := records[len(records)-1]
			if len(records) != 3 {
				g.Errorf("%d records", len(records))
			}
			var record struct {
				Operation, Outcome string
				Bytes              int
			}
			if err := json.Unmarshal([]byte(last), &record); err != nil || record.Bytes < len(frame) || record.Operation != "lokiTail" || record.Outcome != "granted" {
				g.Errorf("recorded %s, after a frame of %d bytes: %v", last, len(frame), err)
			}
		}, withPrincipals(several()), audited(t, path, true))
	})

	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	full := newGateway(t, withPrincipals(several()), audited(t, "/dev/full", true))
	if _, status, err := dial(full, "alpha"); err == nil || status != http.StatusServiceUnavailable {
		t.Errorf("on a full disk: %d %v", status, err)
	}
}

// TestClaimShapes guarantees that a caller whose tenant claim has a shape that is refused gets a 403 that names the shape, on both
// surfaces, and no value of the claim.
func TestClaimShapes(t *testing.T) {
	t.Parallel()
	issuer := startIssuer(t)
	c := auth.Defaults()
	c.DangerouslyAllowHTTPJWKS = true
	c.Issuers = []auth.Issuer{{URL: issuer.URL(), Audiences: []string{demo.Audience}, JWKSURL: issuer.JWKSURL(), TenantClaim: "tenant_id"}}
	verifier, err := auth.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	g := newGateway(t, func(c *Config, _ *loki.Config) { c.Verifier = verifier })
	for _, tt := range []struct {
		claim any
		says  string
	}{
		{4711, "The tenant claim is a number, and not text or a list of texts."},
		{"/4711", "The tenant claim has a name that begins with a slash, as the paths of groups do."},
		{"4711,4712", "The tenant claim has a name with a comma;"},
		{strings.Split(strings.Repeat("4711 ", 65), " ")[:65], "The tenant claim holds 65 names; 1 to 64 are accepted."},
	} {
		for _, path := range []string{"/api/v1/logs/labels", "/loki/api/v1/labels"} {
			a := g.send(tokenOf(t, issuer, tt.claim), g.request(http.MethodGet, path))
			if a.StatusCode != http.StatusForbidden || !strings.Contains(a.text, tt.says) || strings.Contains(a.text, "4711") ||
				!strings.Contains(a.text, "Ask your administrator.") {
				t.Errorf("%v at %s: %d %s", tt.claim, path, a.StatusCode, a.text)
			}
		}
	}
}
