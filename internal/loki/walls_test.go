package loki_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

// TestBounds guarantees that queries carry what they may take where Loki honours it, in words that it reads, and other requests the required label
// alone.
func TestBounds(t *testing.T) {
	fake := twoTenants(t)
	c := client(t, loki.Config{URL: fake.URL})
	fake.Instead(lokitest.Fail(http.StatusBadRequest, "stream selector is missing required matchers [logfence_probe_required, tenant_id], labels"))
	c.ProbeWalls(t.Context(), "tenant_id")
	fake.Behave()
	fake.Forget()
	options := loki.RequestOptions{
		Timeout: time.Minute + 1500*time.Microsecond,
		Bounds:  loki.Bounds{Range: time.Hour, RangeVector: time.Minute, Lines: 10, BytesRead: 1 << 40},
	}
	const label, bounds = `{"requiredLabels":["tenant_id"]`, `,"maxQueryInterval":"60000ms","maxEntriesLimitPerQuery":10,"maxQueryTime":"60002ms"`
	for _, tt := range []struct {
		name, want string
		send       func() (*loki.Response, error)
	}{
		{"lines", label + `,"maxQueryLength":"3660000ms"` + bounds + `}`, func() (*loki.Response, error) {
			return c.QueryRange(t.Context(), options, query(t, `{app="web"}`), rangeOf(noon))
		}},
		{"samples with a step", label + `,"maxQueryLength":"3690000ms"` + bounds + `,"maxQueryBytesRead":"1099511627776B"}`, func() (*loki.Response, error) {
			p := rangeOf(noon)
			p.Step = 30 * time.Second
			return c.QueryRange(t.Context(), options, query(t, `rate({app="web"}[1m])`), p)
		}},
		{"an instant", label + `,"maxQueryLength":"3660000ms"` + bounds + `,"maxQueryBytesRead":"1099511627776B"}`, func() (*loki.Response, error) {
			return c.QueryInstant(t.Context(), options, query(t, `rate({app="web"}[1m])`), loki.InstantParams{Time: noon})
		}},
		{"no bounds", label + `}`, func() (*loki.Response, error) {
			return c.QueryRange(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), rangeOf(noon))
		}},
		{"labels", label + `}`, func() (*loki.Response, error) {
			return c.Labels(t.Context(), options, selector(t, `{app="web"}`), loki.Window{})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake.Forget()
			response, err := tt.send()
			if err != nil {
				t.Fatal(err)
			}
			drop(response.Body)
			if got := only(t, fake).Header.Get("X-Loki-Query-Limits"); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestProbeWalls guarantees that a wall counts as present only when Loki refuses the probe for want of the very label, and that the
// header is sent with later requests only where Loki has honoured it; with an organization for each tenant nothing is known.
func TestProbeWalls(t *testing.T) {
	const missing = "stream selector is missing required matchers [%s], labels present in the query were [logfence_probe]"
	requires := func(labels ...string) http.Handler { // of every request, whatever its header
		return lokitest.Fail(http.StatusBadRequest, fmt.Sprintf(missing, strings.Join(labels, ", ")))
	}
	honours := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("X-Loki-Query-Limits"), "logfence_probe_required") {
			requires("logfence_probe_required").ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"streams","result":[]}}`))
	})
	for _, tt := range []struct {
		name, org string
		behaves   http.Handler
		want      string
		sent      string // with later requests
	}{
		{"neither", "", nil, "required_labels: absent, per_request_limits: absent, label_policies: unknown", ""},
		{"the tenant's label", "", requires("tenant_id"), "required_labels: present, per_request_limits: absent, label_policies: unknown", ""},
		{"among others", "logs", requires("app", "tenant_id"), "required_labels: present, per_request_limits: absent, label_policies: unknown", ""},
		{"others alone", "", requires("app", "xtenant_id"), "required_labels: absent, per_request_limits: absent, label_policies: unknown", ""},
		{"limits of the request", "", honours, "required_labels: absent, per_request_limits: present, label_policies: unknown", `{"requiredLabels":["tenant_id"]}`},
		{"another refusal", "", lokitest.Fail(http.StatusBadRequest, "tenant_id"), "required_labels: unknown, per_request_limits: unknown, label_policies: unknown", ""},
		{"a failure", "", lokitest.Fail(http.StatusInternalServerError, fmt.Sprintf(missing, "tenant_id")), "required_labels: unknown, per_request_limits: unknown, label_policies: unknown", ""},
		{"an organization for each tenant", "{tenant}", honours, "required_labels: unknown, per_request_limits: unknown, label_policies: unknown", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := twoTenants(t)
			fake.Instead(tt.behaves)
			c := client(t, loki.Config{URL: fake.URL, OrgID: tt.org})
			if got := c.ProbeWalls(t.Context(), "tenant_id").String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			for _, r := range fake.Requests() {
				query, policy := `{logfence_probe="a",logfence_probe="b"}`, r.Header.Get("X-Prom-Label-Policy")
				if policy != "" { // the probe of label policies
					query = `{tenant_id=~".+"}`
				}
				if r.Params.Get("query") != query || r.Header.Get("X-Query-Tags") != "" {
					t.Errorf("the probe sent %v, %v", r.Params, r.Header)
				}
			}
			fake.Behave()
			fake.Forget()
			if err := request(t.Context(), t, c, loki.RequestOptions{}); err != nil {
				t.Fatal(err)
			}
			if got := only(t, fake).Header.Get("X-Loki-Query-Limits"); got != tt.sent {
				t.Errorf("later requests carry %q, want %q", got, tt.sent)
			}
		})
	}
}
