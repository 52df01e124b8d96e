package telemetry

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logfence/logfence/internal/audit"
)

// Label values instead of a tenant's name. No tenant's name has parentheses, so they cannot be mistaken for one.
const (
	otherTenants   = "(other)"
	severalTenants = "(several)"
)

// tenants are metrics by tenant: of the first so many tenants that make a request, for as long as the process runs,
// and of all others together. A name is never replaced by another: a counter that stopped and began again would look
// like one that was reset, and hide what was counted between. Requests for several tenants at once are counted
// separately.
type tenants struct {
	requests       *prometheus.CounterVec
	sent, spent    *prometheus.CounterVec
	several, other *tenant

	most  int
	mu    sync.Mutex
	named map[string]*tenant
}

type tenant struct {
	outcomes    map[string]prometheus.Counter // never changed
	sent, spent prometheus.Counter
}

func newTenants(m *Metrics, most int) *tenants {
	t := &tenants{
		requests: m.CounterVec("logfence_tenant_requests_total", "With LOGFENCE_METRICS_TENANTS: requests by tenant and outcome: granted, refused or failed.", "tenant", "outcome"),
		sent:     m.CounterVec("logfence_tenant_response_bytes_total", "With LOGFENCE_METRICS_TENANTS: bytes of response bodies as sent, by tenant.", "tenant"),
		spent:    m.CounterVec("logfence_tenant_request_seconds_total", "With LOGFENCE_METRICS_TENANTS: total time until the last byte of responses, by tenant.", "tenant"),
		most:     most, named: map[string]*tenant{},
	}
	t.several, t.other = t.add(severalTenants), t.add(otherTenants)
	return t
}

func (t *tenants) add(name string) *tenant {
	n := &tenant{outcomes: map[string]prometheus.Counter{}, sent: t.sent.WithLabelValues(name), spent: t.spent.WithLabelValues(name)}
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
	of := t.find(d.Tenants)
	of.outcomes[d.Outcome()].Inc()
	of.sent.Add(float64(d.Bytes))
	of.spent.Add(d.Duration.Seconds())
}

func (t *tenants) find(names []string) *tenant {
	switch {
	case len(names) > 1:
		return t.several
	case !fitsLabel(names[0]):
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
	known = t.add(names[0])
	t.named[names[0]] = known
	return known
}

// fitsLabel reports whether a name is fit for a label: tokens may hold any text, and a request that was refused for
// its tenant is recorded as well.
func fitsLabel(name string) bool {
	if name == "" || len(name) > 128 {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
