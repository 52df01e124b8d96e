package config

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
)

// least is the shortest environment that logfence serves with.
var least = []string{
	"LOGFENCE_LOKI_URL=http://loki:3100",
	"LOGFENCE_JWT_ISSUER=https://id.example.com/",
	"LOGFENCE_JWT_AUDIENCE=logfence",
}

// TestLoadDefaults guarantees that three settings are enough, and that what the table shows as a default
// is what the packages call one.
func TestLoadDefaults(t *testing.T) {
	c := load(t, append([]string{"PATH=/bin", "HOME=", "OTEL_SERVICE_NAME=x"}, least...), "")
	want := auth.Defaults()
	want.Issuers = []auth.Issuer{{URL: "https://id.example.com/", Audiences: []string{"logfence"}, TenantClaim: "tenant_id", Headers: []string{"Authorization"}}}
	if diff := cmp.Diff(want, c.Auth); diff != "" {
		t.Errorf("Auth (-want +got):\n%s", diff)
	}
	if c.Tenancy.Label != tenancy.DefaultLabel {
		t.Errorf("Tenancy: %+v", c.Tenancy)
	}
	if c.Limits.Limits != limits.Defaults() {
		t.Errorf("Limits: %+v", c.Limits)
	}
	if c.DrainDelay != 0 || c.DrainTimeout != 20*time.Second {
		t.Errorf("drain: %s, %s", c.DrainDelay, c.DrainTimeout)
	}
	if c.Addr != ":8080" || c.AdminAddr != "127.0.0.1:9090" || !c.LokiCompat || c.BasicToken ||
		c.Audit != (audit.Config{Log: "off", Queries: "text"}) || !reflect.DeepEqual(c.TrustedProxies, audit.TrustedProxies{}) || c.LogLevel != slog.LevelInfo || c.LogFormat != telemetry.FormatJSON ||
		c.LogQueries != telemetry.LogText || c.MetricsTenants != 0 || c.PProf {
		t.Errorf("%+v", c)
	}
}

// TestAdminAddr guarantees that where a running process tells its health is found without the rest of
// its settings, and whatever is wrong with them.
func TestAdminAddr(t *testing.T) {
	for _, tt := range []struct{ name, env, file, want string }{
		{"nothing is set", "", "", "127.0.0.1:9090"},
		{"environment", "LOGFENCE_ADMIN_ADDR=:7", "", ":7"},
		{"file", "", "LOGFENCE_ADMIN_ADDR: :8\n", ":8"},
		{"the environment wins", "LOGFENCE_ADMIN_ADDR=:7", "LOGFENCE_ADMIN_ADDR: :8\n", ":7"},
		{"mistakes elsewhere", "LOGFENCE_MAX_RNAGE=1h", "LOGFENCE_JWT_LEEWAY: 1y\nLOGFENCE_ADMIN_ADDR: :8\n", ":8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := ""
			if tt.file != "" {
				file = write(t, tt.file)
			}
			if got, err := AdminAddr([]string{"PATH=/bin", tt.env}, file); got != tt.want || err != nil {
				t.Errorf("AdminAddr = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	if got, err := AdminAddr([]string{"LOGFENCE_ADMIN_ADDR=7"}, ""); err == nil {
		t.Errorf("a mistake of its own was taken for %q", got)
	}
	if got, err := AdminAddr(nil, "missing.yaml"); err == nil {
		t.Errorf("a file that is missing was taken for %q", got)
	}
}

// TestEverySettingIsRead guarantees, for each row of the table, that a value reaches the Config, from
// the environment and from the file alike, and that the environment wins.
func TestEverySettingIsRead(t *testing.T) {
	certificate, key, keys := writeKeys(t)
	limitsFile := filepath.Join(t.TempDir(), "limits.yaml")
	if err := os.WriteFile(limitsFile, []byte("tenants:\n  acme: {rate: 5}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := map[string]string{
		"LOKI_URL": "https://loki.example.com", "LOKI_ORG_ID": "{tenant}", "ADDR": "127.0.0.1:1", "ADMIN_ADDR": ":2",
		"LOKI_CA_FILE": certificate, "LOKI_CERT_FILE": certificate, "LOKI_KEY_FILE": key, "LOKI_TLS_MIN_VERSION": "1.3",
		"LOKI_SERVER_NAME": "loki.internal", "LOKI_BEARER_TOKEN_FILE": write(t, "token\n"), "LOKI_BASIC_AUTH_FILE": write(t, "me:you\n"),
		"TLS_CERT_FILE": certificate, "TLS_KEY_FILE": key, "CORS_ORIGINS": "https://a.example, https://b.example:8443",
		"JWT_ISSUER": "https://other.example", "JWT_AUDIENCE": "other", "JWT_JWKS_URL": "https://other.example/keys",
		"JWT_KEYS_FILE": keys, "JWT_ALGORITHMS": "ES256,EdDSA", "REQUIRED_SCOPE": "logs:read", "TOKEN_HEADERS": "X-Id-Token",
		"TENANT_LABEL": "team", "TENANT_CLAIM": "app.team", "SELECTOR_CLAIM": "logs", "LOG_LEVEL": "warn", "LOG_FORMAT": "text",
		"PARSE_QUEUE_PER_TENANT": "7", "MEMORY_BUDGET": "3000MiB", "LIMITS_FILE": limitsFile, "ACCESS_FILE": write(t, "grants: [{name: a, when: [{claim: groups, values: [x]}], tenants: [alpha]}]\n"),
		"REDIS_URL": "rediss://redis.example.com:6379/1", "REDIS_URL_FILE": write(t, "redis://redis:6379\n"), "REDIS_PREFIX": "{other}:",
		"UI_OIDC_CLIENT_ID": "logs", "UI_OIDC_SCOPES": "openid offline_access", "UI_OIDC_PARAMETERS": "audience=logfence", "UI_OIDC_TOKEN": "id", "LOKI_ACTOR_LEVELS": "1",
		"UI_LINKS":  "trace_id=https://tempo.example.com/trace/{value}",
		"AUDIT_LOG": "/var/log/logfence/audit.jsonl", "AUDIT_QUERIES": "hash", "LOG_QUERIES": "off", "TRUSTED_PROXIES": "10.0.0.0/8,192.0.2.1",
		"CLIENT_ADDRESS_HEADER": "Forwarded", "BASE_PATH": "/logs",
	}
	byKind := map[kind]string{kindDuration: "37m", kindSize: "12KiB", kindNumber: "700", kindSwitch: "true"}
	for _, s := range settings {
		value := other[s.name]
		if value == "" {
			value = byKind[s.kind]
		}
		if s.fallback == "true" {
			value = "false"
		}
		if s.name == "JWT_LEEWAY" {
			value = "1m"
		}
		t.Run(s.name, func(t *testing.T) {
			base := slices.DeleteFunc(slices.Clone(least), func(v string) bool { return strings.HasPrefix(v, s.Name()+"=") })
			switch s.name { // one comes with the other
			case "LOKI_CA_FILE", "LOKI_SERVER_NAME":
				base[0] = "LOGFENCE_LOKI_URL=https://loki:3100"
			case "LOKI_CERT_FILE":
				base[0] = "LOGFENCE_LOKI_URL=https://loki:3100"
				base = append(base, "LOGFENCE_LOKI_KEY_FILE="+key)
			case "LOKI_KEY_FILE":
				base[0] = "LOGFENCE_LOKI_URL=https://loki:3100"
				base = append(base, "LOGFENCE_LOKI_CERT_FILE="+certificate)
			case "TLS_CERT_FILE":
				base = append(base, "LOGFENCE_TLS_KEY_FILE="+key)
			case "TLS_KEY_FILE":
				base = append(base, "LOGFENCE_TLS_CERT_FILE="+certificate)
			case "BASE_PATH_STRIPPED":
				base = append(base, "LOGFENCE_BASE_PATH=/logs")
			case "AUDIT_REQUIRED":
				base = append(base, "LOGFENCE_AUDIT_LOG=stderr")
			case "UI_OIDC_PARAMETERS":
				base = append(base, "LOGFENCE_UI_OIDC_CLIENT_ID=logs")
			}
			fromEnv := load(t, append(slices.Clone(base), s.Name()+"="+value), "")
			file := write(t, s.Name()+": '"+value+"'\n")
			fromFile := load(t, base, file)
			if diff := cmp.Diff(plain(fromEnv), plain(fromFile)); diff != "" {
				t.Errorf("environment and file differ:\n%s", diff)
			}
			if s.fallback != "" || !slices.ContainsFunc(least, func(v string) bool { return strings.HasPrefix(v, s.Name()+"=") }) {
				if reflect.DeepEqual(plain(load(t, least, "")), plain(fromEnv)) {
					t.Errorf("%s=%s changed nothing", s.Name(), value)
				}
			}
			if s.fallback != "" {
				won := load(t, append(slices.Clone(base), s.Name()+"="+s.fallback), file)
				if i := slices.IndexFunc(won.Effective(), func(v Value) bool { return v.Name == s.Name() }); won.Effective()[i].From != "environment" {
					t.Errorf("the environment did not win over the file: %+v", won.Effective()[i])
				}
			}
		})
	}
}

// TestLoadReports guarantees the text for every kind of mistake: what, where, and what to write instead.
func TestLoadReports(t *testing.T) {
	for _, tt := range []struct{ name, env, file, want string }{
		{"nothing at all", "-", "", `environment: 3 problems
  LOGFENCE_LOKI_URL: required; *
  LOGFENCE_JWT_ISSUER: required; write the issuer exactly as the tokens' iss has it, such as https://id.example.com/
  LOGFENCE_JWT_AUDIENCE: required; without it a token made for another service would be accepted`},
		{
			"everything at once, from both sources", "LOGFENCE_MAX_LINES=many LOGFENCE_MAX_RNAGE=1h LOGFENCE_JWT_ALGORITHMS=RS256,HS256 LOGFENCE_ADDR=8080",
			"LOGFENCE_JWT_LEEWAY: 1h\nLOGFENCE_LOKI_COMPAT: yes\nmax_range: 30d\n", `FILE: 3 problems
  LOGFENCE_LOKI_COMPAT: "yes" is neither; write true or false (line 2)
  LOGFENCE_JWT_LEEWAY: 1h0m0s; write 0s to 5m0s, such as 30s (line 1)
  max_range: unknown key; did you mean "LOGFENCE_MAX_RANGE"? (line 3)
environment: 4 problems
  LOGFENCE_ADDR: "8080" is a port alone; did you mean ":8080"?
  LOGFENCE_JWT_ALGORITHMS: "HS256" is symmetric: everyone who can verify could also sign; write some of RS256,*
  LOGFENCE_MAX_LINES: "many" is not a number; write it in digits, such as 5000
  LOGFENCE_MAX_RNAGE: unknown variable; did you mean "LOGFENCE_MAX_RANGE"?`,
		},
		{"missing from a file", "-", "LOGFENCE_LOKI_URL: http://loki:3100\nLOGFENCE_JWT_ISSUER: https://id.example.com\n", `FILE: 1 problem
  LOGFENCE_JWT_AUDIENCE: required; without it a token made for another service would be accepted`},
		{"a unit that Go does not have", "LOGFENCE_MAX_RANGE=30d", "", `environment: 1 problem
  LOGFENCE_MAX_RANGE: "30d" is in days, which are not a unit here; did you mean "720h"?`},
		{"no unit", "LOGFENCE_LOKI_TIMEOUT=60", "", `environment: 1 problem
  LOGFENCE_LOKI_TIMEOUT: "60" has no unit; did you mean "60s"?`},
		{"a size in the other thousand", "LOGFENCE_MAX_QUERY_BYTES=16KB", "", `environment: 1 problem
  LOGFENCE_MAX_QUERY_BYTES: "16KB" is not a size; write bytes, KiB or MiB, such as 16384 or 16KiB`},
		{"a number with separators", "LOGFENCE_EXPORT_MAX_LINES=1,000,000", "", `environment: 1 problem
  LOGFENCE_EXPORT_MAX_LINES: "1,000,000" is not a whole number in digits alone; did you mean "1000000"?`},
		{"a limit that lets nothing pass", "LOGFENCE_MAX_LINES=0", "", `environment: 1 problem
  LOGFENCE_MAX_LINES: must be at least 1 (got 0); the default is 5000`},
		{"an empty variable", "LOGFENCE_REQUIRED_SCOPE=", "", `environment: 1 problem
  LOGFENCE_REQUIRED_SCOPE: empty; write a value, or leave the variable out`},
		{"a memory budget too small to serve a context", "LOGFENCE_MEMORY_BUDGET=31MiB", "", `environment: 1 problem
  LOGFENCE_MEMORY_BUDGET: must be at least 32MiB (got 31MiB)`},
		{"no memory budget", "LOGFENCE_MEMORY_BUDGET=0", "", `environment: 1 problem
  LOGFENCE_MEMORY_BUDGET: must be at least 32MiB (got 0); leave the variable out for half of the process's memory limit`},
		{"given twice", "LOGFENCE_MAX_LINES=1 LOGFENCE_MAX_LINES=2", "", `environment: 1 problem
  LOGFENCE_MAX_LINES: given twice; write it once`},
		{"in lower case", "logfence_max_lines=1", "", `environment: 1 problem
  logfence_max_lines: unknown variable; did you mean "LOGFENCE_MAX_LINES"?`},
		{"a part of a name", "LOGFENCE_AUDIENCE=x", "", `environment: 1 problem
  LOGFENCE_AUDIENCE: unknown variable; did you mean "LOGFENCE_JWT_AUDIENCE"?`},
		{"like nothing there is", "LOGFENCE_FROBNICATE=x", "", `environment: 1 problem
  LOGFENCE_FROBNICATE: unknown variable; logfence serve --help lists what there is`},
		{"a port by a name that Kubernetes also uses", "LOGFENCE_PORT=8080", "", `environment: 1 problem
  LOGFENCE_PORT: unknown variable; *`},
		{"both listeners in one place", "LOGFENCE_ADMIN_ADDR=:8080", "", `environment: 1 problem
  LOGFENCE_ADMIN_ADDR: ":8080" is the API's address, too; the admin listener requires no token, keep it apart`},
		{"an address with a scheme", "LOGFENCE_ADDR=http://localhost:8080", "", `environment: 1 problem
  LOGFENCE_ADDR: "http://localhost:8080" is not host:port; write an address such as :8080`},
		{"every origin", "LOGFENCE_CORS_ORIGINS=*", "", `environment: 1 problem
  LOGFENCE_CORS_ORIGINS: "*" would let every page on the web read with its visitor's token; name the origins`},
		{"an origin that never matches", "LOGFENCE_CORS_ORIGINS=https://Grafana.example.com:443/", "", `environment: 1 problem
  LOGFENCE_CORS_ORIGINS: "https://Grafana.example.com:443/" is not how browsers send an origin; did you mean "https://grafana.example.com"?`},
		{"a comma too many", "LOGFENCE_CORS_ORIGINS=https://a.example,", "", `environment: 1 problem
  LOGFENCE_CORS_ORIGINS: has an empty item; write the items with one comma between each`},
		{"keys over plain HTTP", "LOGFENCE_JWT_JWKS_URL=http://id.example.com/keys", "", `environment: 1 problem
  LOGFENCE_JWT_JWKS_URL: "http://id.example.com/keys" is plain http, *LOGFENCE_DANGEROUSLY_ALLOW_HTTP_JWKS=true`},
		{"a keys file that is not there", "LOGFENCE_JWT_KEYS_FILE=/nowhere/keys.pem", "", `environment: 1 problem
  LOGFENCE_JWT_KEYS_FILE: *no such file or directory`},
		{"a certificate without its key", "LOGFENCE_TLS_CERT_FILE=/nowhere/cert.pem", "", `environment: 1 problem
  LOGFENCE_TLS_KEY_FILE: required beside the certificate; name the file of its private key`},
		{"a certificate that is not there", "LOGFENCE_TLS_CERT_FILE=/nowhere/cert.pem LOGFENCE_TLS_KEY_FILE=/nowhere/key.pem", "", `environment: 1 problem
  LOGFENCE_TLS_CERT_FILE: certificate and key cannot be used: open /nowhere/cert.pem: no such file or directory`},
		{"a label that is a word of LogQL", "LOGFENCE_TENANT_LABEL=by", "", `environment: 1 problem
  LOGFENCE_TENANT_LABEL: "by" is a word of LogQL and cannot be matched in a selector; use another label`},
		{"a label that Loki ignores", "LOGFENCE_TENANT_LABEL=__name__", "", `environment: 1 problem
  LOGFENCE_TENANT_LABEL: "__name__" is reserved by Loki, whose index ignores matchers on such labels; use a label that does not begin with __`},
		{"a queue that one tenant could fill", "LOGFENCE_PARSE_QUEUE=10", "", `environment: 1 problem
  LOGFENCE_PARSE_QUEUE_PER_TENANT: 256 is more than may wait in all; write at most 10`},
		{"the line break of a secret's file", "LOGFENCE_REQUIRED_SCOPE=logs\n", "", `environment: 1 problem
  LOGFENCE_REQUIRED_SCOPE: begins or ends with white space; write it without`},
		{"an audit that goes nowhere", "LOGFENCE_AUDIT_REQUIRED=true", "", `environment: 1 problem
  LOGFENCE_AUDIT_REQUIRED: records are required, and there is no place for them; name one as the audit log`},
		{"an audit into a word", "LOGFENCE_AUDIT_LOG=stdout LOGFENCE_AUDIT_QUERIES=sha1", "", `environment: 2 problems
  LOGFENCE_AUDIT_LOG: "stdout" is neither off, stderr nor a path; write a path such as /var/log/logfence/audit.jsonl
  LOGFENCE_AUDIT_QUERIES: "sha1" is not known; write text or hash`},
		{"everybody a proxy", "LOGFENCE_TRUSTED_PROXIES=10.0.0.0/8,0.0.0.0/0", "", `environment: 1 problem
  LOGFENCE_TRUSTED_PROXIES: "0.0.0.0/0" covers every address: each caller could claim any; name the proxies' networks`},

		{"a file that is not YAML", "", "LOGFENCE_ADDR: \"secret\nLOGFENCE: [", `FILE: 1 problem
  not YAML: *`},
		{"a file with a list at its top", "", "- LOGFENCE_ADDR\n", `FILE: 1 problem
  not keys and values; write lines like "LOGFENCE_LOKI_URL: http://loki:3100" (line 1)`},
		{"a key twice", "", "LOGFENCE_ADDR: \":1\"\nLOGFENCE_ADDR: \":2\"\n", `FILE: 1 problem
  *`},
		{"an empty value", "", "LOGFENCE_REQUIRED_SCOPE:\n", `FILE: 1 problem
  LOGFENCE_REQUIRED_SCOPE: empty; write a value, or leave the key out (line 1)`},
		{"a mapping where a value belongs", "", "LOGFENCE_ADDR:\n  port: 1\n", `FILE: 1 problem
  LOGFENCE_ADDR: not a plain value; write one value, in quotes if YAML would read more into it (line 2)`},
		{"braces without quotes", "", "LOGFENCE_LOKI_ORG_ID: {tenant}\n", `FILE: 1 problem
  LOGFENCE_LOKI_ORG_ID: not a plain value; write one value, in quotes if YAML would read more into it (line 1)`},
		{"an anchor", "", "LOGFENCE_ADDR: &a \":1\"\n", `FILE: 1 problem
  LOGFENCE_ADDR: not a plain value; write one value, in quotes if YAML would read more into it (line 1)`},
		{"a list where a value belongs", "", "LOGFENCE_ADDR: [\":1\"]\n", `FILE: 1 problem
  LOGFENCE_ADDR: a list; write one value (line 1)`},
		{"two documents", "", "LOGFENCE_MAX_LINES: 1\n---\nLOGFENCE_MAX_LINES: 2\n", `FILE: 1 problem
  a second YAML document; write one (line 3)`},
		{"issuers beside the one", "", "issuers:\n- issuer: https://a.example\n  audience: a\n", `environment: 2 problems
  LOGFENCE_JWT_ISSUER: given beside the list of issuers in the file; write one of the two
  LOGFENCE_JWT_AUDIENCE: given beside the list of issuers in the file; write one of the two`},
		{"mistakes in the list of issuers", "LOGFENCE_LOKI_URL=http://loki:3100 -", `issuers:
- issuer: https://a.example
  audiences: a
  tenants: [alpha, "acme-*", "*"]
- issuer: https://b.example
  audience: b
  jwks_url: id.example.com/keys
  jwks: x
  tenant_pattern: [a, b]
- issuer: https://a.example
  audience: [a]
  any_tenant: true
  tenants: beta
`, `FILE: 10 problems
  issuers[0].audiences: unknown key; did you mean "audience"? (line 3)
  issuers[1].jwks: unknown key; did you mean "jwks_url"? (line 8)
  issuers[1].tenant_pattern: a list; write one value (line 9)
  issuers[0].audience: required; without it a token made for another service would be accepted (line 2)
  issuers[0].tenants[1]: "acme-*" is not a name of 1 to 128 bytes of [A-Za-z0-9._-]; a pattern goes into tenant_pattern (line 2)
  issuers[0].tenants[2]: "*" is not a name; write any_tenant: true, alone, if the issuer's tokens may name every tenant (line 2)
  issuers[1].jwks_url: "id.example.com/keys" has no scheme; did you mean "https://id.example.com/keys"? (line 5)
  issuers[1].tenants: required with more than one issuer; *
  issuers[2].issuer: "https://a.example" is * already; name each issuer once (line 10)
  issuers[2].any_tenant: given beside tenants or tenant_pattern, which would then bound nothing; write one or the other (line 10)`},
		{"several issuers without bounds", "LOGFENCE_LOKI_URL=http://loki:3100 -", `issuers:
- issuer: https://a.example
  audience: a
  tenants: [alpha]
- issuer: https://b.example
  audience: b
- issuer: https://c.example
  audience: c
  any_tenant: false
`, `FILE: 2 problems
  issuers[1].tenants: required with more than one issuer; without it tokens of "https://b.example" could name the tenants of the others; ` +
			`list the tenants that they may name, or write a tenant_pattern, or any_tenant: true if they may name every tenant (line 5)
  issuers[2].tenants: required with more than one issuer; without it tokens of "https://c.example" could name the tenants of the others; ` +
			`list the tenants that they may name, or write a tenant_pattern, or any_tenant: true if they may name every tenant (line 7)`},
		{"bounds that are none, of an issuer that is alone", "LOGFENCE_LOKI_URL=http://loki:3100 -", `issuers:
- issuer: https://a.example
  audience: a
  tenants: []
  tenant_pattern: "acme-("
  any_tenant: yes
`, `FILE: 3 problems
  issuers[0].any_tenant: "yes" is neither; write true or false (line 6)
  issuers[0].tenants: an empty list; name the tenants that the issuer's tokens may name, or leave the key out (line 2)
  issuers[0].tenant_pattern: "acme-(" is not a regular expression (RE2): missing closing ): *`},
		{"bounds without a value", "LOGFENCE_LOKI_URL=http://loki:3100 -", `issuers:
- issuer: https://a.example
  audience: a
  tenants:
  tenant_pattern: ""
`, `FILE: 2 problems
  issuers[0].tenants: empty; write a value, or leave the key out (line 4)
  issuers[0].tenant_pattern: empty; write a value, or leave the key out (line 5)`},
		{"issuers that are no list", "LOGFENCE_LOKI_URL=http://loki:3100 -", "issuers: https://a.example\n", `FILE: 1 problem
  issuers: not a list; write *`},
		{"an empty list of issuers", "LOGFENCE_LOKI_URL=http://loki:3100 -", "issuers: []\n", `FILE: 1 problem
  issuers: required; name at least one issuer, for without one no token could be believed`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var env []string
			if tt.env != "-" && !strings.HasSuffix(tt.env, " -") {
				env = append(env, least...)
			}
			for _, v := range strings.Split(tt.env, " ") {
				if name, _, ok := strings.Cut(v, "="); ok {
					env = slices.DeleteFunc(env, func(v string) bool {
						return strings.HasPrefix(v, name+"=") && slices.Contains(least, v)
					})
					env = append(env, v)
				}
			}
			file := ""
			if tt.file != "" {
				file = write(t, tt.file)
			}
			_, err := Load(env, file)
			var mistakes *Error
			if !errors.As(err, &mistakes) {
				t.Fatalf("Load: %v, want an *Error", err)
			}
			got := err.Error()
			if file != "" {
				got = strings.ReplaceAll(got, file, "FILE")
			}
			if !matches(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestSecretsAreNotShown guarantees that a password in a URL is in no error and in no listing.
func TestSecretsAreNotShown(t *testing.T) {
	const secret = "hunter2"
	for _, env := range [][]string{
		{"LOGFENCE_LOKI_URL=http://admin:" + secret + "@loki:3100"},
		{"LOGFENCE_LOKI_URL=http://" + secret + "@loki:3100"},
		{"LOGFENCE_LOKI_URL=admin:" + secret + "@loki:3100"},
		{"LOGFENCE_LOKI_URL=http://admin:" + secret + "@loki:port"},
		{"LOGFENCE_LOKI_URL=http://loki:3100?key=" + secret},
		{"LOGFENCE_LOKI_URL=http://one:3100,http://" + secret + "@two:3100"},
		{"LOGFENCE_LOKI_URL=http://one:3100, http://" + secret + "@two:3100?key=" + secret},
		{"LOGFENCE_LOKI_URL=http://one:3100,admin:" + secret + "@two:3100"},
		{"LOGFENCE_REDIS_URL=redis://:" + secret + "@redis:6379"},
		{"LOGFENCE_REDIS_URL=redis://:" + secret + "@redis:port"},
		{"LOGFENCE_REDIS_URL=http://" + secret + "@redis"},
		{"LOGFENCE_REDIS_URL=redis://redis:6379?password=" + secret},
		{"LOGFENCE_JWT_JWKS_URL=https://admin:" + secret + "@id.example.com/keys"},
		{"LOGFENCE_JWT_JWKS_URL=https://id.example.com/keys?key=" + secret},
		{"LOGFENCE_JWT_JWKS_URL=ftp://admin:" + secret + "@id.example.com/keys?key=" + secret},
		{"LOGFENCE_CORS_ORIGINS=https://admin:" + secret + "@id.example.com"},
	} {
		t.Run(env[0], func(t *testing.T) {
			name, _, _ := strings.Cut(env[0], "=")
			env = append(env, slices.DeleteFunc(slices.Clone(least), func(v string) bool { return strings.HasPrefix(v, name) })...)
			c, err := Load(env, "")
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("in the error: %v", err)
			}
			for _, v := range c.Effective() {
				if strings.Contains(v.Text, secret) {
					t.Errorf("in the listing: %+v", v)
				}
			}
		})
	}
	_, err := Load(least, write(t, "LOGFENCE_ADDR: ':1'\n  bad indent\npassword: "+secret+"\n: ["))
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a YAML error quotes the file: %v", err)
	}
}

// TestNotOurs guarantees that variables which share the prefix without being settings are let pass:
// those of the demo, and those that Kubernetes makes for a Service named logfence.
func TestNotOurs(t *testing.T) {
	load(t, append([]string{
		"LOGFENCE_DEMO_LOKI=/usr/bin/loki",
		"LOGFENCE_SERVICE_HOST=10.0.0.1", "LOGFENCE_SERVICE_PORT=8080", "LOGFENCE_SERVICE_PORT_HTTP=8080",
		"LOGFENCE_PORT=tcp://10.0.0.1:8080", "LOGFENCE_PORT_8080_TCP=tcp://10.0.0.1:8080",
		"LOGFENCE_PORT_8080_TCP_PROTO=tcp", "LOGFENCE_PORT_8080_TCP_PORT=8080", "LOGFENCE_PORT_8080_TCP_ADDR=10.0.0.1",
		"LOGFENCE_ADMIN_SERVICE_HOST=10.0.0.2", "LOGFENCE_ADMIN_PORT=tcp://10.0.0.2:9090",
	}, least...), "")
}

// TestIssuersFromFile guarantees that a list of issuers is read whole, and that what an issuer does not
// say of its claims, the settings do.
func TestIssuersFromFile(t *testing.T) {
	c := load(t, nil, write(t, `
# two providers
LOGFENCE_LOKI_URL: http://loki:3100
LOGFENCE_TENANT_CLAIM: team
LOGFENCE_JWT_ALGORITHMS: [ES256, EdDSA]
issuers:
  - issuer: https://a.example
    audience: a
    any_tenant: true
  - issuer: https://b.example
    audience: "b"
    jwks_url: https://b.example/keys
    tenant_claim: https://b.example/tenants
    tenants: [beta, 42, 1e3, no]
    tenant_pattern: b-\d+
    selector_claim: logs
  - issuer: https://c.example
    audience: c
    tenants: gamma, delta
    any_tenant: false
`))
	headers := []string{"Authorization"}
	want := []auth.Issuer{
		{URL: "https://a.example", Audiences: []string{"a"}, TenantClaim: "team", AnyTenant: true, Headers: headers},
		{
			URL: "https://b.example", Audiences: []string{"b"}, JWKSURL: "https://b.example/keys", TenantClaim: "https://b.example/tenants",
			Tenants: []string{"beta", "42", "1e3", "no"}, TenantPattern: `b-\d+`, SelectorClaim: "logs", Headers: headers,
		},
		{URL: "https://c.example", Audiences: []string{"c"}, TenantClaim: "team", Tenants: []string{"gamma", "delta"}, Headers: headers},
	}
	if diff := cmp.Diff(want, c.Auth.Issuers); diff != "" {
		t.Errorf("issuers (-want +got):\n%s", diff)
	}
	shown := map[string]Value{}
	for _, v := range c.Effective() {
		shown[v.Name] = v
	}
	for name, text := range map[string]string{
		"issuers[0].any_tenant": "true", "issuers[0].tenants": "", "issuers[1].audience": "b", "issuers[1].tenants": "beta,42,1e3,no",
		"issuers[1].tenant_pattern": `b-\d+`, "issuers[1].any_tenant": "", "issuers[2].tenants": "gamma,delta", "issuers[2].any_tenant": "",
	} {
		if v, ok := shown[name]; !ok || v.Text != text {
			t.Errorf("%s is shown as %+v, want %q", name, v, text)
		}
	}
	if from := shown["issuers[1].audience"].From; !strings.HasSuffix(from, "config.yaml:10") {
		t.Errorf("issuers[1] is from %s", from)
	}
	if got := fmt.Sprint(c.Auth.Algorithms); got != "[ES256 EdDSA]" {
		t.Errorf("a YAML list was read as %s", got)
	}
}

// TestEmptyVariables guarantees that an empty variable counts as left out, with a warning, as compose makes one of ${X:-}; but not
// where that would turn off a check, encryption or a record.
func TestEmptyVariables(t *testing.T) {
	for i := range settings {
		s := &settings[i]
		env := slices.DeleteFunc(slices.Clone(least), func(v string) bool { return strings.HasPrefix(v, s.Name()+"=") })
		c, err := Load(append(env, s.Name()+"="), "")
		switch {
		case s.protects:
			if err == nil || !strings.Contains(err.Error(), s.Name()+": empty; write a value, or leave the variable out") {
				t.Errorf("%s: %v", s.Name(), err)
			}
		case s.required != "":
			if err == nil || !strings.Contains(err.Error(), s.Name()+": required") {
				t.Errorf("%s: %v", s.Name(), err)
			}
		default:
			want := s.Name() + " is empty in the environment, and counts as left out"
			if err != nil || !slices.Contains(c.Warnings(), want) {
				t.Errorf("%s: %v, %q", s.Name(), err, c.Warnings())
			}
			c.warnings = nil
			if plain(c) != plain(load(t, least, "")) {
				t.Errorf("%s: empty is not as left out", s.Name())
			}
		}
	}
	// The file's value is in force.
	c := load(t, append([]string{"LOGFENCE_MAX_LINES="}, least...), write(t, "LOGFENCE_MAX_LINES: 700\n"))
	if c.Limits.MaxLines != 700 {
		t.Errorf("MAX_LINES is %d beside an empty variable", c.Limits.MaxLines)
	}
}

// TestYAMLTextIsKept guarantees that a value is what was written and not what YAML takes it for.
func TestYAMLTextIsKept(t *testing.T) {
	for _, org := range []string{"1e3", "0x10", "007", "1_000", "no", ".inf", "2026-11-23", "1.10"} {
		c := load(t, least, write(t, "LOGFENCE_LOKI_ORG_ID: "+org+"\n"))
		if c.Loki.OrgID != org {
			t.Errorf("%s was read as %q", org, c.Loki.OrgID)
		}
	}
}

// TestTable guarantees that help and docs/configuration.md name every setting, with its default, and that each is said
// to be filled by one row only.
func TestTable(t *testing.T) {
	markdown, help := Markdown(), Help()
	seen := map[string]bool{}
	for _, s := range settings {
		if !strings.Contains(markdown, "| `"+s.Name()+"` | ") || !strings.Contains(help, "  "+s.Name()+" (") {
			t.Errorf("%s is not in both tables", s.Name())
		}
		if s.fallback != "" && (!strings.Contains(markdown, "`"+s.fallback+"`") || !strings.Contains(help, "default "+s.fallback)) {
			t.Errorf("the default of %s is not in both tables", s.Name())
		}
		if s.field != "" && seen[s.field] {
			t.Errorf("%s is filled twice", s.field)
		}
		seen[s.field] = true
	}
	if n := strings.Count(markdown, "\n"); n != len(settings)+2 {
		t.Errorf("%d lines of Markdown for %d settings", n, len(settings))
	}
	if strings.Contains(help, "`") {
		t.Error("help for a terminal has Markdown in it")
	}
}

// TestLoadNeverPanics feeds Load what nobody should write.
func TestLoadNeverPanics(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			": ", "\n", "- ", "issuers:\n", "  audience: ", "issuer: a\n", "{", "}", "[", "]", "&a ", "*a", "<<: ", "!!int ", "? ", "|\n", "\"", "LOGFENCE_ADDR", "---\n", "#",
		}))
		file := filepath.Join(dir, "f.yaml")
		content := strings.Join(rapid.SliceOfN(piece, 0, 20).Draw(t, "file"), "")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = Load(rapid.SliceOf(rapid.StringMatching(`(LOGFENCE_)?[A-Z_]{0,12}=?.{0,9}`)).Draw(t, "env"), file)
	})
}

func load(t *testing.T, env []string, file string) Config {
	t.Helper()
	c, err := Load(env, file)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

// plain is the Config without where it came from.
func plain(c Config) string {
	c.effective, c.access = nil, nil
	return fmt.Sprintf("%+v", c)
}

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// matches compares line by line, a * standing for anything.
func matches(got, want string) bool {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(g) != len(w) {
		return false
	}
	for i := range w {
		before, after, open := strings.Cut(w[i], "*")
		if open && strings.HasPrefix(g[i], before) && strings.HasSuffix(g[i], after) {
			continue
		}
		if g[i] != w[i] {
			return false
		}
	}
	return true
}

// writeKeys makes files of a certificate, its key, and its public key.
func writeKeys(t *testing.T) (certificate, key, public string) {
	t.Helper()
	pub, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(nil, template, template, pub, private)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	block := func(name, kind string, der []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return block("cert.pem", "CERTIFICATE", cert), block("key.pem", "PRIVATE KEY", privateDER), block("keys.pem", "PUBLIC KEY", publicDER)
}
