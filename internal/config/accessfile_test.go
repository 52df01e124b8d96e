package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/auth"
)

// accessConfig is a configuration of some issuers that may each name every tenant.
func accessConfig(issuers ...string) Config {
	c := Config{AccessFile: "access.yaml", Auth: auth.Defaults()}
	c.Auth.Grants = true
	for _, name := range issuers {
		c.Auth.Issuers = append(c.Auth.Issuers, auth.Issuer{URL: name, Audiences: []string{"logs"}, JWKSURL: "https://keys.example"})
	}
	return c
}

const accessExample = `grants:
  - name: shop
    when: [{claim: groups, values: [shop-team, "till-*", 7, true]}]
    tenants: [alpha]
    selector: '{namespace=~"shop|pay"}'
  - name: by-group
    when: [{claim: groups, pattern: "logs-(?P<tenant>[a-z0-9-]+)"}]
    tenants: from-pattern
    default: true
  - name: entra
    when:
      - claim: groups
        map: {5ba1: [alpha], 7c.2: [beta, gamma]}
    tenants: from-map
  - name: support
    when: [{claim: roles, values: [log-support]}, {claim: acr, values: [mfa]}]
    issuers: [https://id.example.com]
    tenants: "*"
    limits: support
`

// TestAccessFile guarantees the form of the file.
func TestAccessFile(t *testing.T) {
	t.Parallel()
	c := accessConfig("https://id.example.com")
	rules, err := c.ParseAccess([]byte(accessExample), []string{"support"})
	if err != nil {
		t.Fatal(err)
	}
	for claims, want := range map[string]string{
		"shop-team": "alpha {namespace=~\"shop|pay\"}", "till-9": "alpha {namespace=~\"shop|pay\"}", "7": "alpha {namespace=~\"shop|pay\"}",
		"logs-beta": "beta", "5ba1": "alpha", "7c.2": "beta,gamma",
	} {
		choices, err := rules.Resolve("https://id.example.com", map[string]any{"groups": []any{claims}})
		if err != nil || choices.All()[0].String() != want || choices.Generation() == "" {
			t.Errorf("%s: %v, %v; want %s", claims, choices.All(), err, want)
		}
	}
	choices, err := rules.Resolve("https://id.example.com", map[string]any{"roles": "log-support", "acr": "mfa"})
	if err != nil || choices.All()[0].String() != "* (limits: support)" {
		t.Errorf("%v, %v", choices.All(), err)
	}
	again, err := c.ParseAccess([]byte(accessExample+"\n"), []string{"support"})
	if err != nil || again.Generation() == rules.Generation() {
		t.Errorf("another content has the same generation: %v", err)
	}
}

// TestAccessFileMistakes guarantees that every mistake is reported at once, each with its line.
func TestAccessFileMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file string
		want       []string
	}{
		{"not YAML", "grants: [", []string{"not YAML"}},
		{"unknown keys", "grant: []\ngrants:\n  - name: a\n    when: [{claim: g, value: [x]}]\n    tenant: [a]\n", []string{
			"grant: unknown key", "grants[0].when[0].value: unknown key; did you mean \"values\"? (line 4)", "grants[0].tenant: unknown key; did you mean \"tenants\"? (line 5)",
			"grants[0].when[0]: has 0 of values, pattern and map; write one of them (line 4)", "grants[0].tenants: required",
		}},
		{"each line", "grants:\n  - name: a\n    when: [{claim: g, values: [x]}]\n    tenants: [a b]\n  - name: a\n    when: [{claim: g, pattern: '('}]\n    tenants: [a]\n    selector: '{__x=\"1\"}'\n    limits: gold\n    default: yes\n", []string{
			`grants[0].tenants: "a b" is not a name of 1 to 128 bytes of [A-Za-z0-9._-] (line 4)`, "is the name of grants[0] already; write another (line 5)",
			"grants[1].when[0].pattern: ", "(line 6)", "grants[1].selector: ", "(line 8)", "grants[1].limits: ", "(line 9)", "grants[1].default: \"yes\" is neither; write true or false (line 10)",
		}},
		{"not a list", "grants: {a: b}", []string{"grants: not a list"}},
		{"no grant", "grants:\n", []string{"grants: none"}},
		{"an empty file", "", []string{"grants: none"}},
		{"a word", "grants: [{name: a, when: [{claim: g, values: [x]}], tenants: from-patern}]", []string{"grants[0].tenants: \"from-patern\" is neither a list"}},
		{"a value of several lines", "grants:\n  - name: a\n    when: [{claim: g, values: [{a: b}]}]\n    tenants: [a]\n", []string{"grants[0].when[0].values: has an item that is not plain text"}},
		{"an anchor", "grants:\n  - &a {name: a}\n", []string{"grants[0]"}},
		{"an issuer", "grants:\n  - name: a\n    when: [{claim: g, values: [x]}]\n    tenants: [a]\n    issuers:\n      - https://id.example.com\n      - https://other.example.com\n", []string{`grants[0].issuers[1]: "https://other.example.com" is not configured; write the iss of its tokens: https://id.example.com (line 7)`}},
		{"several documents", "grants: []\n---\ngrants: []\n", []string{"a second YAML document"}},
	} {
		_, err := accessConfig("https://id.example.com").ParseAccess([]byte(tt.file), nil)
		for _, want := range tt.want {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s: no %q in\n%v", tt.name, want, err)
			}
		}
	}
}

// TestAccessSources guarantees that claims whose values anybody can choose need a condition beside them that is on an
// ID of the operator's own.
func TestAccessSources(t *testing.T) {
	t.Parallel()
	const github = "https://token.actions.githubusercontent.com"
	for conditions, ok := range map[string]bool{
		`{claim: repository, values: [acme/app]}`:                                                    false,
		`{claim: repository_owner_id, values: ["65"]}`:                                               true,
		`{claim: repository, values: [acme/app]}, {claim: repository_owner_id, values: ["65"]}`:      true,
		`{claim: repository_owner_id, values: ["6*"]}`:                                               false,
		`{claim: repository_owner_id, pattern: ".*"}`:                                                false,
		`{claim: repository_owner_id, values: ["65"]}, {claim: user_metadata.tenant, values: ["a"]}`: false,
	} {
		file := "grants: [{name: a, when: [" + conditions + "], tenants: [alpha], issuers: [" + github + "]}]"
		if _, err := accessConfig(github).ParseAccess([]byte(file), nil); (err == nil) != ok {
			t.Errorf("%s: %v", conditions, err)
		}
	}
	rules, err := accessConfig("https://id.example.com").ParseAccess([]byte(
		"grants:\n  - {name: a, when: [{claim: email, values: [ann@acme.com]}], tenants: [alpha]}\n"+
			"  - {name: b, when: [{claim: email, values: [ann@acme.com]}, {claim: email_verified, values: [true]}], tenants: [alpha]}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if warnings := accessConfig("https://id.example.com").Auth.GrantWarnings(rules.Grants()); len(warnings) != 1 || !strings.Contains(warnings[0], "grant a: email") {
		t.Errorf("%q", warnings)
	}
}

// TestAccessDirectories guarantees that each directory of a template is an issuer of its own to grants.
func TestAccessDirectories(t *testing.T) {
	t.Parallel()
	const template, one, two = "https://login.microsoftonline.com/{tenantid}/v2.0", "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	c := accessConfig(template)
	c.Auth.Issuers[0].Directories = []string{one, two}
	if err := c.Auth.Validate(); err != nil {
		t.Fatal(err)
	}
	grant := func(issuers string) string {
		return "grants: [{name: a, when: [{claim: groups, values: [x]}], tenants: [alpha]" + issuers + "}]"
	}
	for _, refused := range []string{"", ", issuers: ['" + template + "']"} {
		if _, err := c.ParseAccess([]byte(grant(refused)), nil); err == nil {
			t.Errorf("%q: taken, though two directories could make tokens for it", refused)
		}
	}
	rules, err := c.ParseAccess([]byte(grant(", issuers: [https://login.microsoftonline.com/"+one+"/v2.0]")), nil)
	if err != nil {
		t.Fatal(err)
	}
	for directory, ok := range map[string]bool{one: true, two: false} {
		if _, err := rules.Resolve("https://login.microsoftonline.com/"+directory+"/v2.0", map[string]any{"groups": "x"}); (err == nil) != ok {
			t.Errorf("%s: %v", directory, err)
		}
	}
}

// TestAccessSetting guarantees that the file is read with the settings: its mistakes are theirs, and it takes the place
// of the tenant claim and of the bounds of several issuers.
func TestAccessSetting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	settings := write("config.yaml", "issuers:\n  - {issuer: https://a.example, audience: logs}\n  - {issuer: https://b.example, audience: logs}\n")
	limitsFile := write("limits.yaml", "classes: {support: {rate: 5}}\n")
	env := func(file string) []string {
		return []string{"LOGFENCE_LOKI_URL=http://loki:3100", "LOGFENCE_LIMITS_FILE=" + limitsFile, "LOGFENCE_ACCESS_FILE=" + file}
	}
	good := write("good.yaml", "grants:\n  - {name: s, when: [{claim: g, values: [x]}], issuers: [https://a.example], tenants: [alpha], limits: support}\n")
	c, err := Load(env(good), settings)
	if err != nil {
		t.Fatal(err)
	}
	if c.Access().Len() != 1 || len(c.Auth.Warnings()) != 0 {
		t.Errorf("%d grants, %q", c.Access().Len(), c.Auth.Warnings())
	}
	bad := write("bad.yaml", "grants:\n  - {name: s, when: [{claim: g, values: [x]}],\n     tenants: [alpha], limits: gold}\n")
	_, err = Load(env(bad), settings)
	for _, want := range []string{bad + ": 2 problems", "grants[0].issuers: required, as there are several issuers", `there is no class "gold" in the limits file; the classes are support (line 3)`} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	if _, err := Load(env(filepath.Join(dir, "none.yaml")), settings); !strings.Contains(fmt.Sprint(err), "LOGFENCE_ACCESS_FILE") {
		t.Errorf("no file: %v", err)
	}
}

// FuzzAccessFile guarantees that whatever the file holds is read or refused with mistakes that name the file, and that
// no grant which is read gives a tenant that is none.
func FuzzAccessFile(f *testing.F) {
	f.Add(accessExample)
	f.Add("grants: [{name: a, when: [{claim: g, values: ['*']}], tenants: [alpha], issuers: [https://id.example.com]}]")
	f.Add("grants:\n- ? a\n- <<: *x\n")
	f.Fuzz(func(t *testing.T, file string) {
		rules, err := accessConfig("https://id.example.com").ParseAccess([]byte(file), []string{"support"})
		if err != nil {
			mistakes, ok := err.(*Error) //nolint:errorlint // it is returned unwrapped
			if !ok || len(mistakes.Problems) == 0 || mistakes.Problems[0].Source != "access.yaml" {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		for _, g := range rules.Grants() {
			for _, name := range g.Tenants {
				if !name.Valid() {
					t.Errorf("%s gives %q", g.Name, name)
				}
			}
			if g.Source == access.SourceAny && g.Issuers == nil {
				t.Errorf("%s gives every tenant to every issuer", g.Name)
			}
		}
		_, _ = rules.Resolve("https://id.example.com", map[string]any{"groups": []any{"shop-team", "5ba1", "logs-a"}, "g": "x"})
	})
}
