package telemetry

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/tenant"
)

// Label values instead of a tenant's name. No tenant's name has parentheses, so they cannot be mistaken for one.
const (
	otherTenants   = "(other)"
	anyTenant      = "(any)" // requests by a grant of every tenant, whichever they are about
	severalTenants = "(several)"
)

// tenants are metrics by tenant: of the first so many tenants that make a request, for as long as the process runs,
// and of all others together. A name is never replaced by another: a counter that stopped and began again would look
// like one that was reset, and hide what was counted between. Requests for several tenants at once are counted
// separately.
type tenants struct {
	requests       *prometheus.CounterVec
	sent, spent    *prometheus.CounterVec
	several, other *tenantCounters
	anyTenant      *tenantCounters

	most  int
	mu    sync.Mutex
	named map[tenant.Name]*tenantCounters
}

type tenantCounters struct {
	outcomes    map[string]prometheus.Counter // never changed
	sent, spent prometheus.Counter
}

func newTenants(m *Metrics, most int) *tenants {
	t := &tenants{
		requests: m.CounterVec("logfence_tenant_requests_total", "With LOGFENCE_METRICS_TENANTS: requests by tenant and outcome: granted, refused or failed.", "tenant", "outcome"),
		sent:     m.CounterVec("logfence_tenant_response_bytes_total", "With LOGFENCE_METRICS_TENANTS: bytes of response bodies as sent, by tenant.", "tenant"),
		spent:    m.CounterVec("logfence_tenant_request_seconds_total", "With LOGFENCE_METRICS_TENANTS: total time until the last byte of responses, by tenant.", "tenant"),
		most:     most, named: map[tenant.Name]*tenantCounters{},
	}
	t.several, t.other, t.anyTenant = t.add(severalTenants), t.add(otherTenants), t.add(anyTenant)
	return t
}

func (t *tenants) add(name string) *tenantCounters {
	n := &tenantCounters{outcomes: map[string]prometheus.Counter{}, sent: t.sent.WithLabelValues(name), spent: t.spent.WithLabelValues(name)}
	for _, outcome := range []string{audit.OutcomeGranted, audit.OutcomeRefused, audit.OutcomeFailed} {
		n.outcomes[outcome] = t.requests.WithLabelValues(name, outcome)
	}
	return n
}

// record counts a request of a caller that has a tenant. The nil tenants count nothing.
func (t *tenants) record(d *audit.AccessRecord) {
	if t == nil || len(d.Tenants) == 0 {
		return
	}
	of := t.anyTenant
	if !d.AnyTenant {
		of = t.find(d.Tenants)
	}
	of.outcomes[d.Outcome()].Inc()
	of.sent.Add(float64(d.Bytes))
	of.spent.Add(d.Duration.Seconds())
}

func (t *tenants) find(names []tenant.Name) *tenantCounters {
	switch {
	case len(names) > 1:
		return t.several
	case !names[0].Valid(): // of a request that was refused for its tenant
		return t.other
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.named[names[0]]
	switch {
	case known != nil:
		return known
	case len(t.named) >= t.most:
		return t.other
	}
	known = t.add(string(names[0]))
	t.named[names[0]] = known
	return known
}
