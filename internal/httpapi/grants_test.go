package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tenant"
)

// grantees is a verifier of tokens that are the names of groups, joined by commas, with the rules in force.
type grantees struct {
	principals

	rules atomic.Pointer[access.Rules]
}

func (v *grantees) VerifyCredential(_ context.Context, c auth.Credential) (auth.Principal, error) {
	return v.Regrant(c)
}

func (v *grantees) Regrant(c auth.Credential) (auth.Principal, error) {
	var groups []any
	for group := range strings.SplitSeq(c.Token, "~") {
		groups = append(groups, group)
	}
	choices, err := v.rules.Load().Resolve("https://id.example", map[string]any{"groups": groups})
	if err != nil {
		return auth.Principal{}, fmt.Errorf("%w: %w", auth.ErrNoTenant, err)
	}
	return auth.Principal{Issuer: "https://id.example", Subject: c.Token, Grants: choices, Expiry: now.Add(time.Hour)}, nil
}

func (v *grantees) replace(t *testing.T, generation string, grants ...access.Grant) {
	t.Helper()
	r, err := access.New(grants, access.Config{Generation: generation, Issuers: []access.Issuer{{Name: "https://id.example"}}, Classes: []string{"support"}})
	if err != nil {
		t.Fatal(err)
	}
	v.rules.Store(r)
}

// grantTo is a grant of tenants to a group of the same name.
func grantTo(name, selector string, tenants ...tenant.Name) access.Grant {
	return access.Grant{
		Name: name, When: []access.Condition{{Claim: "groups", Values: []string{name}}}, Source: access.SourceList, Tenants: tenants, Selector: selector,
	}
}

func grantOfAll(name string) access.Grant {
	g := grantTo(name, "")
	g.Source, g.Limits, g.Issuers = access.SourceAny, "support", []string{"https://id.example"}
	return g
}

func grantsOfTest() []access.Grant {
	preferred := grantTo("preferred", `{app="web"}`, "alpha")
	preferred.Default = true
	return []access.Grant{grantTo("api", `{app="api"}`, "alpha"), grantTo("beta", ``, "beta"), grantTo("both", ``, "alpha", "beta"), preferred, grantOfAll("staff")}
}

func newGranted(t *testing.T, options ...option) (*gateway, *grantees) {
	t.Helper()
	v := &grantees{}
	v.replace(t, "one", grantsOfTest()...)
	limiter := newLimiter(t, nil)
	support := limits.Defaults()
	support.MaxLines, support.Rate, support.Burst = 7, 1000, 1000
	limiter.ReplaceAll(nil, map[string]limits.Limits{"support": support})
	g := newGateway(t, append([]option{func(c *Config, _ *loki.Config) { c.Verifier, c.Rules, c.Limits = v, v.rules.Load, limiter }}, options...)...)
	return g, v
}

// choose sends a query with a choice of a grant and of a tenant; empty: none.
func (g *gateway) choose(token, grant, name, path string, params ...string) apiResponse {
	r := g.request(http.MethodGet, path, params...)
	if grant != "" {
		r.Header.Set(headerGrant, grant)
	}
	if name != "" {
		r.Header.Set(headerTenant, name)
	}
	return g.send(token, r)
}

// TestGrants guarantees which lines each choice of a grant reads, and the code of each refusal.
func TestGrants(t *testing.T) {
	t.Parallel()
	g, _ := newGranted(t)
	all := []string{"alpha one", "alpha three", "alpha two", "beta one", "betalike"}
	for _, tt := range []struct {
		name, token, grant, tenant string
		want                       []string // lines; nil: refused
		code                       string
	}{
		{"one grant", "api", "", "", []string{"alpha one", "alpha two"}, ""},
		{"named", "api", "api", "", []string{"alpha one", "alpha two"}, ""},
		{"two that are not one scope", "api~beta", "", "", nil, "grant_ambiguous"},
		{"the first of them", "api~beta", "api", "", []string{"alpha one", "alpha two"}, ""},
		{"the second of them", "api~beta", "beta", "", []string{"beta one"}, ""},
		{"the wider of two", "api~both", "api", "", []string{"alpha one", "alpha three", "alpha two", "beta one"}, ""},
		{"narrowed to a tenant", "both", "", "beta", []string{"beta one"}, ""},
		{"narrowed to a foreign tenant", "api", "", "beta", nil, "tenant_not_yours"},
		{"the default", "preferred~beta", "", "", []string{"alpha three"}, ""},
		{"merged with the default", "preferred~api~beta", "", "", []string{"alpha one", "alpha three", "alpha two"}, ""},
		{"a grant of others", "api", "beta", "", nil, "grant_not_yours"},
		{"no grant of that name", "api", "nobodys", "", nil, "grant_not_yours"},
		{"no grant", "others", "", "", nil, "no_tenant"},
		{"every tenant", "staff", "", "", all, ""},
		{"every tenant, narrowed", "staff", "", "alpha-2", []string{"betalike"}, ""},
		{"every tenant, narrowed to one without logs", "staff", "", "none", []string{}, ""},
		{"every tenant, narrowed to none", "staff", "", "a|b", nil, "tenant_not_yours"},
		{"other limits are another choice", "staff~api", "", "", nil, "grant_ambiguous"},
		{"every tenant, chosen", "staff~api", "staff", "", all, ""},
	} {
		a := g.choose(tt.token, tt.grant, tt.tenant, "/api/v1/logs/query", "query", `{app=~".+"}`, "limit", "7", "since", "1h")
		if tt.want == nil {
			if a.StatusCode != http.StatusForbidden || !strings.Contains(a.text, `"code":"`+tt.code+`"`) {
				t.Errorf("%s: %d %s; want %s", tt.name, a.StatusCode, a.text, tt.code)
			}
			continue
		}
		var found []string
		for _, line := range append(all, "betaless") {
			if strings.Contains(a.text, line) {
				found = append(found, line)
			}
		}
		if a.StatusCode != http.StatusOK || !slices.Equal(found, tt.want) {
			t.Errorf("%s: %d %v; want %v\n%s", tt.name, a.StatusCode, found, tt.want, a.text)
		}
		if !slices.Contains(a.Header.Values("Vary"), headerGrant) {
			t.Errorf("%s: Vary %q", tt.name, a.Header.Values("Vary"))
		}
	}
	foreign, none := g.choose("api", "beta", "", "/api/v1/me"), g.choose("api", "nobodys", "", "/api/v1/me")
	if withoutID(foreign.text) != withoutID(none.text) {
		t.Errorf("a grant of others and none differ:\n%s\n%s", foreign.text, none.text)
	}
	twice := g.request(http.MethodGet, "/api/v1/me")
	twice.Header[headerGrant] = []string{"api", "beta"}
	if a := g.send("api~beta", twice); a.StatusCode != http.StatusBadRequest {
		t.Errorf("two headers: %d", a.StatusCode)
	}
}

func withoutID(text string) string {
	before, _, _ := strings.Cut(text, `"request_id"`)
	return before
}

// TestGrantsOff guarantees that a choice is refused where there are no grants: it would have no effect.
func TestGrantsOff(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	if a := g.choose(alphaToken, "api", "", "/api/v1/me"); a.StatusCode != http.StatusForbidden || !strings.Contains(a.text, "grant_not_yours") {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := g.choose(alphaToken, "", "", "/api/v1/me"); a.Header.Get("Vary") != "" || strings.Contains(a.text, "grants") {
		t.Errorf("%q %s", a.Header.Get("Vary"), a.text)
	}
}

// TestMyGrants guarantees that callers see what they can choose, and nothing of other grants.
func TestMyGrants(t *testing.T) {
	t.Parallel()
	g, _ := newGranted(t)
	a := g.choose("api~beta", "beta", "", "/api/v1/me")
	var me struct {
		Tenants  []string
		Selector string
		Grants   []struct {
			Names, Tenants []string
			Selector       string
			Chosen         bool
		}
	}
	if err := json.Unmarshal([]byte(a.text), &me); err != nil {
		t.Fatal(err)
	}
	if len(me.Grants) != 2 || me.Grants[0].Names[0] != "api" || me.Grants[0].Selector != `{app="api"}` || me.Grants[0].Chosen || !me.Grants[1].Chosen ||
		!slices.Equal(me.Tenants, []string{"beta"}) || me.Selector != "" || strings.Contains(a.text, "staff") {
		t.Errorf("%s", a.text)
	}
	if a := g.choose("api~beta", "api", "", "/api/v1/me"); !strings.Contains(a.text, `"selector":"{app=\"api\"}","subject"`) {
		t.Errorf("%s", a.text)
	}
	staff := g.choose("staff", "", "", "/api/v1/me")
	if !strings.Contains(staff.text, `"any_tenant":true`) || !strings.Contains(staff.text, `"tenants":[]`) || !strings.Contains(staff.text, `"max_lines":7`) {
		t.Errorf("%s", staff.text)
	}
	if a := g.choose("api~beta", "", "", "/api/v1/me"); !strings.Contains(a.text, `"grants":["api","beta"]`) {
		t.Errorf("%s", a.text)
	}
}

// TestAnyTenant guarantees that access to every tenant is held to the limits of its grant, counts for none of the
// tenants, and is marked in the log; and that it has to be narrowed where each tenant has an organization of its own.
func TestAnyTenant(t *testing.T) {
	t.Parallel()
	g, _ := newGranted(t)
	query := []string{"query", `{app="api"}`, "since", "1h", "limit", "8"}
	for _, name := range []string{"", "alpha"} {
		if a := g.choose("staff", "", name, "/api/v1/logs/query", query...); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.text, "it may request 7") {
			t.Errorf("narrowed to %q: %d %s", name, a.StatusCode, a.text)
		}
	}
	if a := g.choose("both", "", "", "/api/v1/logs/query", query...); a.StatusCode != http.StatusOK {
		t.Errorf("another grant: %d %s", a.StatusCode, a.text)
	}
	if log := g.log.String(); strings.Count(log, `"any_tenant":true`) != 2 || !strings.Contains(log, `"tenants":["*"]`) || !strings.Contains(log, `"grants":["staff"]`) {
		t.Errorf("%s", log)
	}
	perTenant, _ := newGranted(t, func(_ *Config, l *loki.Config) { l.OrgID = "{tenant}" })
	if a := perTenant.choose("staff", "", "", "/api/v1/logs/labels"); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.text, headerTenant) {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := perTenant.choose("staff", "", "alpha", "/api/v1/logs/labels"); a.StatusCode != http.StatusOK {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
}

// TestAccessChangedTail guarantees that an open tail ends with a reason when the grants no longer give what it reads, and
// continues while they do.
func TestAccessChangedTail(t *testing.T) {
	t.Parallel()
	g, v := newGranted(t)
	ends, stays := g.tail("api", "", "query", `{app="api"}`), g.tail("both", "", "query", `{app="api"}`)
	v.replace(t, "two", grantTo("api", `{app="web"}`, "alpha"), grantTo("both", "", "alpha", "beta", "gamma"))
	g.server.AccessChanged()
	for {
		e, ok := ends.next()
		if !ok {
			t.Fatal("it ended without a reason")
		}
		if e.name == "end" {
			if !strings.Contains(e.data, `"reason":"access_changed"`) {
				t.Errorf("%s", e.data)
			}
			break
		}
	}
	for e, ok := stays.next(); ; e, ok = stays.next() {
		if !ok || e.name == "end" {
			t.Fatalf("it ended: %+v", e)
		}
		if e.comment != "" {
			break // a heartbeat
		}
	}
	v.replace(t, "three", grantTo("others", "", "alpha"))
	g.server.AccessChanged()
	for {
		e, ok := stays.next()
		if !ok {
			t.Fatal("it ended without a reason")
		}
		if e.name == "end" {
			return
		}
	}
}

// TestAccessChangedQuery guarantees that a query in flight is refused when the grants no longer give what it reads: before
// its first byte with 403, after it by an end that cannot be taken for a complete response.
func TestAccessChangedQuery(t *testing.T) {
	t.Parallel()
	for _, written := range []bool{false, true} {
		g, v := newGranted(t)
		reached := make(chan struct{})
		g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if written {
				_, _ = io.WriteString(w, `{"status":"success","data":{`)
				_ = http.NewResponseController(w).Flush()
			}
			close(reached)
			<-r.Context().Done()
		}))
		r := g.request(http.MethodGet, "/api/v1/logs/query", "query", `{app="api"}`, "since", "1h")
		r.Header.Set("Authorization", "Bearer api")
		begun := make(chan struct{})
		go func() {
			<-reached
			if written {
				<-begun
			}
			v.replace(t, "two", grantTo("api", `{app="web"}`, "alpha"))
			g.server.AccessChanged()
		}()
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		close(begun)
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if written && err == nil || !written && (response.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "access_changed")) {
			t.Errorf("written %v: %d %s, %v", written, response.StatusCode, body, err)
		}
	}
}

// TestAccessChangedBetween guarantees that a request whose token was read by grants that are no longer in force is
// checked by those that are, before it reads anything.
func TestAccessChangedBetween(t *testing.T) {
	t.Parallel()
	v := &grantees{}
	v.replace(t, "one", grantsOfTest()...)
	after := &grantees{}
	after.replace(t, "two", grantTo("api", `{app="web"}`, "alpha"))
	g := newGateway(t, func(c *Config, _ *loki.Config) {
		c.Verifier, c.Rules = swapping{v, after}, after.rules.Load
	})
	if a := g.choose("api", "", "", "/api/v1/logs/labels"); a.StatusCode != http.StatusForbidden || !strings.Contains(a.text, "access_changed") {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
}

// swapping verifies by other rules than those that are in force after it.
type swapping struct{ before, after *grantees }

func (s swapping) VerifyCredential(ctx context.Context, c auth.Credential) (auth.Principal, error) {
	return s.before.VerifyCredential(ctx, c)
}
func (s swapping) Regrant(c auth.Credential) (auth.Principal, error) { return s.after.Regrant(c) }
func (s swapping) Ready() error                                      { return nil }
func (s swapping) Unusable() error                                   { return nil }
