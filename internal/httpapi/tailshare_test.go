package httpapi

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/poll"
	"github.com/logfence/logfence/internal/tail"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// sharing are callers of alpha's: two without and one with a selector of their own, one whose token expires soon, and
// one who reads beta's lines as well.
func sharing(c *Config, _ *loki.Config) {
	who := everybody()
	alpha, _ := who[alphaToken].(auth.Principal)
	other, narrow, soon, both := alpha, alpha, alpha, alpha
	other.Subject = "bob@alpha"
	narrow.Selector = `{env="prod"}`
	soon.Expiry = now.Add(3 * time.Second)
	both.Tenants = []tenant.Name{"alpha", "beta"}
	who["other"], who["narrow"], who["soon"], who["both"] = other, narrow, soon, both
	c.Verifier = who
}

// TestTailsAreShared guarantees that viewers share one tail of Loki where tenants and fenced text are all equal, and in no
// other case, whatever text they send; and that what Loki is sent has nothing of a viewer.
func TestTailsAreShared(t *testing.T) {
	t.Parallel()
	g := newGateway(t, sharing, withLimits(t, func(c *limits.Config) { c.MaxTails = 100 }))
	const query = `{app=~"live"}`
	var alphas []*sse
	for _, token := range []string{alphaToken, "other", alphaToken} {
		alphas = append(alphas, g.tail(token, "", "query", query))
	}
	beta, narrow, both := g.tail(betaToken, "", "query", query), g.tail("narrow", "", "query", query), g.tail("both", "", "query", query)
	narrowed := g.tail("other", "", "query", `{app=~"live", env="prod"}`)
	g.following(alphas[0], "live")
	for _, s := range alphas[1:] {
		if got := s.texts(1); got[0] != "joined" {
			t.Fatalf("got %v", got)
		}
	}
	if n := len(g.loki.Tails()); n != 5 {
		t.Errorf("%d tails: %q", n, g.loki.Tails())
	}
	g.loki.Push(
		lokitest.Lines(labels("beta", "live"), now.Add(time.Second), "beta's"),
		lokitest.Lines(map[string]string{"tenant_id": "alpha", "app": "live", "env": "prod"}, now.Add(2*time.Second), "alpha's"),
	)
	for name, tt := range map[string]struct {
		of   *sse
		want []string
	}{
		"alpha's": {alphas[0], []string{"alpha's"}}, "another of alpha's": {alphas[1], []string{"alpha's"}},
		"alpha's again": {alphas[2], []string{"alpha's"}}, "beta's": {beta, []string{"beta's"}},
		"narrowed by a grant": {narrow, []string{"alpha's"}}, "narrowed by the query": {narrowed, []string{"alpha's"}},
		"of both": {both, []string{"alpha's", "beta's", "joined"}},
	} {
		got := tt.of.texts(len(tt.want))
		if slices.Sort(got); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v", name, got)
		}
		tt.of.quiet()
	}
	for _, r := range g.loki.Requests() {
		for _, header := range []string{"Authorization", "Last-Event-Id", "X-Forwarded-For", "Cookie"} {
			if r.Header.Get(header) != "" {
				t.Errorf("Loki got the header %s", header)
			}
		}
		if tags := r.Header.Get("X-Query-Tags"); strings.Contains(tags, "ann") || strings.Contains(tags, "bob") {
			t.Errorf("Loki got a viewer's tags: %s", tags)
		}
	}
}

// TestViewersEndAlone guarantees that the end of a viewer's token, or of its grant, ends that viewer and no other one of
// the same query.
func TestViewersEndAlone(t *testing.T) {
	t.Parallel()
	g := newGateway(t, sharing)
	soon := g.tail("soon", "", "query", `{app="live"}`)
	stays, revoked := g.tail(alphaToken, "", "query", `{app="live"}`), g.tail("other", "", "query", `{app="live"}`)
	g.following(stays, "live")
	if reason := soon.end(); reason != "token_expired" {
		t.Errorf("got %s", reason)
	}
	if n := g.server.tails.endWhere(func(c *caller) bool { return c.Subject == "bob@alpha" }, errors.New("revoked")); n != 1 {
		t.Errorf("%d tails ended", n)
	}
	if reason := revoked.end(); reason != "internal" { // a cause of which closeReason does not know
		t.Errorf("got %s", reason)
	}
	g.loki.Push(lokitest.Lines(labels("alpha", "live"), now.Add(time.Second), "later"))
	if got := stays.texts(1); got[0] != "later" {
		t.Errorf("got %v", got)
	}
	poll.Wait(g, "one tail is open", func() bool { return g.server.Tails() == 1 })
}

// TestSharedKey guarantees that the organization is part of what tails are shared by.
func TestSharedKey(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(_ *Config, l *loki.Config) { l.OrgID = "logs-{tenant}" })
	fence, err := tenancy.New(tenancy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[any]bool{}
	for _, tenants := range [][]tenant.Name{{"alpha"}, {"beta"}, {"alpha", "beta"}} {
		scope, err := fence.Scope(tenants, "")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			q, err := scope.Query(`{app="api"}`)
			if err != nil {
				t.Fatal(err)
			}
			organization, err := g.config.Loki.Organization(q)
			if err != nil || organization == "" {
				t.Fatal(organization, err)
			}
			keys[tail.Key{Query: q, Organization: organization}] = true
		}
	}
	if len(keys) != 3 {
		t.Errorf("%d keys", len(keys))
	}
	if a := g.get(alphaToken, "/api/v1/logs/tail", "query", `{app="api"}`); a.StatusCode != http.StatusOK {
		t.Errorf("got %d %s", a.StatusCode, a.text)
	}
}
