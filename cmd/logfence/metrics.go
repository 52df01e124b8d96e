package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/httpapi"
	"github.com/logfence/logfence/internal/observe"
)

// sight is what operators see a gateway by.
type sight struct {
	metrics  *observe.Metrics
	recorder *observe.Recorder
}

// flushTime is how long the last traces may take to be sent. With the drain and endTime it is less than
// the 30 seconds after which Kubernetes kills.
const flushTime = 3 * time.Second

// openSight opens the audit, and starts metrics and traces; life ends them.
func openSight(ctx context.Context, c config.Config, log *slog.Logger, stderr io.Writer, life *lifetime) (*sight, error) {
	build := thisBuild()
	tracing := observe.StartTracing(ctx, build.version, log)
	life.onEnd(func() {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
		defer cancel()
		if err := tracing.Close(flush); err != nil {
			log.WarnContext(flush, "traces", "error", err)
		}
	})
	audit, err := openAudit(c.Audit, stderr, log, life)
	if err != nil {
		return nil, err
	}
	m := observe.NewMetrics(observe.PerTenant(c.MetricsTenants))
	m.Gauge("logfence_build_info", "1, with the versions of logfence, of Go and of the Loki whose LogQL it takes as labels.",
		map[string]string{"version": build.version, "revision": build.revision, "go": build.goVersion, "logql": build.logql}, one)
	m.Counter("logfence_audit_records_total", "Records that the audit's sink has taken.", nil,
		func() float64 { return float64(audit.Stats().Written) })
	m.Counter("logfence_audit_lost_total", "Records that the audit's sink did not take.", nil,
		func() float64 { return float64(audit.Stats().Lost) })
	return &sight{metrics: m, recorder: observe.NewRecorder(log, observe.WithQueries(c.LogQueries),
		observe.WithAudit(audit), observe.WithMetrics(m), observe.WithTracing(tracing))}, nil
}

func one() float64 { return 1 }

// watch adds what the gateway's parts tell of themselves.
func (s *sight) watch(v *auth.Verifier, server *httpapi.Server) {
	m := s.metrics
	m.Gauge("logfence_tails_open", "Live tails that are open.", nil, func() float64 { return float64(server.Tails()) })
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
}
