package loki_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

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
		{"neither", "", nil, "required_labels: absent, per_request_limits: absent", ""},
		{"the tenant's label", "", requires("tenant_id"), "required_labels: present, per_request_limits: absent", ""},
		{"among others", "logs", requires("app", "tenant_id"), "required_labels: present, per_request_limits: absent", ""},
		{"others alone", "", requires("app", "xtenant_id"), "required_labels: absent, per_request_limits: absent", ""},
		{"limits of the request", "", honours, "required_labels: absent, per_request_limits: present", `{"requiredLabels":["tenant_id"]}`},
		{"another refusal", "", lokitest.Fail(http.StatusBadRequest, "tenant_id"), "required_labels: unknown, per_request_limits: unknown", ""},
		{"a failure", "", lokitest.Fail(http.StatusInternalServerError, fmt.Sprintf(missing, "tenant_id")), "required_labels: unknown, per_request_limits: unknown", ""},
		{"an organization for each tenant", "{tenant}", honours, "required_labels: unknown, per_request_limits: unknown", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := twoTenants(t)
			fake.Instead(tt.behaves)
			c := client(t, loki.Config{URL: fake.URL, OrgID: tt.org})
			if got := c.ProbeWalls(t.Context(), "tenant_id").String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			for _, r := range fake.Requests() {
				if r.Params.Get("query") != `{logfence_probe="a",logfence_probe="b"}` || r.Header.Get("X-Query-Tags") != "" {
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
