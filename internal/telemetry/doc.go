// Package telemetry shows operators what is going on: in the log, in metrics and in traces.
//
// Guarantee: each access record becomes exactly one log line, granted or not, one record of the audit log where
// that is on, and is counted in metrics. No log line holds a token, whatever is logged: what looks like a
// credential is removed on the way to the sink (see [audit.Redact]). Metrics and traces hold no query and no
// text of a caller's but the tenants' names, and those in metrics only where the operator sets it ([PerTenant]).
// No request waits for the log ([LogQueue]).
//
// Not promised here: that a caller's own query is no secret (it is logged as requested, unless [LogQueries] is set
// otherwise), or who may read the log.
//
// Spans are made here and not by otelhttp (v0.72), which cannot leave attributes out: the full URL of a request
// to Loki, which holds the query, and of a caller's request the path, the User-Agent and an X-Forwarded-For that
// is not checked against the trusted proxies. autoexport chooses the exporter.
package telemetry
