package loki_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

// TestLabelPolicies guarantees that requests carry a label policy only before a Loki that was seen to confine by one, for exactly
// the organization of X-Scope-OrgID; and that the policy alone keeps a selector that has lost its matcher to the tenant.
func TestLabelPolicies(t *testing.T) {
	const policy = "%7Btenant_id=%22alpha%22%7D"
	for _, tt := range []struct {
		name, org string
		lines     []string // of each tenant, a moment ago
		behaves   func(*lokitest.Loki)
		want      loki.Wall
		sent      string // with later requests
	}{
		{"a Loki that confines", "logs", []string{"a line"}, (*lokitest.Loki).LabelPolicies, loki.WallPresent, "logs:" + policy},
		{"with long lines", "logs", []string{strings.Repeat("x", 64<<10)}, (*lokitest.Loki).LabelPolicies, loki.WallPresent, "logs:" + policy},
		{"one that ignores the header", "logs", []string{"a line"}, (*lokitest.Loki).Behave, loki.WallAbsent, ""},
		// Nothing would come of any policy there.
		{"one without lines", "logs", nil, (*lokitest.Loki).LabelPolicies, loki.WallUnknown, ""},
		{"one that fails", "logs", []string{"a line"}, func(l *lokitest.Loki) { l.Instead(lokitest.Fail(http.StatusInternalServerError, "no")) }, loki.WallUnknown, ""},
		{"one with another response", "logs", []string{"a line"}, func(l *lokitest.Loki) { l.Instead(lokitest.Garbage()) }, loki.WallUnknown, ""},
		{"without an organization", "", []string{"a line"}, (*lokitest.Loki).LabelPolicies, loki.WallUnknown, ""},
		{"an organization for each tenant", "{tenant}", []string{"a line"}, (*lokitest.Loki).LabelPolicies, loki.WallUnknown, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Now()
			fake := lokitest.New(t,
				lokitest.Lines(map[string]string{"tenant_id": "alpha", "app": "web"}, now, tt.lines...),
				lokitest.Lines(map[string]string{"tenant_id": "beta", "app": "web"}, now, tt.lines...),
			)
			tt.behaves(fake)
			c := client(t, loki.Config{URL: fake.URL, OrgID: tt.org})
			if got := c.ProbeWalls(t.Context(), "tenant_id").LabelPolicies; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			fake.Behave()
			fake.Forget()
			if err := request(t.Context(), t, c, loki.RequestOptions{}); err != nil {
				t.Fatal(err)
			}
			header := only(t, fake).Header
			if got := header.Get("X-Prom-Label-Policy"); got != tt.sent {
				t.Errorf("later requests carry %q, want %q", got, tt.sent)
			}
			if tt.sent == "" {
				return
			}
			// The same header with a selector that is not fenced.
			fake.LabelPolicies()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fake.URL+"/loki/api/v1/label/tenant_id/values?query="+url.QueryEscape(`{app="web"}`), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = header
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer drop(response.Body)
			if body, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(body), `["alpha"]`) {
				t.Errorf("the policy gives %s, %v", body, err)
			}
		})
	}
}

// TestTenantsPolicy guarantees what a policy of several tenants and organizations is.
func TestTenantsPolicy(t *testing.T) {
	t.Parallel()
	fake := lokitest.New(t, lokitest.Lines(map[string]string{"tenant_id": "alpha"}, time.Now(), "a line"))
	fake.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result := `[{"stream":{},"values":[["1","x"]]}]`
		if strings.Contains(r.Header.Get("X-Prom-Label-Policy"), "logfence_probe") {
			result = `[]`
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"streams","result":` + result + `}}`))
	}))
	c := client(t, loki.Config{URL: fake.URL, OrgID: "logs|more"})
	if got := c.ProbeWalls(t.Context(), "tenant_id").LabelPolicies; got != loki.WallPresent {
		t.Fatal(got)
	}
	fake.Forget()
	q, err := scope(t, "beta", "al.pha").Query(`{app="web"}`)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.QueryRange(t.Context(), loki.RequestOptions{}, q, rangeOf(noon))
	read(t, a, err)
	var got []string
	for policy := range strings.SplitSeq(only(t, fake).Header.Get("X-Prom-Label-Policy"), ",") {
		org, escaped, _ := strings.Cut(policy, ":")
		selector, err := url.PathUnescape(escaped)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, org+" "+selector)
	}
	want := `logs {tenant_id=~"al\\.pha|beta"}; more {tenant_id=~"al\\.pha|beta"}`
	if strings.Join(got, "; ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, "; "), want)
	}
}
