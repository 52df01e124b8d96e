package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/tenant"
)

// Recorder records requests: in the log, the audit log, metrics and traces.
type Recorder struct {
	log     *slog.Logger
	queries LogQueries
	audit   *audit.Log
	metrics *Metrics
	tracing *Tracing
	outage  outage
}

// RecorderOption configures a Recorder.
type RecorderOption func(*Recorder)

// WithAudit records requests in the audit log. The recorder does not close it.
func WithAudit(a *audit.Log) RecorderOption { return func(r *Recorder) { r.audit = a } }

// NewRecorder makes a recorder that writes to the logger.
func NewRecorder(log *slog.Logger, options ...RecorderOption) *Recorder {
	r := &Recorder{log: log, outage: outage{log: log}}
	for _, option := range options {
		option(r)
	}
	return r
}

// Close logs what has been summed up, for which it is called before the log is closed.
func (r *Recorder) Close() { r.outage.close() }

// Begin writes the first audit record of a request, where records are required. It must be called before the first
// byte of a response that grants anything. On an error there must be no such response; see [audit.Log.Begin].
func (r *Recorder) Begin(d audit.AccessRecord) error { return r.audit.Begin(d) }

// Ready returns an error while audit records are required and cannot be written.
func (r *Recorder) Ready() error { return r.audit.Ready() }

// requestState is the state of a request in flight that is not part of its record.
type requestState struct {
	record *audit.AccessRecord
	client context.Context // ends when the client disconnects
	done   func()          // ends the count as in flight; nil: it is not counted
	span   trace.Span      // nil: it is not traced
}

type stateKey struct{}

// ownState is the state of logfence's own requests to Loki.
var ownState = &requestState{record: &audit.AccessRecord{}, client: context.Background()}

// stateOf returns the state of the request that ctx belongs to.
func stateOf(ctx context.Context) *requestState {
	if s, ok := ctx.Value(stateKey{}).(*requestState); ok {
		return s
	}
	return ownState
}

func (s *requestState) operation() string { return s.record.Operation }

// Start begins to observe a request, and [Recorder.Record] ends it: in between it is counted as in flight, has a
// span where traces are on, and what is requested of Loki for it is counted under its operation. The context of
// the request that it returns, which is ctx and more, is the one to give to the other methods.
func (r *Recorder) Start(ctx context.Context, request *http.Request, d *audit.AccessRecord) *http.Request {
	d.Received = int64(len(request.RequestURI)) + max(request.ContentLength, 0)
	s := &requestState{record: d, client: ctx}
	ctx = context.WithValue(ctx, stateKey{}, s)
	ctx, s.span = r.tracing.start(ctx, request, d)
	return request.WithContext(ctx)
}

// Route sets the operation of openapi.yaml that a request is for, and that operation's path.
func (r *Recorder) Route(ctx context.Context, operation, path string) {
	s := stateOf(ctx)
	if s == ownState {
		return
	}
	s.record.Operation = operation
	s.done = r.metrics.start(operation)
	route(s.span, operation, path)
}

// Record writes the request as one log line: at level error when logfence or Loki failed, warn when the request was
// refused, debug for public pages, and info otherwise. It is written even if the client has disconnected. Requests that
// are refused while Loki is known to be down are summed up, see [outage].
func (r *Recorder) Record(ctx context.Context, d audit.AccessRecord) {
	s := stateOf(ctx)
	if s.done != nil {
		s.done()
	}
	r.audit.Record(d) //nolint:contextcheck // written even if the client has disconnected
	r.metrics.record(&d)
	r.line(context.WithoutCancel(ctx), d, traceID(s.span))
	end(s.span, &d)
}

// line writes the log line through the handler: a Logger would first look up its caller.
func (r *Recorder) line(ctx context.Context, d audit.AccessRecord, trace string) {
	handler, level := r.log.Handler(), levelOf(&d)
	if d.Code == codeLokiUnavailable && r.outage.sumUp() {
		level = slog.LevelDebug
	}
	if !handler.Enabled(ctx, level) {
		return
	}
	line := slog.NewRecord(time.Now(), level, "request", 0)
	var fields [16]slog.Attr // all of them, on the stack
	line.AddAttrs(appendLogFields(fields[:0], &d, r.queries, trace)...)
	_ = handler.Handle(ctx, line) // as a Logger does: an error of the log has nowhere to be reported
}

func levelOf(d *audit.AccessRecord) slog.Level {
	switch {
	case d.Status >= http.StatusInternalServerError && d.Status != http.StatusNotImplemented:
		return slog.LevelError // not for 501: Loki is configured so, and nothing has failed
	case !d.Granted():
		return slog.LevelWarn
	case d.Operation == "":
		return slog.LevelDebug // the reference, the explorer and the spec itself
	default:
		return slog.LevelInfo
	}
}

// appendLogFields appends the line's fields; empty ones are left out, so that a line is as long as what it
// reports.
func appendLogFields(fields []slog.Attr, d *audit.AccessRecord, queries LogQueries, trace string) []slog.Attr {
	add := func(field slog.Attr) { fields = append(fields, field) }
	text := func(key, value string) {
		if value != "" {
			add(slog.String(key, audit.Redact(value)))
		}
	}
	texts := func(key string, values []string) {
		if len(values) > 0 {
			add(slog.Any(key, audit.RedactAll(values)))
		}
	}
	if !d.Time.IsZero() {
		add(slog.Time("at", d.Time))
	}
	text("request_id", d.RequestID)
	text("trace_id", trace)
	text("operation", d.Operation)
	add(slog.Int("status", d.Status))
	text("code", d.Code)
	texts("tenants", tenant.Texts(d.Tenants))
	texts("grants", d.Grants)
	if d.AnyTenant {
		add(slog.Bool("any_tenant", true))
	}
	text("subject", d.Subject)
	text("issuer", d.Issuer)
	switch queries {
	case LogHash:
		texts("query", audit.Hashed(d.Requested))
		texts("fenced", audit.Hashed(d.Fenced))
	case LogOff:
	default:
		texts("query", d.Requested)
		texts("fenced", d.Fenced)
	}
	add(slog.Int64("bytes", d.Bytes))
	if d.Windows > 0 {
		add(slog.Group("stream", slog.Int("windows", d.Windows), slog.Int("lines", d.Lines), slog.Int("gaps", d.Gaps), slog.String("ended", d.Ended)))
	}
	add(slog.Duration("duration", d.Duration))
	if d.Client.IsValid() {
		add(slog.String("client", d.Client.String()))
	}
	if d.Cause != nil {
		text("cause", causeText(d, queries))
	}
	return fields
}
