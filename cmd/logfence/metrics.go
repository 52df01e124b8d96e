package main

import (
	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/observe"
)

// newMetrics makes the metrics of requests, of the issuers' keys and of the audit.
func newMetrics(v *auth.Verifier, audit *observe.Audit) *observe.Metrics {
	m := observe.NewMetrics()
	for i, issuer := range v.Stats().Issuers {
		labels := map[string]string{"issuer": issuer.Issuer} // the operator's settings, not a caller's choice
		of := func(read func(auth.IssuerStats) float64) func() float64 {
			return func() float64 { return read(v.Stats().Issuers[i]) }
		}
		m.Gauge("logfence_jwt_keys", "Keys of an issuer that tokens can be verified with; 0 before the first are there.", labels,
			of(func(s auth.IssuerStats) float64 { return float64(s.Keys) }))
		m.Gauge("logfence_jwt_keys_age_seconds", "Time since an issuer's keys were last fetched; past LOGFENCE_JWT_KEYS_MAX_STALE requests are refused.", labels,
			of(func(s auth.IssuerStats) float64 { return s.KeysAge.Seconds() }))
		m.Counter("logfence_jwt_key_fetches_total", "Attempts to fetch an issuer's keys.", labels,
			of(func(s auth.IssuerStats) float64 { return float64(s.Fetches) }))
		m.Counter("logfence_jwt_key_fetch_failures_total", "Attempts to fetch an issuer's keys that brought none.", labels,
			of(func(s auth.IssuerStats) float64 { return float64(s.Failures) }))
	}
	m.Counter("logfence_token_cache_hits_total", "Tokens that were remembered as verified.", nil,
		func() float64 { return float64(v.Stats().CacheHits) })
	m.Counter("logfence_token_cache_misses_total", "Tokens that were not; all refused ones are among them.", nil,
		func() float64 { return float64(v.Stats().CacheMisses) })
	m.Counter("logfence_audit_records_total", "Records that the audit's sink has taken.", nil,
		func() float64 { return float64(audit.Stats().Written) })
	m.Counter("logfence_audit_lost_total", "Records that the audit's sink did not take.", nil,
		func() float64 { return float64(audit.Stats().Lost) })
	return m
}
