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

// Metrics are the Prometheus metrics. No label has a value that a caller chooses: operations are those of
// openapi.yaml, codes those of problems, and tenants are named only where the operator enables it ([PerTenant]).
type Metrics struct {
	registry  *prometheus.Registry
	described []Description

	requests, sent, received, upstream, fetched *prometheus.CounterVec
	inFlight                                    *prometheus.GaugeVec
	duration, firstByte, upstreamTime           *prometheus.HistogramVec
	fencing, waiting, firstLine                 prometheus.Observer
	streams                                     *prometheus.CounterVec
	gaps                                        prometheus.Counter
	cacheHits, unproven, anyTenant              prometheus.Counter

	operations, upstreamByOperation sync.Map // metrics of an operation, by its name: see loadOrMake
	tenants                         *tenants // nil: none is named
}

// noOperation is the label of requests that are no operation of openapi.yaml, and of logfence's own requests to Loki.
const noOperation = "none"

// Bounds of histograms, in seconds.
var (
	requestBuckets = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	fenceBuckets   = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
	waitBuckets    = []float64{.0001, .001, .005, .01, .05, .1, .5, 1, 5}
)

// MetricsOption adds metrics to the standard set.
type MetricsOption func(*Metrics)

// PerTenant adds metrics by tenant, for the first so many tenants that make a request; see [tenants].
func PerTenant(most int) MetricsOption {
	return func(m *Metrics) {
		if most > 0 {
			m.tenants = newTenants(m, most)
		}
	}
}

// NewMetrics makes the metrics, including those of the process and of the Go runtime.
func NewMetrics(options ...MetricsOption) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	m.requests = m.CounterVec("logfence_requests_total", "Requests by operation and by the code of their problem, ok where there is none.", "operation", "code")
	m.duration = m.HistogramVec("logfence_request_duration_seconds", "Time until the last byte of the response, by operation, without clients that were too slow. A live tail lasts until it is closed.", requestBuckets, "operation")
	m.inFlight = m.GaugeVec("logfence_requests_in_flight", "Requests in flight, by operation.", "operation")
	m.received = m.CounterVec("logfence_request_bytes_total", "Bytes of request targets and bodies as received, by operation.", "operation")
	m.sent = m.CounterVec("logfence_response_bytes_total", "Bytes of response bodies as sent, by operation.", "operation")

	m.fencing = m.Histogram("logfence_fence_duration_seconds", "Time to fence a query that was not in the cache: parse, rewrite, parse again and prove.", fenceBuckets)
	m.waiting = m.Histogram("logfence_fence_wait_seconds", "Time that queries waited for a parser slot.", waitBuckets)
	m.cacheHits = m.count("logfence_fence_cache_hits_total", "Queries whose fenced form was in the cache and that were not parsed again.")
	m.unproven = m.count("logfence_fence_unproven_total", "Queries refused because the proof of their fence failed: a fault of logfence or of Loki's parser. Investigate at once.")

	m.firstLine = m.Histogram("logfence_stream_first_line_seconds", "Time until the first line of a stream of lines.", requestBuckets)
	m.streams = m.CounterVec("logfence_streams_total", "Streams of lines that have ended, by reason: complete, gaps (some lines are missing), limit, error, or client_closed.", "reason")
	for _, reason := range []string{"complete", "gaps", "limit", "error", clientClosed} {
		m.streams.WithLabelValues(reason) // a counter that begins at 1 has not increased
	}
	m.gaps = m.count("logfence_stream_gaps_total", "Parts of the time range of a stream that Loki refused or did not finish in time, and that the stream left out.")
	m.anyTenant = m.count("logfence_any_tenant_requests_total", "Requests by a grant of every tenant, refused ones included: each is marked in the audit log.")

	m.upstream = m.CounterVec("logfence_upstream_requests_total", "Requests to Loki that have ended, by operation and outcome: ok, refused, rate_limited, failed, timeout, unreachable, broken (within the response) or client_closed.", "operation", "outcome")
	m.firstByte = m.HistogramVec("logfence_upstream_first_byte_seconds", "Time until the first byte of Loki's response, by operation.", requestBuckets, "operation")
	m.upstreamTime = m.HistogramVec("logfence_upstream_duration_seconds", "Time until the last byte of Loki's response, by operation, without tails.", requestBuckets, "operation")
	m.fetched = m.CounterVec("logfence_upstream_bytes_total", "Bytes of Loki's responses as received, by operation, without tails.", "operation")
	for _, option := range options {
		option(m)
	}
	return m
}

// Handler serves the metrics in Prometheus's format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 10 * time.Second})
}

// operationMetrics are the metrics of one operation. They are looked up by their labels once, not for each request.
type operationMetrics struct {
	inFlight       prometheus.Gauge
	duration       prometheus.Observer
	sent, received prometheus.Counter
	codes          sync.Map // of prometheus.Counter
}

func (m *Metrics) operationMetrics(operation string) *operationMetrics {
	return loadOrMake(&m.operations, operationLabel(operation), func(operation string) *operationMetrics {
		s := &operationMetrics{
			inFlight: m.inFlight.WithLabelValues(operation), duration: m.duration.WithLabelValues(operation),
			sent: m.sent.WithLabelValues(operation), received: m.received.WithLabelValues(operation),
		}
		// Both exist from the first request: a counter that begins at 1 has not increased, and its alert would not fire.
		s.count(m, operation, codeOK)
		s.count(m, operation, codeInternal)
		return s
	})
}

// Codes that are treated differently: the counters of the first two exist before they first occur.
const (
	codeOK            = "ok"
	codeInternal      = "internal"
	codeClientTooSlow = "client_too_slow"
)

func (s *operationMetrics) count(m *Metrics, operation, code string) prometheus.Counter {
	return loadOrMake(&s.codes, code, func(code string) prometheus.Counter {
		return m.requests.WithLabelValues(operation, code)
	})
}

func operationLabel(operation string) string {
	if operation == "" {
		return noOperation
	}
	return operation
}

// loadOrMake returns the map's value under the key, which is made at its first use.
func loadOrMake[T any](m *sync.Map, key string, newValue func(string) T) T {
	if known, ok := m.Load(key); ok {
		return known.(T) // each map holds one type
	}
	known, _ := m.LoadOrStore(key, newValue(key))
	return known.(T) // as above
}

// start counts a request as in flight until done is called. The nil Metrics counts nothing.
func (m *Metrics) start(operation string) (done func()) {
	if m == nil {
		return func() {}
	}
	g := m.operationMetrics(operation).inFlight
	g.Inc()
	return g.Dec
}

// record counts a request.
func (m *Metrics) record(d *audit.AccessRecord) {
	if m == nil {
		return
	}
	s, code := m.operationMetrics(d.Operation), d.Code
	if code == "" {
		code = codeOK
	}
	s.count(m, operationLabel(d.Operation), code).Inc()
	if code != codeClientTooSlow { // how long it took says how slow the client was
		s.duration.Observe(d.Duration.Seconds())
	}
	s.sent.Add(float64(d.Bytes))
	s.received.Add(float64(d.Received))
	if d.Unproven {
		m.unproven.Inc()
	}
	if d.AnyTenant {
		m.anyTenant.Inc()
	}
	m.tenants.record(d)
}

// WithMetrics counts requests in metrics.
func WithMetrics(m *Metrics) RecorderOption { return func(r *Recorder) { r.metrics = m } }

// Fenced records how long a query waited for a parser slot, and how long it then took to fence or refuse it.
func (r *Recorder) Fenced(waited, took time.Duration) {
	if r.metrics != nil {
		r.metrics.waiting.Observe(waited.Seconds())
		r.metrics.fencing.Observe(took.Seconds())
	}
}

// FirstLine records how long a stream of lines took to its first line.
func (r *Recorder) FirstLine(took time.Duration) {
	if r.metrics != nil {
		r.metrics.firstLine.Observe(took.Seconds())
	}
}

// clientClosed is the reason of a stream whose client has left.
const clientClosed = "client_closed"

// StreamEnded counts a stream of lines and its gaps. Without a reason the client has left.
func (r *Recorder) StreamEnded(reason string, gaps int) {
	if r.metrics == nil {
		return
	}
	if reason == "" {
		reason = clientClosed
	}
	r.metrics.streams.WithLabelValues(reason).Inc()
	r.metrics.gaps.Add(float64(gaps))
}

// FenceCacheHit counts a query whose fenced form was in the cache.
func (r *Recorder) FenceCacheHit() {
	if r.metrics != nil {
		r.metrics.cacheHits.Inc()
	}
}
