package loki_test

import (
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// TestConfigValidate guarantees that each mistake is told, with what to write instead, and no password.
func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   loki.Config
		want string // "" is fine
	}{
		{"plain", loki.Config{URL: "http://loki:3100"}, ""},
		{"TLS and path", loki.Config{URL: "https://logs.example/loki-prefix/"}, ""},
		{"IPv6", loki.Config{URL: "http://[::1]:3100"}, ""},
		{"credentials", loki.Config{URL: "http://me:s3cret@loki:3100"}, ""},
		{"organizations", loki.Config{URL: "http://loki:3100", OrgID: "a|b"}, ""},
		{"template", loki.Config{URL: "http://loki:3100", OrgID: "org-{tenant}"}, ""},
		{"nothing", loki.Config{}, "URL: required; write Loki's base URL, such as http://loki:3100"},
		{"no scheme", loki.Config{URL: "loki:3100"}, `URL: "loki:3100" has no scheme; did you mean "http://loki:3100"?`},
		{"address", loki.Config{URL: "10.0.0.1:3100"}, `URL: "10.0.0.1:3100" has no scheme; did you mean "http://10.0.0.1:3100"?`},
		{"name alone", loki.Config{URL: "loki"}, `URL: "loki" has no scheme; did you mean "http://loki"?`},
		{"other scheme", loki.Config{URL: "ftp://loki"}, `URL: "ftp://loki" has the scheme "ftp"; write http or https`},
		{"no host", loki.Config{URL: "http://:3100"}, `URL: "http://:3100" names no host; write Loki's, such as http://loki:3100`},
		{"a path of the API", loki.Config{URL: "http://loki:3100/p/loki/api/v1/push"}, `URL: "http://loki:3100/p/loki/api/v1/push" holds a path of Loki's API; write what is before it, such as "http://loki:3100/p"`},
		{"query", loki.Config{URL: "http://me:s3cret@loki:3100?x=1"}, `URL: "http://me:xxxxx@loki:3100?x=1" has a query or fragment; write only the base, such as "http://loki:3100"`},
		{"unreadable, with a password", loki.Config{URL: "http://me:s3cret@loki:port"}, `URL: not a URL; write one such as http://loki:3100 (what was read is not shown, since it may hold a password)`},
		{"unreadable", loki.Config{URL: "http://loki:port"}, `URL: "http://loki:port" is not a URL; write one such as http://loki:3100`},
		{"all at once", loki.Config{URL: "loki", Timeout: -time.Second, OrgID: "a b"}, "URL: \"loki\" has no scheme; did you mean \"http://loki\"?\n" +
			"Timeout: -1s is negative; write how long a response may take, such as 60s\n" +
			`OrgID: "a b": ' ' is not allowed in a name; write a name that Loki takes, or {tenant} for the caller's tenant`},
		{"template with others", loki.Config{URL: "http://loki:3100", OrgID: "shared|{tenant}"}, `OrgID: "shared|{tenant}" is a template with "|"; name one organization, several tenants are joined by themselves`},
		{"misspelled template", loki.Config{URL: "http://loki:3100", OrgID: "{tenants}"}, `OrgID: "{tenants}": '{' is not allowed in a name; write a name that Loki takes, or {tenant} for the caller's tenant`},
		{"empty part", loki.Config{URL: "http://loki:3100", OrgID: "a|"}, `OrgID: "a|": the name is empty; write a name that Loki takes, or {tenant} for the caller's tenant`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.in.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if strings.Contains(got, "s3cret") {
				t.Error("the password is shown")
			}
			if _, err := loki.New(tt.in); (err != nil) != (tt.want != "") {
				t.Errorf("New: %v", err)
			}
		})
	}
}

// TestOrgID guarantees that Loki is requested as the organization of the fenced query's own tenants.
func TestOrgID(t *testing.T) {
	for _, tt := range []struct {
		name, orgID string
		tenants     []string
		want        string // "": the header is absent
	}{
		{"none", "", []string{"alpha"}, ""},
		{"fixed", "logs", []string{"alpha"}, "logs"},
		{"template", "{tenant}", []string{"alpha"}, "alpha"},
		{"template in a name", "org-{tenant}.x", []string{"alpha"}, "org-alpha.x"},
		{"several tenants", "{tenant}", []string{"beta", "alpha", "beta"}, "alpha|beta"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := twoTenants(t)
			c := client(t, loki.Config{URL: fake.URL, OrgID: tt.orgID})
			q, err := scope(t, tt.tenants...).Query(`{app="web"}`)
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.QueryRange(t.Context(), loki.RequestOptions{}, q, rangeOf(noon))
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Body.Close(); err != nil {
				t.Error(err)
			}
			got, sent := only(t, fake).Header["X-Scope-Orgid"]
			if sent != (tt.want != "") || sent && (len(got) != 1 || got[0] != tt.want) {
				t.Errorf("sent %q", got)
			}
		})
	}
}
