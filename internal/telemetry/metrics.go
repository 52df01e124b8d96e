package telemetry

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/logfence/logfence/internal/audit"
)

// Metrics are what operators' monitoring reads. No label has a value that a caller chooses: operations
// are those of openapi.yaml, codes those of problems, and tenants are named only where the operator
// asks for it ([PerTenant]).
type Metrics struct {
	registry  *prometheus.Registry
	described []Description

	requests, sent, received, upstream, fetched *prometheus.CounterVec
	inFlight                                    *prometheus.GaugeVec
	duration, firstByte, upstreamTime           *prometheus.HistogramVec
	fencing, waiting                            prometheus.Observer
	recalled, unproven                          prometheus.Counter

	operations, asking sync.Map // the children of an operation, by its name: see resolved
	tenants            *tenants // nil: none is named
}

// noOperation stands for requests that are none of openapi.yaml's, and for what logfence asks of Loki by itself.
const noOperation = "none"

// Bounds of histograms, in seconds.
var (
	answerBuckets = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	fenceBuckets  = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
	waitBuckets   = []float64{.0001, .001, .005, .01, .05, .1, .5, 1, 5}
)

// MetricsOption is what metrics tell beyond the usual.
type MetricsOption func(*Metrics)

// PerTenant names up to so many tenants in metrics of their own, the first that come; see [tenants].
func PerTenant(most int) MetricsOption {
	return func(m *Metrics) {
		if most > 0 {
			m.tenants = newTenants(m, most)
		}
	}
}

// NewMetrics makes metrics, those of the process and of Go among them.
func NewMetrics(options ...MetricsOption) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	m.requests = m.CounterVec("logfence_requests_total", "Requests by operation and by the code of their problem, ok where there is none.", "operation", "code")
	m.duration = m.HistogramVec("logfence_request_duration_seconds", "Time until the last byte of the answer, by operation; tails last as long as somebody watches.", answerBuckets, "operation")
	m.inFlight = m.GaugeVec("logfence_requests_in_flight", "Requests whose answer has not ended, by operation.", "operation")
	m.received = m.CounterVec("logfence_request_bytes_total", "Bytes of requests' targets and bodies as received, by operation.", "operation")
	m.sent = m.CounterVec("logfence_answer_bytes_total", "Bytes of answers' bodies as sent, by operation.", "operation")

	m.fencing = m.Histogram("logfence_fence_duration_seconds", "Time to fence the texts of a request that were not fenced lately: parsed, changed, parsed again and proven.", fenceBuckets)
	m.waiting = m.Histogram("logfence_fence_wait_seconds", "Time that those waited for their turn to be parsed.", waitBuckets)
	m.recalled = m.count("logfence_fence_recalled_total", "Queries that were fenced lately, and not parsed again.")
	m.unproven = m.count("logfence_fence_unproven_total", "Queries refused because the proof of their fence failed: a fault of logfence or of Loki's parser, to be looked into at once.")

	m.upstream = m.CounterVec("logfence_upstream_requests_total", "Requests to Loki that have ended, by operation and outcome: ok, refused, rate_limited, failed, timeout, unreachable, broken (in mid-answer) or left (by the caller).", "operation", "outcome")
	m.firstByte = m.HistogramVec("logfence_upstream_first_byte_seconds", "Time until Loki began to answer, by operation.", answerBuckets, "operation")
	m.upstreamTime = m.HistogramVec("logfence_upstream_duration_seconds", "Time until Loki's answer had ended, by operation; tails apart.", answerBuckets, "operation")
	m.fetched = m.CounterVec("logfence_upstream_bytes_total", "Bytes of Loki's answers as received, by operation; tails apart.", "operation")
	for _, option := range options {
		option(m)
	}
	return m
}

// Handler serves the metrics in Prometheus's format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 10 * time.Second})
}

// served is what is counted of one operation. Its children are looked up once: by their labels it would be
// anew for each request.
type served struct {
	inFlight       prometheus.Gauge
	duration       prometheus.Observer
	sent, received prometheus.Counter
	codes          sync.Map // of prometheus.Counter
}

func (m *Metrics) served(operation string) *served {
	return resolved(&m.operations, named(operation), func(operation string) *served {
		s := &served{
			inFlight: m.inFlight.WithLabelValues(operation), duration: m.duration.WithLabelValues(operation),
			sent: m.sent.WithLabelValues(operation), received: m.received.WithLabelValues(operation),
		}
		// Both from the first: a counter that begins at 1 has not increased, and the alert on it stays silent.
		s.count(m, operation, codeOK)
		s.count(m, operation, codeInternal)
		return s
	})
}

// Codes that metrics know of themselves.
const (
	codeOK       = "ok"
	codeInternal = "internal"
)

func (s *served) count(m *Metrics, operation, code string) prometheus.Counter {
	return resolved(&s.codes, code, func(code string) prometheus.Counter {
		return m.requests.WithLabelValues(operation, code)
	})
}

func named(operation string) string {
	if operation == "" {
		return noOperation
	}
	return operation
}

// resolved is what the map holds under the key, made when it is first asked for.
func resolved[T any](m *sync.Map, key string, find func(string) T) T {
	if known, ok := m.Load(key); ok {
		return known.(T) //nolint:forcetypeassert // each map holds one type
	}
	known, _ := m.LoadOrStore(key, find(key))
	return known.(T) //nolint:forcetypeassert // as above
}

// enter counts a request in. The nil Metrics counts nothing.
func (m *Metrics) enter(operation string) (leave func()) {
	if m == nil {
		return func() {}
	}
	g := m.served(operation).inFlight
	g.Inc()
	return g.Dec
}

// record counts a decision.
func (m *Metrics) record(d *audit.AccessRecord) {
	if m == nil {
		return
	}
	s, code := m.served(d.Operation), d.Code
	if code == "" {
		code = codeOK
	}
	s.count(m, named(d.Operation), code).Inc()
	s.duration.Observe(d.Duration.Seconds())
	s.sent.Add(float64(d.Bytes))
	s.received.Add(float64(d.Received))
	if d.Unproven {
		m.unproven.Inc()
	}
	m.tenants.record(d)
}

// WithMetrics counts decisions, too.
func WithMetrics(m *Metrics) RecorderOption { return func(r *Recorder) { r.metrics = m } }

// Fenced tells how long a text waited for its turn, and how long it then took to be fenced or refused.
func (r *Recorder) Fenced(waited, took time.Duration) {
	if r.metrics != nil {
		r.metrics.waiting.Observe(waited.Seconds())
		r.metrics.fencing.Observe(took.Seconds())
	}
}

// Recalled counts a query that was fenced lately.
func (r *Recorder) Recalled() {
	if r.metrics != nil {
		r.metrics.recalled.Inc()
	}
}
