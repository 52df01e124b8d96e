package observe

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are what operators' monitoring reads. No label has a value that a caller chooses: operations
// are those of openapi.yaml, codes those of problems.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
}

// noOperation stands for requests that are none of openapi.yaml's.
const noOperation = "none"

// NewMetrics makes metrics, those of the process and of Go among them.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logfence_requests_total",
			Help: "Requests by operation and by the code of their problem, ok where there is none.",
		}, []string{"operation", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "logfence_request_duration_seconds",
			Help:    "Time until the last byte of the answer, by operation; tails last as long as somebody watches.",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 60},
		}, []string{"operation"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logfence_answer_bytes_total",
			Help: "Bytes of answers' bodies as sent, by operation.",
		}, []string{"operation"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.duration, m.bytes,
	)
	return m
}

// Gauge adds a figure that is read whenever the metrics are; it must be safe to call at any time.
func (m *Metrics) Gauge(name, help string, labels map[string]string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, read))
}

// Counter is [Metrics.Gauge] for a figure that only grows.
func (m *Metrics) Counter(name, help string, labels map[string]string, read func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, read))
}

// Handler serves the metrics in Prometheus's format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 10 * time.Second})
}

// record counts a decision. The nil Metrics counts nothing.
func (m *Metrics) record(d Decision) {
	if m == nil {
		return
	}
	operation, code := d.Operation, d.Code
	if operation == "" {
		operation = noOperation
	}
	if code == "" {
		code = "ok"
	}
	m.requests.WithLabelValues(operation, code).Inc()
	m.duration.WithLabelValues(operation).Observe(d.Duration.Seconds())
	m.bytes.WithLabelValues(operation).Add(float64(d.Bytes))
}

// WithMetrics counts decisions, too.
func WithMetrics(m *Metrics) RecorderOption { return func(r *Recorder) { r.metrics = m } }
