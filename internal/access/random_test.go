package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// The streams that random grants are judged by, and the random parts of grants.
var (
	streamTenants = []string{"", "alpha", "beta", "gamma", "delta"}
	streamValues  = []string{"", "shop", "pay", "till"}
	groupNames    = []string{"a", "b", "ab", "logs-alpha", "logs-beta", "logs-ü", "logs-", "7", "true", "a/b c"}
	selectors     = []string{"", "", `{ns="shop"}`, `{ns="pay"}`, `{ns=~"shop|till"}`, `{ns!="shop"}`, `{ns="shop", app="till"}`, `{app="till"}`, `{app=~"pay|till", ns="shop"}`, `{app=~".+"}`}
)

type stream struct{ tenant, ns, app string }

func allStreams() []stream {
	var all []stream
	for _, name := range streamTenants {
		for _, ns := range streamValues {
			for _, app := range streamValues {
				all = append(all, stream{name, ns, app})
			}
		}
	}
	return all
}

func drawCondition(t *rapid.T, source Source) Condition {
	c := Condition{Claim: rapid.SampledFrom([]string{"groups", "roles", "o.r"}).Draw(t, "claim")}
	switch {
	case source == SourcePattern:
		c.Pattern = rapid.SampledFrom([]string{"logs-(?P<tenant>.*)", "(?P<tenant>alpha|beta)", "(?:logs-)?(?P<tenant>[a-z]+)"}).Draw(t, "pattern")
	case source == SourceMap:
		c.Map = map[string][]tenant.Name{}
		for _, group := range rapid.SliceOfNDistinct(rapid.SampledFrom(groupNames), 1, 3, rapid.ID[string]).Draw(t, "keys") {
			c.Map[group] = drawTenants(t)
		}
	case rapid.Bool().Draw(t, "wild"):
		c.Values = []string{rapid.SampledFrom([]string{"*", "logs-*", "*b*", "a*c"}).Draw(t, "value")}
	default:
		c.Values = rapid.SliceOfN(rapid.SampledFrom(groupNames), 1, 3).Draw(t, "values")
	}
	return c
}

func drawTenants(t *rapid.T) []tenant.Name {
	return rapid.SliceOfNDistinct(rapid.SampledFrom([]tenant.Name{"alpha", "beta", "gamma"}), 1, 3, rapid.ID[tenant.Name]).Draw(t, "tenants")
}

func drawGrant(t *rapid.T, n int) Grant {
	g := Grant{
		Name: fmt.Sprint("g", n), Source: rapid.SampledFrom([]Source{SourceList, SourceList, SourceList, SourcePattern, SourceMap, SourceAny}).Draw(t, "source"),
		Selector: rapid.SampledFrom(selectors).Draw(t, "selector"), Limits: rapid.SampledFrom([]string{"", "", "", "support"}).Draw(t, "limits"),
		Default: rapid.Bool().Draw(t, "default"),
		Issuers: rapid.SampledFrom([][]string{{issuerA}, {issuerB}, {issuerA, issuerB}}).Draw(t, "issuers"),
	}
	g.When = append(g.When, drawCondition(t, g.Source))
	if rapid.Bool().Draw(t, "second") {
		g.When = append(g.When, drawCondition(t, SourceList))
	}
	if g.Source == SourceList {
		g.Tenants = drawTenants(t)
	}
	return g
}

func drawClaims(t *rapid.T) map[string]any {
	value := rapid.Custom(func(t *rapid.T) any {
		switch text := rapid.SampledFrom(groupNames).Draw(t, "value"); text {
		case "7":
			return json.Number("7")
		case "true":
			return true
		default:
			return text
		}
	})
	list := func(name string) any { return rapid.SliceOfN(value, 0, 5).Draw(t, name) }
	return map[string]any{"groups": list("groups"), "roles": list("roles"), "o": map[string]any{"r": value.Draw(t, "r")}}
}

// naive decides by one grant and one stream at a time, in the plainest way that there is.
func naive(g Grant, issuer string, claims map[string]any, s stream) bool {
	if !strings.Contains(strings.Join(g.Issuers, " "), issuer) || s.tenant == "" {
		return false
	}
	var tenants []tenant.Name
	for _, c := range g.When {
		held := false
		for _, value := range naiveValues(claims, c.Claim) {
			holds, names := naiveHolds(c, value)
			held = held || holds
			tenants = append(tenants, names...)
		}
		if !held {
			return false
		}
	}
	inTenants := g.Source == SourceAny
	for _, name := range append(tenants, g.Tenants...) {
		inTenants = inTenants || string(name) == s.tenant
	}
	return inTenants && naiveSelects(g.Selector, s)
}

func naiveValues(claims map[string]any, path string) []string {
	var at any = claims
	for _, name := range strings.Split(path, ".") {
		at = at.(map[string]any)[name]
	}
	items, ok := at.([]any)
	if !ok {
		items = []any{at}
	}
	var all []string
	for _, item := range items {
		all = append(all, fmt.Sprint(item))
	}
	return all
}

func naiveHolds(c Condition, value string) (bool, []tenant.Name) {
	switch {
	case c.Map != nil:
		return c.Map[value] != nil, c.Map[value]
	case c.Pattern != "":
		m := regexp.MustCompile("^(?:" + c.Pattern + ")$").FindStringSubmatch(value)
		if m == nil || !tenant.Name(m[1]).Valid() {
			return false, nil
		}
		return true, []tenant.Name{tenant.Name(m[1])}
	}
	for _, v := range c.Values {
		if regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(v), `\*`, ".*") + "$").MatchString(value) {
			return true, nil
		}
	}
	return false, nil
}

var naiveMatcher = regexp.MustCompile(`(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"`)

func naiveSelects(selector string, s stream) bool {
	for _, m := range naiveMatcher.FindAllStringSubmatch(selector, -1) {
		value := map[string]string{"ns": s.ns, "app": s.app}[m[1]]
		matched := value == m[3]
		if strings.HasSuffix(m[2], "~") {
			matched = regexp.MustCompile("^(?:" + strings.ReplaceAll(m[3], `\\`, `\`) + ")$").MatchString(value)
		}
		if matched == strings.HasPrefix(m[2], "!") {
			return false
		}
	}
	return true
}

// reaches reports whether a choice reaches a stream.
func reaches(c Choice, s stream) bool {
	inTenants := c.Any && s.tenant != ""
	for _, name := range c.Tenants {
		inTenants = inTenants || string(name) == s.tenant
	}
	return inTenants && naiveSelects(c.Selector.String(), s)
}

// TestRandomGrants guarantees, for random grants and claims, that all choices together reach the streams that the
// grants give by the naive reading of the file; that no choice reaches more than its own grants; and that a grant which
// is added at the end makes no choice smaller. So a token of one issuer reaches nothing that only grants of others give.
func TestRandomGrants(t *testing.T) {
	t.Parallel()
	c := Config{Issuers: []Issuer{{Name: issuerA}, {Name: issuerB}}, Classes: []string{"support"}}
	fence, err := tenancy.New(tenancy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var grants []Grant
		for i := range rapid.IntRange(1, 8).Draw(t, "grants") {
			grants = append(grants, drawGrant(t, i))
		}
		claims, issuer := drawClaims(t), rapid.SampledFrom([]string{issuerA, issuerB}).Draw(t, "issuer")
		before := resolved(t, grants[:len(grants)-1], c, issuer, claims)
		after := resolved(t, grants, c, issuer, claims)
		byName := map[string]Grant{}
		for _, g := range grants {
			byName[g.Name] = g
		}
		for _, s := range allStreams() {
			want, got := false, false
			for _, g := range grants {
				want = want || naive(g, issuer, claims, s)
			}
			for _, choice := range after.All() {
				reached, own := reaches(choice, s), false
				for _, name := range choice.Names {
					own = own || naive(byName[name], issuer, claims, s)
				}
				if reached != own {
					t.Fatalf("%v reaches %v: %v; its grants: %v", choice, s, reached, own)
				}
				got = got || reached
			}
			if got != want {
				t.Fatalf("%v is reached: %v; want %v", s, got, want)
			}
			for _, name := range before.Names() {
				was, _ := before.Choose(name, true)
				is, err := after.Choose(name, true)
				if err != nil || reaches(was, s) && !reaches(is, s) {
					t.Fatalf("choice %s was %v and is %v (%v), without %v", name, was, is, err, s)
				}
			}
		}
		for _, choice := range after.All() { // the fence takes what is merged
			if !choice.Any {
				_, err = fence.Scope(choice.Tenants, choice.Selector.String())
			} else {
				_, err = fence.AnyTenant(choice.Selector.String())
			}
			if err != nil {
				t.Fatalf("%v: %v", choice, err)
			}
		}
	})
}

func resolved(t *rapid.T, grants []Grant, c Config, issuer string, claims map[string]any) Choices {
	if len(grants) == 0 {
		return Choices{}
	}
	r, err := New(grants, c)
	if err != nil {
		t.Fatal(err)
	}
	choices, err := r.Resolve(issuer, claims)
	if err != nil && !errors.Is(err, ErrNone) {
		t.Fatal(err)
	}
	return choices
}

// FuzzConditions guarantees that wildcards and patterns mean what their plainest reading does, and that no value makes
// a tenant that is none.
func FuzzConditions(f *testing.F) {
	f.Add("a*b", "logs-(?P<tenant>.*)", "logs-a")
	f.Add("*", "(?P<tenant>a)|b", "b")
	f.Add("**a", `\Qx`, "x")
	f.Add("a*", "(?i)LOGS-(?P<tenant>x)?", "logs-\n")
	f.Fuzz(func(t *testing.T, wildcard, pattern, value string) {
		if utf8.ValidString(wildcard) && utf8.ValidString(value) {
			plain := regexp.MustCompile(`(?s)\A` + strings.ReplaceAll(regexp.QuoteMeta(wildcard), `\*`, ".*") + `\z`)
			if got := matchesWildcard(wildcard, value); got != plain.MatchString(value) {
				t.Errorf("%q and %q: %v", wildcard, value, got)
			}
		}
		r, err := New([]Grant{{Name: "g", When: []Condition{{Claim: "c", Pattern: pattern}}, Source: SourcePattern}}, oneIssuer())
		if err != nil {
			return
		}
		choices, err := r.Resolve(issuerA, map[string]any{"c": value})
		found := regexp.MustCompile(pattern).FindStringIndex(value)
		if err == nil && (found == nil || !choices.All()[0].Tenants[0].Valid()) {
			t.Errorf("%q gives %v for %q", pattern, choices.All(), value)
		}
	})
}

// BenchmarkResolve measures a fresh token against 10,000 grants: of exact values, of wildcards, of patterns, and of a
// map, for a user in 200 groups.
func BenchmarkResolve(b *testing.B) {
	const n = 10_000
	var groups []any
	for i := range 200 {
		groups = append(groups, fmt.Sprintf("group-%d", i*50))
	}
	kinds := map[string]func(i int) Condition{
		"values": func(i int) Condition { return Condition{Claim: "groups", Values: []string{fmt.Sprintf("team-%d", i)}} },
		"wildcards": func(i int) Condition {
			return Condition{Claim: "groups", Values: []string{fmt.Sprintf("team-%d-*", i)}}
		},
		"patterns": func(i int) Condition { return Condition{Claim: "groups", Pattern: fmt.Sprintf("team-%d-[a-z]+", i)} },
		"applied": func(i int) Condition {
			return Condition{Claim: "groups", Values: []string{fmt.Sprintf("group-%d", i*3)}}
		},
	}
	for kind, condition := range kinds {
		b.Run(kind, func(b *testing.B) {
			var grants []Grant
			for i := range n {
				grants = append(grants, listed(fmt.Sprint("g", i), []Condition{condition(i)}, "", tenant.Name(fmt.Sprint("t", i%50))))
			}
			grants = append(grants, listed("all", when("groups", "group-0"), "", "alpha"))
			r := rulesOf(b, oneIssuer(), grants...)
			claims := map[string]any{"groups": groups}
			for b.Loop() {
				if _, err := r.Resolve(issuerA, claims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
