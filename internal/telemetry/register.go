package telemetry

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Description describes one of logfence's own metrics.
type Description struct {
	Name, Type, Help string
	Labels           []string // sorted
}

// describe keeps a metric's description; each registration calls it.
func (m *Metrics) describe(kind, name, help string, labels ...string) {
	labels = slices.Sorted(slices.Values(labels))
	if slices.ContainsFunc(m.described, func(d Description) bool { return d.Name == name }) {
		return // the same for another value of a label
	}
	m.described = append(m.described, Description{Name: name, Type: kind, Help: help, Labels: labels})
}

// Descriptions returns those of all of logfence's own metrics, by name. Metrics are added before they are served.
func (m *Metrics) Descriptions() []Description {
	return slices.SortedFunc(slices.Values(m.described), func(a, b Description) int { return cmp.Compare(a.Name, b.Name) })
}

// Markdown returns the table of all of logfence's own metrics, for the docs.
func (m *Metrics) Markdown() string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, d := range m.Descriptions() {
		labels := "–"
		if len(d.Labels) > 0 {
			labels = "`" + strings.Join(d.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, labels, d.Help)
	}
	return b.String()
}

// Gauge adds a gauge whose value is read at each scrape; read must be safe to call at any time.
func (m *Metrics) Gauge(name, help string, labels map[string]string, read func() float64) {
	m.describe("gauge", name, help, slices.Collect(maps.Keys(labels))...)
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, read))
}

// Counter is [Metrics.Gauge] for a value that only grows.
func (m *Metrics) Counter(name, help string, labels map[string]string, read func() float64) {
	m.describe("counter", name, help, slices.Collect(maps.Keys(labels))...)
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, read))
}

// CounterVec adds counters. No label may have a value that a caller chooses.
func (m *Metrics) CounterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return added(m, "counter", name, help, labels, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
}

// GaugeVec is [Metrics.CounterVec] for values that go up and down.
func (m *Metrics) GaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	return added(m, "gauge", name, help, labels, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels))
}

// HistogramVec is [Metrics.CounterVec] for distributions.
func (m *Metrics) HistogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return added(m, "histogram", name, help, labels, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels))
}

// Histogram is [Metrics.HistogramVec] without labels.
func (m *Metrics) Histogram(name, help string, buckets []float64) prometheus.Observer {
	return m.HistogramVec(name, help, buckets).WithLabelValues()
}

func (m *Metrics) count(name, help string) prometheus.Counter {
	return m.CounterVec(name, help).WithLabelValues()
}

func added[C prometheus.Collector](m *Metrics, kind, name, help string, labels []string, c C) C {
	m.describe(kind, name, help, labels...)
	m.registry.MustRegister(c)
	return c
}
