package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// problem is an error as the spec describes it.
type problem struct {
	Code, Title, Detail string
	Status              int
	Line, Column        int
}

func problemOf(t *testing.T, a response) (p problem) {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("an error is %s: %d %.300s", got, a.status, a.body)
		return p
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Error(err)
	}
	return p
}

// malformed are queries that are not LogQL, with the place where they cease to be.
var malformed = []struct {
	query        string
	line, column int
}{
	{`{app="checkout"`, 1, 16},
	{`{app="checkout"} |`, 1, 19},
	{"{app=\"checkout\"}\n| json\n| | x", 3, 3},
	{`sum(rate({app="checkout"}[5m])`, 1, 31},
	{`{app=checkout}`, 1, 6},
	{`rate({app="checkout"})`, 1, 22},
	{`{tenant_id="beta"} or {tenant_id="alpha"`, 1, 41},
}

// TestLokiLost guarantees that a Loki that dies while it responds is seen by the caller as a response
// that broke off, whichever encoding it has; that until it is back the problem says so, and queries that
// are malformed are still told their place, since Loki never gets them; and that nothing has
// to be restarted but Loki.
func TestLokiLost(t *testing.T) {
	t.Parallel()
	// Compressing is Loki's default by its documentation; in v3.7.8 the default of another flag, written
	// into the same variable, turns it off (pkg/lokifrontend/config.go).
	l, err := on.startLoki(t.Context(), demo.LokiOptions{Args: []string{"-querier.compress-http-responses=true"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.Push(t.Context(), large(on.fresh)); err != nil {
		t.Fatal(err)
	}
	g, err := startGateway(t.Context(), on.binary, on.issuer, l.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Error(err)
		}
	})
	whole := request{path: "/api/v1/logs/query", params: with(on.fresh.between(), "query", `{app="large"}`, "limit", fmt.Sprint(largeLines))}
	for _, encoding := range []string{"identity", "gzip"} {
		brokenOff(t, g, l, whole, encoding)
		withoutLoki(t, g)
		if err := l.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		// It gets no requests before a probe has succeeded.
		if err := g.waitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		count := url.Values{"query": {`sum(count_over_time({app="large"}[1h]))`}, "time": {nanoseconds(on.across.end)}}
		a := g.send(t, request{path: "/api/v1/logs/query/instant", params: count})
		if want := fmt.Sprintf(`"%d"]`, largeLines); a.status != http.StatusOK || !strings.Contains(string(a.body), want) {
			t.Errorf("after Loki's restart: %d %.300s; want %s lines", a.status, a.body, want)
		}
	}
}

// A response has to be larger than all that the kernel, Loki and logfence hold of it on the way.
const (
	largeLines = 160
	largeLine  = 128 << 10
)

// large is a stream of lines that do not get smaller by compression.
func large(w window) demo.Stream {
	r := rand.New(rand.NewPCG(seed, seed))
	raw := make([]byte, largeLine*3/4)
	s := demo.Stream{Labels: map[string]string{tenantLabel: demo.Alpha, "app": "large"}}
	for i := range largeLines {
		for j := 0; j+8 <= len(raw); j += 8 {
			u := r.Uint64()
			for k := range 8 {
				raw[j+k] = byte(u >> (8 * k))
			}
		}
		s.Entries = append(s.Entries, demo.Entry{Time: w.start.Add(time.Duration(i) * time.Second), Line: base64.StdEncoding.EncodeToString(raw)})
	}
	return s
}

// brokenOff begins to read a response, kills Loki, and reads on.
func brokenOff(t *testing.T, g *gateway, l *demo.Loki, r request, encoding string) {
	t.Helper()
	req, err := r.build(t.Context(), g.public)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tokenOf(t, demo.Claims{Tenant: demo.Alpha}))
	req.Header.Set("Accept-Encoding", encoding)
	resp, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, 64<<10); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: the response did not begin: %s: %v", encoding, resp.Status, err)
	}
	if got := resp.Header.Get("Content-Encoding"); got != strings.TrimPrefix(encoding, "identity") {
		t.Errorf("%s was requested, the response is %q", encoding, got)
	}
	l.Kill()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil {
		t.Errorf("%s: the response ended cleanly after %d more bytes although Loki was killed", encoding, n)
	}
	t.Logf("%s: after Loki's death %d MiB more, then: %v", encoding, n>>20, err)
}

// withoutLoki checks how logfence responds while there is no Loki.
func withoutLoki(t *testing.T, g *gateway) {
	t.Helper()
	for _, q := range []string{`{app="large"}`, `sum(count_over_time({app="large"}[5m]))`} {
		a := g.send(t, request{path: "/api/v1/logs/query", params: url.Values{"query": {q}}})
		// The one until Loki is known to be down, which takes two probes, and then the other.
		p := problemOf(t, a)
		if (a.status != http.StatusBadGateway || p.Code != "loki_unreachable") && (a.status != http.StatusServiceUnavailable || p.Code != "loki_unavailable") {
			t.Errorf("without Loki: %d %s", a.status, a.body)
		}
	}
	for _, m := range malformed {
		a := g.send(t, request{path: "/api/v1/logs/query", params: url.Values{"query": {m.query}}})
		p := problemOf(t, a)
		if a.status != http.StatusBadRequest || p.Code != "query_invalid" || p.Line != m.line || p.Column != m.column {
			t.Errorf("%q without Loki: %d %s; want query_invalid at %d:%d", m.query, a.status, a.body, m.line, m.column)
		}
	}
	status, said, err := get(t.Context(), g.admin+"/readyz")
	if err != nil || status != http.StatusServiceUnavailable || !strings.Contains(string(said), `"keys":"ok"`) {
		t.Errorf("/readyz without Loki: %d %s %v", status, said, err)
	}
}

// TestMalformedQueries guarantees that both sides agree about what is LogQL, and where it ceases to be.
func TestMalformedQueries(t *testing.T) {
	t.Parallel()
	for _, m := range malformed {
		direct := sendToLoki(t, on.alone, request{path: "/loki/api/v1/query_range", params: url.Values{"query": {m.query}}})
		place := fmt.Sprintf("line %d, col %d", m.line, m.column)
		if direct.status != http.StatusBadRequest || !strings.Contains(string(direct.body), place) {
			t.Errorf("%q: Loki itself says %d %s; want %s", m.query, direct.status, direct.body, place)
		}
		for _, d := range rangeRoutes {
			a := on.gateway.send(t, request{method: d.method, path: d.path, params: url.Values{"query": {m.query}}})
			if a.status != http.StatusBadRequest {
				t.Errorf("%s %s of %q: %d %s", d.method, d.path, m.query, a.status, a.body)
			}
			if strings.HasPrefix(d.path, "/loki/") {
				if !strings.Contains(string(a.body), "parse error at "+place) {
					t.Errorf("%s of %q: %s; want parse error at %s", d.path, m.query, a.body, place)
				}
			} else if p := problemOf(t, a); p.Code != "query_invalid" || p.Line != m.line || p.Column != m.column {
				t.Errorf("%s of %q: %s; want query_invalid at %s", d.path, m.query, a.body, place)
			}
		}
	}
}

// TestTokens guarantees that nothing is read with a token that is not genuine, in force, for this
// service and for one tenant, and that the responses do not tell which of the first three it was.
func TestTokens(t *testing.T) {
	t.Parallel()
	foreign, err := demo.StartIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	of := func(i *demo.Issuer, c demo.Claims) string {
		token, err := i.Token(c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := of(on.issuer, demo.Claims{Tenant: demo.Alpha})
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	beta := b64([]byte(strings.Replace(string(claims), `"alpha"`, `"beta"`, 1)))
	same := map[string]bool{}
	for _, tt := range []struct {
		name, token string
		status      int
		code        string
	}{
		{"good", good, http.StatusOK, ""},
		{"none", "-", http.StatusUnauthorized, "unauthorized"},
		{"not a token", "alpha", http.StatusUnauthorized, "unauthorized"},
		{"another key", of(foreign, demo.Claims{Tenant: demo.Alpha, Extra: map[string]any{"iss": on.issuer.URL()}}), http.StatusUnauthorized, "unauthorized"},
		{"another issuer", of(foreign, demo.Claims{Tenant: demo.Alpha}), http.StatusUnauthorized, "unauthorized"},
		{"expired", of(on.issuer, demo.Claims{Tenant: demo.Alpha, Lifetime: -time.Hour}), http.StatusUnauthorized, "unauthorized"},
		{"without end", of(on.issuer, demo.Claims{Tenant: demo.Alpha, Extra: map[string]any{"exp": nil}}), http.StatusUnauthorized, "unauthorized"},
		{"another audience", of(on.issuer, demo.Claims{Tenant: demo.Alpha, Extra: map[string]any{"aud": "billing"}}), http.StatusUnauthorized, "unauthorized"},
		{"claims changed", parts[0] + "." + beta + "." + parts[2], http.StatusUnauthorized, "unauthorized"},
		{"algorithm none", b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".", http.StatusUnauthorized, "unauthorized"},
		{"no tenant", of(on.issuer, demo.Claims{}), http.StatusForbidden, "no_tenant"},
		{"a number", of(on.issuer, demo.Claims{Tenant: 7}), http.StatusForbidden, "no_tenant"},
		{"an empty tenant", of(on.issuer, demo.Claims{Tenant: ""}), http.StatusForbidden, "no_tenant"},
		{"a tenant like a regular expression", of(on.issuer, demo.Claims{Tenant: ".+"}), http.StatusForbidden, "no_tenant"},
		{"a tenant like two", of(on.issuer, demo.Claims{Tenant: "alpha|beta"}), http.StatusForbidden, "no_tenant"},
		{"a tenant like LogQL", of(on.issuer, demo.Claims{Tenant: `alpha"} or {tenant_id="beta`}), http.StatusForbidden, "no_tenant"},
	} {
		for _, path := range []string{"/api/v1/logs/query", "/loki/api/v1/query_range"} {
			a := on.gateway.send(t, request{path: path, token: tt.token, params: url.Values{"query": {`{app="checkout"}`}}})
			unleaked(t, a)
			if a.status != tt.status {
				t.Errorf("%s: %s returns %d %s, want %d", tt.name, path, a.status, a.body, tt.status)
				continue
			}
			if a.status == http.StatusUnauthorized && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: WWW-Authenticate is %q", tt.name, a.header.Get("WWW-Authenticate"))
			}
			if a.status == http.StatusOK || !strings.HasPrefix(path, "/api/") {
				continue
			}
			p := problemOf(t, a)
			if p.Code != tt.code {
				t.Errorf("%s: code %s, want %s", tt.name, p.Code, tt.code)
			}
			if a.status == http.StatusUnauthorized && tt.token != "-" {
				same[p.Detail] = true
			}
		}
	}
	if len(same) != 1 {
		t.Errorf("tokens that are not valid are told apart: %v", same)
	}
}

// TestLimits guarantees that a query beyond a limit is refused as such on both paths.
func TestLimits(t *testing.T) {
	t.Parallel()
	now := on.fresh.end
	many := `{app="checkout"} |= "x"` + strings.Repeat(` or "y"`, 2200)
	for _, tt := range []struct {
		name, code string
		params     url.Values
	}{
		{"too long", "query_too_long", url.Values{"query": {`{app="` + strings.Repeat("x", 20<<10) + `"}`}}},
		{"too complex", "query_too_complex", url.Values{"query": {many}}},
		{"too wide", "query_too_wide", url.Values{"query": {`{app="checkout"}`}, "start": {nanoseconds(now.Add(-800 * time.Hour))}, "end": {nanoseconds(now)}}},
		{"too many lines", "too_many_lines", url.Values{"query": {`{app="checkout"}`}, "limit": {"5001"}}},
	} {
		for _, d := range rangeRoutes {
			a := on.gateway.send(t, request{method: d.method, path: d.path, params: tt.params})
			want := http.StatusUnprocessableEntity
			if strings.HasPrefix(d.path, "/loki/") {
				want = http.StatusBadRequest // Loki has no 422
			}
			if a.status != want {
				t.Errorf("%s: %s %s returns %d %.300s", tt.name, d.method, d.path, a.status, a.body)
			} else if strings.HasPrefix(d.path, "/api/") {
				if p := problemOf(t, a); p.Code != tt.code {
					t.Errorf("%s: %+v, want %s", tt.name, p, tt.code)
				}
			}
		}
	}
}
