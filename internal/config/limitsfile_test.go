package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// everybodys are the limits of who has none of its own.
func everybodys(t *testing.T) limits.Limits {
	t.Helper()
	c, err := Load(strings.Fields("LOGFENCE_LOKI_URL=http://loki:3100 LOGFENCE_JWT_ISSUER=https://id.example.com LOGFENCE_JWT_AUDIENCE=logfence"), "")
	if err != nil {
		t.Fatal(err)
	}
	return c.Limits.Limits
}

// TestParseLimits guarantees that each limit that a tenant can have of its own is read, and that what is
// not said is everybody's.
func TestParseLimits(t *testing.T) {
	base := everybodys(t)
	own, err := ParseLimits("limits.yaml", []byte(`
tenants:
  acme: {rate: 50, burst: 100, queries: 8, queue: 0, exports: 1, max_tails: 2, max_range: 2160h}
  globex:
    max_query_bytes: 128000   # more than everybody's
    max_depth: 3
    max_selectors: 4
    max_range_vector: 1h
    max_points: 500
    max_lines: 50
    export_max_lines: 60
    max_answer_bytes: 1MiB
    loki_timeout: 10s
  # a name that YAML would read more into
  2026: {rate: 1}
  initech: {}
`), base)
	if err != nil {
		t.Fatal(err)
	}
	acme := base
	acme.Rate, acme.Burst, acme.Queries, acme.Queue, acme.Exports, acme.MaxTails, acme.MaxRange = 50, 100, 8, 0, 1, 2, 2160*time.Hour
	globex := base
	globex.MaxQueryBytes, globex.MaxDepth, globex.MaxSelectors, globex.MaxRangeVector, globex.MaxPoints = 128_000, 3, 4, time.Hour, 500
	globex.MaxLines, globex.MaxExportLines, globex.MaxAnswerBytes, globex.Timeout = 50, 60, 1<<20, 10*time.Second
	numbered := base
	numbered.Rate = 1
	want := map[tenant.Name]limits.Limits{"acme": acme, "globex": globex, "2026": numbered, "initech": base}
	for name, limits := range want {
		if own[name].Limits != limits || own[name].Class != "" {
			t.Errorf("%s has %+v\nwant %+v", name, own[name], limits)
		}
	}
	if len(own) != len(want) {
		t.Errorf("%d tenants, want %d", len(own), len(want))
	}
	for _, content := range []string{"", "# nobody yet\n", "classes: {trial: {rate: 5}}\n", "classes:\n", "tenants:\n", "tenants: {}\n"} {
		if own, err := ParseLimits("limits.yaml", []byte(content), base); err != nil || len(own) != 0 {
			t.Errorf("%q: %v, %v", content, own, err)
		}
	}
}

// TestParseLimitsReadsEveryLimit guarantees that no limit of the table is forgotten: each is read for a tenant, for
// a class, and as a setting for all.
func TestParseLimitsReadsEveryLimit(t *testing.T) {
	for _, d := range limits.Table() {
		want, text := limits.Defaults(), map[limits.Unit]string{limits.UnitNumber: "7", limits.UnitBytes: "7KiB", limits.UnitDuration: "7m"}[d.Unit]
		d.Set(&want, map[limits.Unit]int64{limits.UnitNumber: 7, limits.UnitBytes: 7 << 10, limits.UnitDuration: int64(7 * time.Minute)}[d.Unit])
		own, err := ParseLimits("limits.yaml", []byte("tenants:\n  globex: {"+d.Key+": "+text+"}\n  acme: trial\nclasses: {trial: {"+d.Key+": "+text+"}}\n"), limits.Defaults())
		if err != nil || own["acme"].Limits != want || own["acme"].Class != "trial" || own["globex"].Limits != want {
			t.Errorf("%s: %+v, %v", d.Key, own, err)
		}
		c, err := Load(append(slices.Clone(least), "LOGFENCE_"+d.Setting+"="+text), "")
		if err != nil || c.Limits.Limits != want {
			t.Errorf("%s: %+v, %v", d.Setting, c.Limits.Limits, err)
		}
	}
}

// TestQueryBytesAreLokis guarantees that no limit lets a query pass that the fence refuses by its length.
func TestQueryBytesAreLokis(t *testing.T) {
	for _, d := range limits.Table() {
		if d.Limit == limits.LimitQueryBytes && d.Max != tenancy.MaxQueryBytes {
			t.Errorf("%s may be %d, and the fence takes %d", d.Key, d.Max, tenancy.MaxQueryBytes)
		}
	}
}

// TestParseLimitsReports guarantees that every mistake is reported at once, each with its place and what to
// write instead.
func TestParseLimitsReports(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"all at once", `tenants:
  acme: {rate: many, bursts: 3}
  acme/eu: {rate: 1}
  globex:
    max_range: 30d
    LOGFENCE_MAX_LINES: 5
    queries: 0
    max_query_bytes: 1MiB
    audit_log: "off"
  globex: {}
rate: 5
`, `limits.yaml: *`},
		{"a value", "tenants:\n  acme:\n    rate: many\n    burst: 0\n", `limits.yaml: 2 problems
  tenants.acme.rate: "many" is not a number; write it in digits, such as 5000 (line 3)
  tenants.acme.burst: must be at least 1 (got 0); the default is 300 (line 4)`},
		{"a key", "tenants:\n  acme: {max_rnage: 1h, audit_log: \"off\"}\n", `limits.yaml: 2 problems
  tenants.acme.max_rnage: unknown key; did you mean "max_range"? (line 2)
  tenants.acme.audit_log: unknown key; there are max_query_bytes, *`},
		{"days", "tenants:\n  acme: {max_range: 30d}\n", `limits.yaml: 1 problem
  tenants.acme.max_range: "30d" is in days, which are not a unit here; did you mean "720h"? (line 2)`},
		{"longer than Loki's parser takes", "tenants:\n  acme: {max_query_bytes: 1MiB}\n", `limits.yaml: 1 problem
  tenants.acme.max_query_bytes: must be 1 to 131071 bytes (got 1MiB) (line 2)`},
		{"not below tenants", "acme: {rate: 5}\n", `limits.yaml: 1 problem
  acme: unknown key; there are classes and tenants, and below them names (line 1)`},
		{"no tenant's name", "tenants:\n  acme/eu: {rate: 5}\n", `limits.yaml: 1 problem
  tenants.acme/eu: not a name; write 1 to 128 letters, digits, dots, dashes and underscores (line 2)`},
		{"a list of tenants", "tenants:\n- acme\n", `limits.yaml: 1 problem
  tenants: not keys and values; write lines like "acme: {rate: 50}" (line 2)`},
		{"a tenant's name alone", "tenants:\n  acme:\n", `limits.yaml: 1 problem
  tenants.acme: not keys and values; *`},
		{"a class where there are none", "tenants:\n  acme: 5\n", `limits.yaml: 1 problem
  tenants.acme: there is no class "5"; add it below classes, or write limits such as {rate: 50} (line 2)`},
		{"an unknown class", "classes: {trial: {rate: 5}, paid: {}}\ntenants:\n  acme: trail\n", `limits.yaml: 1 problem
  tenants.acme: there is no class "trail"; the classes are paid, trial (line 3)`},
		{"a mistake in a class", "classes:\n  trial: {rate: 0, rats: 5}\ntenants: {acme: trial, globex: trial}\n", `limits.yaml: 2 problems
  classes.trial.rats: unknown key; did you mean "rate"? (line 2)
  classes.trial.rate: must be at least 1 (got 0); the default is 100 (line 2)`},
		{"a class of a class", "classes:\n  trial: {}\n  paid: trial\n", `limits.yaml: 1 problem
  classes.paid: not keys and values; *`},
		{"not YAML", "tenants: [", `limits.yaml: 1 problem
  not YAML: *`},
		{"two documents", "tenants: {}\n---\ntenants: {}\n", `limits.yaml: 1 problem
  a second YAML document; write one (line 3)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseLimits("limits.yaml", []byte(tt.file), everybodys(t))
			if err == nil {
				t.Fatal("taken")
			}
			if got := err.Error(); !glob(tt.want, got) {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// glob compares with a text in which * is anything.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	for _, part := range parts {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return text == "" || strings.HasSuffix(pattern, "*")
}

// TestLoadReadsLimits guarantees that a mistake in the file of limits is found before anything starts, with
// everything else, and that what is in force is shown.
func TestLoadReadsLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "limits.yaml")
	env := strings.Fields("LOGFENCE_LOKI_URL=http://loki:3100 LOGFENCE_JWT_ISSUER=https://id.example.com LOGFENCE_JWT_AUDIENCE=logfence LOGFENCE_LIMITS_FILE=" + file)
	if _, err := Load(env, ""); err == nil || !strings.Contains(err.Error(), "LOGFENCE_LIMITS_FILE: cannot be read: no such file") {
		t.Errorf("no file: %v", err)
	}
	write := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("tenants:\n  acme: {rate: 0}\n")
	if _, err := Load(append(env, "LOGFENCE_MAX_LINES=0"), ""); err == nil || !strings.Contains(err.Error(), "tenants.acme.rate: must be at least 1 (got 0)") ||
		!strings.Contains(err.Error(), "LOGFENCE_MAX_LINES: must be at least 1 (got 0)") {
		t.Errorf("mistakes: %v", err)
	}
	write("classes: {trial: {rate: 3}}\ntenants:\n  globex: trial\n  acme: {rate: 7}\n")
	c, err := Load(env, "")
	if err != nil {
		t.Fatal(err)
	}
	last := c.Effective()[len(c.Effective())-1]
	if want := (Value{Name: "tenants.acme.rate", Text: "7", From: file + ":4"}); last != want {
		t.Errorf("shown is %+v, want %+v", last, want)
	}
}
