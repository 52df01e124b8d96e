package gateway

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/httpapi"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/telemetry"
)

// telemetrySetup is the telemetry of a gateway.
type telemetrySetup struct {
	metrics  *telemetry.Metrics
	recorder *telemetry.Recorder
}

// flushTime is how long the last traces may take to be sent. With the drain and endTime it is less than
// the 30 seconds after which Kubernetes kills.
const flushTime = 3 * time.Second

// openTelemetry opens the audit, and starts metrics and traces; life closes them.
func openTelemetry(ctx context.Context, c config.Config, log *slog.Logger, stderr io.Writer, life *lifecycle) (*telemetrySetup, error) {
	build := ReadBuild()
	tracing := telemetry.StartTracing(ctx, build.Version, log)
	life.onCleanup(func() {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
		defer cancel()
		if err := tracing.Close(flush); err != nil {
			log.WarnContext(flush, "traces", "error", err)
		}
	})
	records, err := openAudit(c.Audit, stderr, log, life) //nolint:contextcheck // the last records are written after ctx has ended
	if err != nil {
		return nil, err
	}
	m := telemetry.NewMetrics(telemetry.PerTenant(c.MetricsTenants))
	m.Gauge("logfence_build_info", "1, with the versions of logfence, of Go and of the Loki whose LogQL it takes as labels.",
		map[string]string{"version": build.Version, "revision": build.Revision, "go": build.Go, "logql": build.LogQL}, one)
	m.Counter("logfence_audit_records_total", "Records that the audit's sink has taken.", nil,
		func() float64 { return float64(records.Stats().Written) })
	m.Counter("logfence_audit_lost_total", "Records that the audit's sink did not take.", nil,
		func() float64 { return float64(records.Stats().Lost) })
	recorder := telemetry.NewRecorder(log, telemetry.WithQueries(c.LogQueries),
		telemetry.WithAudit(records), telemetry.WithMetrics(m), telemetry.WithTracing(tracing))
	life.onCleanup(recorder.Close)
	return &telemetrySetup{metrics: m, recorder: recorder}, nil
}

func one() float64 { return 1 }

// register adds the metrics of the gateway's parts.
func (s *telemetrySetup) register(v *auth.Verifier, client *loki.Client, server *httpapi.Server) {
	m := s.metrics
	registerLoki(m, client)
	registerTails(m, server)
	m.Counter("logfence_query_estimate_failures_total", "Queries that ran without an estimate of the bytes that they read, since Loki gave none within two seconds.", nil,
		func() float64 { return float64(server.EstimateFailures()) })
	for i, issuer := range v.Stats().Issuers {
		labels := map[string]string{"issuer": issuer.Issuer} // the operator's settings, not a caller's choice
		of := func(read func(auth.IssuerStats) float64) func() float64 {
			return func() float64 { return read(v.Stats().Issuers[i]) }
		}
		m.Gauge("logfence_jwt_keys", "Keys of an issuer that tokens can be verified with; 0 before the first are there.", labels,
			of(func(s auth.IssuerStats) float64 { return float64(s.Keys) }))
		m.Gauge("logfence_jwt_issuer_usable", "1 while tokens of an issuer can be verified; 0 while its keys are missing or too old.", labels,
			of(func(s auth.IssuerStats) float64 {
				if s.Usable {
					return 1
				}
				return 0
			}))
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

// registerTails adds the metrics of live tails.
func registerTails(m *telemetry.Metrics, server *httpapi.Server) {
	m.Gauge("logfence_tails_open", "Live tails that are open.", nil, func() float64 { return float64(server.Tails()) })
	for mode, of := range map[string]func() int{
		"tail":        func() int { return server.TailStats().Tailed },
		"poll":        func() int { return server.TailStats().Polled },
		"interrupted": func() int { return server.TailStats().Interrupted },
	} {
		m.Gauge("logfence_tail_queries", "Different queries that live tails follow, each for all of its viewers, by how their lines are read: by a tail of Loki's (tail), by queries since Loki takes no more tails (poll), or not at present, since Loki is away (interrupted).",
			map[string]string{"mode": mode}, func() float64 { return float64(of()) })
	}
}

// registerLoki adds the metrics of Loki's URLs: the operator's settings, and without credentials.
func registerLoki(m *telemetry.Metrics, client *loki.Client) {
	for i, endpoint := range client.Stats().Upstreams {
		labels := map[string]string{"url": endpoint.URL}
		of := func(read func(loki.UpstreamStats) float64) func() float64 {
			return func() float64 { return read(client.Stats().Upstreams[i]) }
		}
		m.Gauge("logfence_upstream_up", "1 while a URL of Loki is in use; 0 while it is down, and only probed.", labels,
			of(func(s loki.UpstreamStats) float64 {
				if s.Up {
					return 1
				}
				return 0
			}))
		m.Gauge("logfence_upstream_in_flight", "Requests and tails that a URL of Loki has not ended.", labels,
			of(func(s loki.UpstreamStats) float64 { return float64(s.InFlight) }))
		m.Counter("logfence_upstream_failures_total", "Requests to a URL of Loki that failed to connect or timed out.", labels,
			of(func(s loki.UpstreamStats) float64 { return float64(s.Failures) }))
		m.Counter("logfence_upstream_probes_total", "Attempts to find out whether a URL of Loki that is down is back.", labels,
			of(func(s loki.UpstreamStats) float64 { return float64(s.Probes) }))
	}
	m.Counter("logfence_upstream_retries_total", "Requests to Loki that were retried, since the first attempt got no byte of a response, or a 502 or 503 of a reverse proxy in front of Loki.", nil,
		func() float64 { return float64(client.Stats().Retries) })
	m.Counter("logfence_upstream_refused_total", "Requests that were not sent, since every URL of Loki is down.", nil,
		func() float64 { return float64(client.Stats().Refused) })
	m.Gauge("logfence_upstream_actor_levels", "Segments of X-Loki-Actor-Path sent to Loki: fewer than LOGFENCE_LOKI_ACTOR_LEVELS when Loki has refused as many.", nil,
		func() float64 { return float64(client.Stats().ActorLevels) })
	registerFiles(m, "loki", func() int { return client.Stats().StaleFiles })
}

// registerFiles adds how many files of certificates and credentials are not in use as they are.
func registerFiles(m *telemetry.Metrics, of string, stale func() int) {
	m.Gauge("logfence_stale_files", "Files of certificates and credentials, to Loki or our own (tls), that have changed to what cannot be used: what they held before is in use.",
		map[string]string{"of": of}, func() float64 { return float64(stale()) })
}
