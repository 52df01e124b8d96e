package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/tenant"
)

const (
	issuerA = "https://a.example"
	issuerB = "https://b.example"
)

// oneIssuer is a configuration of one issuer that may name every tenant.
func oneIssuer() Config {
	return Config{Generation: "g1", Issuers: []Issuer{{Name: issuerA}}, Classes: []string{"support", "trial"}}
}

func rulesOf(t testing.TB, c Config, grants ...Grant) *Rules {
	t.Helper()
	r, err := New(grants, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// claimsOf are the claims as package auth decodes them.
func claimsOf(t testing.TB, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var claims map[string]any
	if err := d.Decode(&claims); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return claims
}

func when(claim string, values ...string) []Condition {
	return []Condition{{Claim: claim, Values: values}}
}

// listed is a grant of some tenants.
func listed(name string, when []Condition, selector string, tenants ...tenant.Name) Grant {
	return Grant{Name: name, When: when, Source: SourceList, Tenants: tenants, Selector: selector}
}

// given are the choices of a token, each as its grants and what it reaches.
func given(t testing.TB, r *Rules, issuer, claims string) []string {
	t.Helper()
	choices, err := r.Resolve(issuer, claimsOf(t, claims))
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range choices.All() {
		all = append(all, strings.Join(c.Names, "+")+": "+c.String())
	}
	return all
}

// TestConditions guarantees what a condition takes for a match.
func TestConditions(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü /", 100)
	for _, tt := range []struct {
		name      string
		condition Condition
		claims    string
		want      bool
	}{
		{"a value of several", Condition{Claim: "groups", Values: []string{"x", "shop-team"}}, `{"groups":["a","shop-team"]}`, true},
		{"a string alone", Condition{Claim: "groups", Values: []string{"shop-team"}}, `{"groups":"shop-team"}`, true},
		{"case counts", Condition{Claim: "groups", Values: []string{"Shop"}}, `{"groups":["shop"]}`, false},
		{"a part is not the value", Condition{Claim: "groups", Values: []string{"shop"}}, `{"groups":["shop-team","a shop"]}`, false},
		{"a wildcard", Condition{Claim: "groups", Values: []string{"till-*"}}, `{"groups":["till-7/ü"]}`, true},
		{"a wildcard for nothing", Condition{Claim: "groups", Values: []string{"till-*"}}, `{"groups":["till-"]}`, true},
		{"a wildcard in the middle", Condition{Claim: "groups", Values: []string{"a*b*c"}}, `{"groups":["a-b-b-c"]}`, true},
		{"ends do not overlap", Condition{Claim: "groups", Values: []string{"ab*ba"}}, `{"groups":["aba"]}`, false},
		{"nothing else is special", Condition{Claim: "groups", Values: []string{"a.c", "a?c", "[ab]", `a\*`}}, `{"groups":["abc","a"]}`, false},
		{"any text, as it is", Condition{Claim: "groups", Values: []string{long}}, `{"groups":["` + long + `"]}`, true},
		{"a boolean", Condition{Claim: "ok", Values: []string{"true"}}, `{"ok":true}`, true},
		{"an integer", Condition{Claim: "id", Values: []string{"-17"}}, `{"id":-17}`, true},
		{"a fraction has several texts", Condition{Claim: "id", Values: []string{"1.0", "1"}}, `{"id":1.0}`, false},
		{"so has an exponent", Condition{Claim: "id", Values: []string{"1e3", "1000"}}, `{"id":1e3}`, false},
		{"null", Condition{Claim: "id", Values: []string{"null", "*"}}, `{"id":null}`, false},
		{"an object", Condition{Claim: "id", Values: []string{"*"}}, `{"id":{"a":"b"}}`, false},
		{"an array in an array", Condition{Claim: "id", Values: []string{"*"}}, `{"id":[["a"]]}`, false},
		{"absent", Condition{Claim: "id", Values: []string{"*"}}, `{}`, false},
		{"a path", Condition{Claim: "realm_access.roles", Values: []string{"logs"}}, `{"realm_access":{"roles":["logs"]}}`, true},
		{"a pattern", Condition{Claim: "groups", Pattern: "team-[a-z]+"}, `{"groups":["team-shop"]}`, true},
		{"a pattern is anchored", Condition{Claim: "groups", Pattern: "team|x"}, `{"groups":["team-shop","xx","a team"]}`, false},
		{"at a line break as well", Condition{Claim: "groups", Pattern: "(?m)^team$"}, `{"groups":["team\nx"]}`, false},
		{"a value that is not matched is ignored", Condition{Claim: "groups", Values: []string{"a"}}, `{"groups":[null,7,{"a":1},"` + long + `","a"]}`, true},
		{"a group with a path", Condition{Claim: "groups", Values: []string{"/acme/alpha"}}, `{"groups":["/acme/alpha"]}`, true},
	} {
		r := rulesOf(t, oneIssuer(), listed("g", []Condition{tt.condition}, "", "alpha"))
		if got := given(t, r, issuerA, tt.claims); (got != nil) != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestSources guarantees which tenants a grant gives.
func TestSources(t *testing.T) {
	t.Parallel()
	pattern := []Condition{{Claim: "groups", Pattern: "logs-(?P<tenant>.+)"}}
	later := []Condition{{Claim: "groups", Pattern: "(prod|test)-(logs)(?:-(?P<tenant>.+))?"}}
	table := []Condition{{Claim: "groups", Map: map[string][]tenant.Name{"1-2": {"alpha"}, "3-4": {"beta", "gamma"}}}}
	for _, tt := range []struct {
		name, claims string
		grant        Grant
		want         string
	}{
		{"from a pattern", `{"groups":["logs-b","logs-a","x"]}`, Grant{Name: "g", When: pattern, Source: SourcePattern}, "g: a,b"},
		{"a value that names none", `{"groups":["logs-a","logs-my team","logs-ü"]}`, Grant{Name: "g", When: pattern, Source: SourcePattern}, "g: a"},
		{"only such values", `{"groups":["logs-my team"]}`, Grant{Name: "g", When: pattern, Source: SourcePattern}, ""},
		{"the group is not the first", `{"groups":["prod-logs-a","test-logs-bc"]}`, Grant{Name: "g", When: later, Source: SourcePattern}, "g: a,bc"},
		{"a group that matched nothing", `{"groups":["prod-logs"]}`, Grant{Name: "g", When: later, Source: SourcePattern}, ""},
		{"from a map", `{"groups":["3-4","9-9"]}`, Grant{Name: "g", When: table, Source: SourceMap}, "g: beta,gamma"},
		{"two conditions", `{"groups":["logs-a"],"acr":"mfa"}`, Grant{Name: "g", When: append(when("acr", "mfa"), pattern...), Source: SourcePattern}, "g: a"},
		{"one of two", `{"groups":["logs-a"],"acr":"pwd"}`, Grant{Name: "g", When: append(when("acr", "mfa"), pattern...), Source: SourcePattern}, ""},
		{"every tenant", `{"acr":"mfa"}`, Grant{Name: "g", When: when("acr", "mfa"), Source: SourceAny, Issuers: []string{issuerA}, Limits: "support", Selector: `{env="prod"}`}, `g: * {env="prod"} (limits: support)`},
	} {
		got := strings.Join(given(t, rulesOf(t, oneIssuer(), tt.grant), issuerA, tt.claims), "; ")
		if got != tt.want {
			t.Errorf("%s: %q; want %q", tt.name, got, tt.want)
		}
	}
}

// TestMerge guarantees which grants become one choice.
func TestMerge(t *testing.T) {
	t.Parallel()
	all := when("groups", "*")
	shop := func(name, selector string, tenants ...tenant.Name) Grant {
		return listed(name, all, selector, tenants...)
	}
	staff := func(name, selector, class string) Grant {
		return Grant{Name: name, When: all, Source: SourceAny, Issuers: []string{issuerA}, Selector: selector, Limits: class}
	}
	limited := func(g Grant, class string) Grant {
		g.Limits = class
		return g
	}
	for _, tt := range []struct {
		name   string
		grants []Grant
		want   []string
	}{
		{"tenants of one selector", []Grant{shop("a", `{x="1"}`, "alpha"), shop("b", `{x="1"}`, "beta")}, []string{`a+b: alpha,beta {x="1"}`}},
		{"selectors of one tenant", []Grant{shop("a", `{x="1"}`, "alpha"), shop("b", `{x="2"}`, "alpha")}, []string{`a+b: alpha {x=~"(?:1)|(?:2)"}`}},
		{"neither", []Grant{shop("a", `{x="1"}`, "alpha"), shop("b", `{x="2"}`, "beta")}, []string{`a: alpha {x="1"}`, `b: beta {x="2"}`}},
		{"the wider stays", []Grant{shop("a", `{x="1"}`, "alpha"), shop("b", ``, "alpha", "beta")}, []string{`a+b: alpha,beta`}},
		{"negative matchers", []Grant{shop("a", `{x!="1"}`, "alpha"), shop("b", `{x!="2"}`, "alpha")}, []string{`a: alpha {x!="1"}`, `b: alpha {x!="2"}`}},
		{"other limits", []Grant{shop("a", ``, "alpha"), limited(shop("b", ``, "alpha"), "trial")}, []string{`a: alpha`, `b: alpha (limits: trial)`}},
		{"until nothing merges", []Grant{shop("a", `{x="1"}`, "alpha"), shop("b", `{x="2"}`, "beta"), shop("c", ``, "alpha"), shop("d", ``, "beta")}, []string{`a+b+c+d: alpha,beta`}},
		{"a later one merges and comes first", []Grant{shop("z", `{x="1"}`, "alpha"), shop("b", `{y="1"}`, "beta"), shop("a", ``, "alpha")}, []string{`z+a: alpha`, `b: beta {y="1"}`}},
		{"every tenant is wider", []Grant{shop("a", `{x="1"}`, "alpha"), staff("s", "", "")}, []string{`a+s: *`}},
		{"every tenant of other limits is not", []Grant{shop("a", ``, "alpha"), staff("s", "", "support")}, []string{`a: alpha`, `s: * (limits: support)`}},
		{"every tenant, two selectors", []Grant{staff("s", `{x="1"}`, ""), staff("t", `{x="2"}`, "")}, []string{`s+t: * {x=~"(?:1)|(?:2)"}`}},
		{"the first in the file decides", []Grant{shop("a", `{x="1"}`, "alpha"), shop("b", `{x="1"}`, "beta"), shop("c", `{x="2"}`, "alpha")}, []string{`a+b: alpha,beta {x="1"}`, `c: alpha {x="2"}`}},
	} {
		if d := cmp.Diff(tt.want, given(t, rulesOf(t, oneIssuer(), tt.grants...), issuerA, `{"groups":["g"]}`)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

// TestChoose guarantees which choice a caller gets, and that a grant of others is as one that does not exist.
func TestChoose(t *testing.T) {
	t.Parallel()
	of := func(name, group, selector string, isDefault bool, tenants ...tenant.Name) Grant {
		g := listed(name, when("groups", group), selector, tenants...)
		g.Default = isDefault
		return g
	}
	r := rulesOf(t, oneIssuer(),
		of("a", "a", `{x="1"}`, false, "alpha"), of("b", "b", `{x="2"}`, true, "beta"), of("c", "c", `{y="3"}`, true, "gamma"), of("d", "d", "", false, "delta"))
	for _, tt := range []struct {
		groups, choose string
		want           string
	}{
		{"a", "", "a"},
		{"a,b", "", "b"},
		{"a,b", "a", "a"},
		{"b,c", "", "several grants apply: b, c"},
		{"a,d", "", "several grants apply: a, d"},
		{"a,b", "d", "not a grant of the token"},
		{"a,b", "none-of-that-name", "not a grant of the token"},
		{"a,b", "A", "not a grant of the token"},
	} {
		claims := `{"groups":["` + strings.ReplaceAll(tt.groups, ",", `","`) + `"]}`
		choices, err := r.Resolve(issuerA, claimsOf(t, claims))
		if err != nil {
			t.Fatal(err)
		}
		got, err := choices.Choose(tt.choose, tt.choose != "")
		text := strings.Join(got.Names, "+")
		if err != nil {
			text = err.Error()
		}
		if text != tt.want {
			t.Errorf("groups %s, chosen %q: %s; want %s", tt.groups, tt.choose, text, tt.want)
		}
	}
	if choices, _ := r.Resolve(issuerA, claimsOf(t, `{"groups":["a"]}`)); choices.Generation() != "g1" {
		t.Errorf("generation %s", choices.Generation())
	}
	if _, err := (Choices{}).Choose("", false); err == nil {
		t.Error("the zero Choices gives something")
	}
}

// TestTooMany guarantees that more than is taken is refused with its count, and never cut.
func TestTooMany(t *testing.T) {
	t.Parallel()
	r := rulesOf(t, oneIssuer(), Grant{Name: "g", When: []Condition{{Claim: "groups", Pattern: "(?P<tenant>.*)"}}, Source: SourcePattern})
	var groups []string
	for i := range 65 {
		groups = append(groups, fmt.Sprintf("%q", fmt.Sprintf("t%d", i)))
	}
	for _, n := range []int{64, 65} {
		choices, err := r.Resolve(issuerA, claimsOf(t, `{"groups":[`+strings.Join(groups[:n], ",")+`]}`))
		if err != nil {
			t.Fatal(err)
		}
		_, err = choices.Choose("", false)
		var tooMany *TooManyError
		if refused := errors.As(err, &tooMany); refused != (n > 64) || refused && tooMany.Count != n {
			t.Errorf("%d tenants: %v", n, err)
		}
	}
	var grants []Grant
	for i := range MaxApplied + 1 {
		grants = append(grants, listed(fmt.Sprint("g", i), when("groups", "x"), "", "alpha"))
	}
	if _, err := rulesOf(t, oneIssuer(), grants[:MaxApplied]...).Resolve(issuerA, claimsOf(t, `{"groups":"x"}`)); err != nil {
		t.Error(err)
	}
	if _, err := rulesOf(t, oneIssuer(), grants...).Resolve(issuerA, claimsOf(t, `{"groups":"x"}`)); err == nil {
		t.Error("any number of grants")
	}
}

// TestLeftOut guarantees that groups which the provider has left out are told apart from none, and that a token which
// another grant applies to is not refused for them.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	r := rulesOf(t, oneIssuer(), listed("g", when("groups", "a"), "", "alpha"), listed("r", when("roles", "a"), "", "beta"))
	for claims, want := range map[string]error{
		`{"_claim_names":{"groups":"src1"}}`:              ErrLeftOut,
		`{"hasgroups":true}`:                              ErrLeftOut,
		`{"_claim_names":{"groups":"s"},"roles":["a"]}`:   nil,
		`{"_claim_names":{"groups":"s"},"groups":["x"]}`:  ErrNone,
		`{"_claim_names":{"wids":"s"}}`:                   ErrNone,
		`{}`:                                              ErrNone,
		`{"_claim_names":"groups","hasgroups":null}`:      ErrNone,
		`{"groups":["a"],"hasgroups":true,"roles":["x"]}`: nil,
	} {
		if _, err := r.Resolve(issuerA, claimsOf(t, claims)); !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", claims, err, want)
		}
	}
}

// TestIssuers guarantees that a token reaches nothing that only grants of other issuers give, and no tenant that its
// issuer may not name.
func TestIssuers(t *testing.T) {
	t.Parallel()
	c := oneIssuer()
	c.Issuers = append(c.Issuers, Issuer{Name: issuerB, MayName: func(name tenant.Name) bool { return name != "alpha" }})
	ofA := listed("of-a", when("groups", "shop"), "", "alpha")
	ofA.Issuers = []string{issuerA}
	both := Grant{
		Name: "both", When: []Condition{{Claim: "groups", Pattern: "logs-(?P<tenant>.*)"}}, Source: SourcePattern, Issuers: []string{issuerA, issuerB},
	}
	r := rulesOf(t, c, ofA, both)
	claims := `{"groups":["shop","logs-alpha","logs-beta"]}`
	if d := cmp.Diff([]string{"of-a+both: alpha,beta"}, given(t, r, issuerA, claims)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"both: beta"}, given(t, r, issuerB, claims)); d != "" {
		t.Error(d)
	}
	for _, other := range []string{"", issuerA + "/", strings.ToUpper(issuerA), "https://c.example"} {
		if got := given(t, r, other, claims); got != nil {
			t.Errorf("tokens of %q: %v", other, got)
		}
	}
}

// TestMistakes guarantees that every mistake is reported at once, each under its path.
func TestMistakes(t *testing.T) {
	t.Parallel()
	two := oneIssuer()
	two.Issuers = append(two.Issuers, Issuer{Name: issuerB, MayName: func(name tenant.Name) bool { return name == "beta" }})
	ok := when("groups", "a")
	for _, tt := range []struct {
		name   string
		config Config
		grants []Grant
		want   []string // path: part of the problem
	}{
		{"none", oneIssuer(), nil, []string{"grants: none"}},
		{"an empty grant", oneIssuer(), []Grant{{}}, []string{"grants[0].name: required", "grants[0].when: required", "grants[0].tenants: required"}},
		{"names", oneIssuer(), []Grant{listed("a b", ok, "", "x"), listed("a", ok, "", "x"), listed("a", ok, "", "x")}, []string{"grants[0].name: ", `grants[2].name: "a" is the name of grants[1]`}},
		{"tenants", oneIssuer(), []Grant{listed("a", ok, "", "x y", "b", "b", "*")}, []string{"grants[0].tenants: ", "grants[0].tenants: ", "grants[0].tenants: "}},
		{"a list of none", oneIssuer(), []Grant{listed("a", ok, "")}, []string{"grants[0].tenants: an empty list"}},
		{"selectors", oneIssuer(), []Grant{listed("a", ok, `{__name__="x"}`, "x"), listed("b", ok, `{x="1"} |= "y"`, "x"), listed("c", ok, `{}`, "x"), listed("d", ok, `{x=`, "x")}, []string{"grants[0].selector: ", "grants[1].selector: ", "grants[2].selector: ", "grants[3].selector: "}},
		{"a class", oneIssuer(), []Grant{{Name: "a", When: ok, Source: SourceList, Tenants: []tenant.Name{"x"}, Limits: "gold"}}, []string{`grants[0].limits: there is no class "gold" in the limits file; the classes are support, trial`}},
		{"every tenant without issuers", oneIssuer(), []Grant{{Name: "a", When: ok, Source: SourceAny}}, []string{"grants[0].issuers: required for tenants"}},
		{"several issuers", two, []Grant{listed("a", ok, "", "x")}, []string{"grants[0].issuers: required, as there are several"}},
		{"a tenant that the issuer may not name", two, []Grant{{Name: "a", When: ok, Source: SourceList, Tenants: []tenant.Name{"x"}, Issuers: []string{issuerB}}}, []string{"grants[0].tenants: the issuer https://b.example may not name"}},
		{"issuers", oneIssuer(), []Grant{{Name: "a", When: ok, Source: SourceList, Tenants: []tenant.Name{"x"}, Issuers: []string{issuerA + "/", issuerA, issuerA}}}, []string{"grants[0].issuers[0]: ", "grants[0].issuers[2]: "}},
		{"a bounded issuer and every tenant", two, []Grant{{Name: "a", When: ok, Source: SourceAny, Issuers: []string{issuerB}}}, []string{`grants[0].tenants: "*" is more than the issuer`}},
		{"conditions", oneIssuer(), []Grant{listed("a", []Condition{{}, {Claim: "a..b", Values: []string{"x"}}, {Claim: "a", Values: []string{"x"}, Pattern: "y"}, {Claim: "a", Values: []string{}}, {Claim: "a", Values: []string{""}}}, "", "x")}, []string{"grants[0].when[0].claim: required", "grants[0].when[0]: has 0 of", "grants[0].when[1].claim: ", "grants[0].when[2]: has 2 of", "grants[0].when[3].values: an empty list", "grants[0].when[4]: has an empty value"}},
		{"patterns", oneIssuer(), []Grant{listed("a", []Condition{{Claim: "a", Pattern: "("}, {Claim: "a", Pattern: `a)|(?:b`}, {Claim: "a", Pattern: `a\Qb`}, {Claim: "a", Pattern: strings.Repeat("a", 1001)}}, "", "x")}, []string{"grants[0].when[0].pattern: ", "grants[0].when[1].pattern: ", "grants[0].when[2].pattern: ", "grants[0].when[3].pattern: a pattern of 1001 bytes"}},
		{"a pattern that names no tenant", oneIssuer(), []Grant{{Name: "a", When: []Condition{{Claim: "a", Pattern: "b"}}, Source: SourcePattern}}, []string{"grants[0].tenants: from-pattern needs one condition"}},
		{"a tenant that is not read", oneIssuer(), []Grant{listed("a", []Condition{{Claim: "a", Pattern: "(?P<tenant>b)"}}, "", "x")}, []string{"grants[0].tenants: a pattern has a group named tenant, which is not read"}},
		{"maps", oneIssuer(), []Grant{{Name: "a", When: []Condition{{Claim: "a", Map: map[string][]tenant.Name{"x*": {"a"}, "y": {}, "z": {"b c"}}}}, Source: SourceMap}}, []string{"grants[0].when[0].map.x*: ", "grants[0].when[0].map.z: ", "grants[0].when[0].map.y: an empty list"}},
	} {
		_, err := New(tt.grants, tt.config)
		found := fielderror.All(err)
		if len(found) != len(tt.want) {
			t.Errorf("%s: %d mistakes, want %d:\n%v", tt.name, len(found), len(tt.want), err)
		}
		for _, want := range tt.want {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s: no %q in\n%v", tt.name, want, err)
			}
		}
	}
}

// TestExplain guarantees that a grant says what it gives, or why it does not apply.
func TestExplain(t *testing.T) {
	t.Parallel()
	c := oneIssuer()
	c.Issuers = append(c.Issuers, Issuer{Name: issuerB})
	for i, tt := range []struct {
		grant  Grant
		claims string
		want   string
	}{
		{listed("g", when("groups", "a"), `{x="1"}`, "alpha"), `{"groups":["a"]}`, `gives alpha {x="1"}`},
		{listed("g", when("groups", "a"), "", "alpha"), `{"groups":["b","c"]}`, "none of the 2 values of groups matches"},
		{listed("g", when("roles.x", "a"), "", "alpha"), `{"groups":["b","c"]}`, "the token has no roles.x"},
		{listed("g", when("groups", "a"), "", "alpha"), `{"hasgroups":true}`, "the provider has left groups out of the token"},
		{listed("g", when("groups", "a"), "", "alpha"), `{"groups":{}}`, "groups has no text, boolean or integer"},
		{Grant{Name: "g", When: when("groups", "a"), Source: SourceAny}, `{"groups":["a"]}`, "it is for tokens of https://b.example"},
	} {
		tt.grant.Issuers = []string{issuerA}
		if tt.grant.Source == SourceAny {
			tt.grant.Issuers = []string{issuerB}
		}
		v := rulesOf(t, c, tt.grant).Explain(issuerA, claimsOf(t, tt.claims))[0]
		if got := v.Why + strings.Repeat("gives ", len(v.Gives)/max(len(v.Gives), 1)) + v.Gives; got != tt.want {
			t.Errorf("%d: %s; want %s", i, got, tt.want)
		}
	}
}
