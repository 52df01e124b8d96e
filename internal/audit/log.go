package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/tenant"
)

// ErrNotRecorded means that a request must be refused with 503: its audit record is required and could not be
// written. It wraps the sink's error, for the log.
var ErrNotRecorded = errors.New("audit record not written")

// The sinks that are not a file.
const (
	Off    = "off"
	Stderr = "stderr"
)

// Queries is how much of a query an audit record holds.
type Queries string

// The ways to record queries.
const (
	Text Queries = "text" // as requested and as fenced
	Hash Queries = "hash" // their SHA-256, for where queries hold personal data
)

// UnmarshalText parses a Queries value.
func (q *Queries) UnmarshalText(text []byte) error {
	switch got := Queries(text); got {
	case Text, Hash:
		*q = got
		return nil
	default:
		return fmt.Errorf("%q is not known; write text or hash", text)
	}
}

// Config defines what is recorded, and where.
type Config struct {
	// Log is where records go: [Off], [Stderr] or the path of a file, which is made with
	// mode 0600 or appended to. A path has a slash in it, so that a misspelt name is not taken for one.
	Log string
	// Queries is how queries are recorded in the audit log. The log has its own setting, telemetry.LogQueries.
	Queries Queries
	// Required refuses what cannot be recorded. A full disk then is an outage; without it, a gap.
	Required bool
}

// Validate reports all mistakes at once, each as "Field: problem". It opens nothing.
func (c Config) Validate() error {
	var errs []error
	mistake := func(field, format string, args ...any) {
		errs = append(errs, fielderror.New(field, format, args...))
	}
	if c.Log != Off && c.Log != Stderr && !strings.ContainsAny(c.Log, `/\`) {
		mistake("Log", "%q is neither off, stderr nor a path; write a path such as /var/log/logfence/audit.jsonl", c.Log)
	}
	if c.Queries != Text && c.Queries != Hash {
		mistake("Queries", "%q is not known; write text or hash", string(c.Queries))
	}
	if c.Required && c.Log == Off {
		mistake("Required", "records are required, and there is no place for them; name one as the audit log")
	}
	return errors.Join(errs...)
}

// Log is the audit log. Its methods may be used from many goroutines; a nil Log is off.
type Log struct {
	config Config
	log    *slog.Logger

	mu          sync.Mutex
	sink        io.Writer
	file        io.Closer // the sink, where it is a file of ours
	partialLine bool      // the sink may end within a line
	failing     bool      // the last record was not written
	gap         uint64    // how many were not, since one was
	stats       Stats
	line        bytes.Buffer // of the record that is being written
	aggregates  aggregates
}

// Stats are the counters of a [Log], for metrics.
type Stats struct {
	// Written counts the records in the sink, Lost those that it did not take.
	Written, Lost uint64
}

// Open opens the sink. Its failures and recoveries are logged to log; stderr is where [Stderr] writes.
// The caller closes it.
func Open(c Config, stderr io.Writer, log *slog.Logger) (*Log, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	a := &Log{config: c, log: log}
	switch c.Log {
	case Off:
		return nil, nil // nil is off, and works
	case Stderr:
		a.sink = stderr
		return a, nil
	}
	return a, a.Reopen()
}

// Begin writes a record of a request that is about to be granted, where records are required; of one without a
// tenant, to which nothing of a tenant's is granted, it only reports whether records can be written. It is called
// before the first byte of a response that grants anything. On an error, which is [ErrNotRecorded], there must
// be no such response.
func (a *Log) Begin(d AccessRecord) error {
	if a == nil || !a.config.Required {
		return nil
	}
	if len(d.Tenants) == 0 {
		if err := a.Ready(); err != nil {
			return fmt.Errorf("%w: %w", ErrNotRecorded, err)
		}
		return nil
	}
	if err := a.append(a.record(d, stageRequest, nil)); err != nil {
		return fmt.Errorf("%w: %w", ErrNotRecorded, err)
	}
	return nil
}

// Record writes the record of a request and its outcome. A failure is logged: the response has been sent. Requests
// without a tenant, such as those without a valid token, are aggregated beyond 10 a second: each 10 seconds, a record
// of each outcome has how many there were.
func (a *Log) Record(d AccessRecord) {
	if a == nil || a.aggregated(&d) {
		return
	}
	_ = a.append(a.record(d, stageResponse, &lineOutcome{
		Outcome: d.Outcome(), Code: d.Code, Status: d.Status, Bytes: d.Bytes, Seconds: d.Duration.Seconds(),
		Windows: d.Windows, Lines: d.Lines, Gaps: d.Gaps, Ended: d.Ended,
	}))
}

// Ready returns an error while records are required and cannot be written. Each call tries again.
func (a *Log) Ready() error {
	if a == nil || !a.config.Required {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.resume()
}

// Stats counts.
func (a *Log) Stats() Stats {
	if a == nil {
		return Stats{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stats
}

// The stages of records.
const (
	stageRequest  = "request"  // before the first byte of a response, where records are required
	stageResponse = "response" // at the end of a response
	stageGap      = "gap"      // some records are missing here
	// stageAggregate is of several requests without a tenant that have no records of their own.
	stageAggregate = "aggregate"
)

// line is one line. Its names are stable: users search in years of them.
type line struct {
	Type      string        `json:"type"`  // always "audit", which no log line has
	Stage     string        `json:"stage"` // see stageRequest
	Time      string        `json:"time"`  // times are those of [lineTime]
	RequestID string        `json:"request_id,omitempty"`
	Subject   string        `json:"subject,omitempty"`
	Issuer    string        `json:"issuer,omitempty"`
	Tenants   []tenant.Name `json:"tenants,omitempty"`
	Grants    []string      `json:"grants,omitempty"`
	// AccessFile names the content of the file of grants; AnyTenant marks access to every tenant.
	AccessFile string   `json:"access_file,omitempty"`
	AnyTenant  bool     `json:"any_tenant,omitempty"`
	Client     string   `json:"client,omitempty"`
	Operation  string   `json:"operation,omitempty"`
	Query      []string `json:"query,omitempty"`
	Fenced     []string `json:"fenced,omitempty"`
	Start      string   `json:"start,omitempty"`
	End        string   `json:"end,omitempty"`
	Lost       uint64   `json:"lost,omitempty"` // of a gap: how many are missing
	// Of an aggregate: how many requests there were, and when the first of them was.
	Count uint64 `json:"count,omitempty"`
	Since string `json:"since,omitempty"`
	*lineOutcome
}

type lineOutcome struct {
	Outcome string  `json:"outcome"` // granted, refused or failed
	Code    string  `json:"code,omitempty"`
	Status  int     `json:"status"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"duration_seconds"`
	// Of a stream of lines.
	Windows int    `json:"windows,omitempty"`
	Lines   int    `json:"lines,omitempty"`
	Gaps    int    `json:"gaps,omitempty"`
	Ended   string `json:"ended,omitempty"`
}

func (a *Log) record(d AccessRecord, stage string, o *lineOutcome) line {
	r := line{
		Type: "audit", Stage: stage, Time: lineTime(d.Time), RequestID: Redact(d.RequestID),
		Subject: Redact(d.Subject), Issuer: Redact(d.Issuer), Tenants: RedactAll(d.Tenants),
		Grants: d.Grants, AccessFile: d.Generation, AnyTenant: d.AnyTenant,
		Operation: d.Operation, Query: a.queries(d.Requested), Fenced: a.queries(d.Fenced),
		Start: lineTime(d.Start), End: lineTime(d.End), lineOutcome: o,
	}
	if d.Client.IsValid() {
		r.Client = d.Client.String()
	}
	return r
}

// lineTime is a time in UTC as RFC 3339, as encoding/json writes it, which takes several times as long. Empty: there is none, or
// one that RFC 3339 cannot hold: it ends with the year 9999, and a caller's time with an offset can be later.
func lineTime(t time.Time) string {
	t = t.UTC()
	if y := t.Year(); t.IsZero() || y < 0 || y > 9999 {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func (a *Log) queries(texts []string) []string {
	if a.config.Queries != Hash {
		return RedactAll(texts)
	}
	return Hashed(texts)
}

// append writes one record and counts the lost ones.
func (a *Log) append(r line) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.appendLocked(r)
}

func (a *Log) appendLocked(r line) error {
	err := a.resume()
	if err == nil {
		err = a.write(r)
	}
	if err == nil {
		return nil
	}
	a.gap++
	a.stats.Lost++
	if !a.failing {
		// Once, not for each: otherwise callers who fill the disk would fill the log as well.
		a.log.LogAttrs(context.Background(), slog.LevelError, "audit records are not written",
			slog.String("error", err.Error()), slog.Bool("required", a.config.Required))
	}
	a.failing = true
	return err
}

// resume ends a gap with a record of it, so that the audit log itself shows that records are missing.
func (a *Log) resume() error {
	if !a.failing {
		return nil
	}
	if err := a.write(line{Type: "audit", Stage: stageGap, Time: lineTime(time.Now()), Lost: a.gap}); err != nil {
		return err
	}
	a.log.LogAttrs(context.Background(), slog.LevelWarn, "audit records are written again", slog.Uint64("lost", a.gap))
	a.failing, a.gap = false, 0
	return nil
}

// write writes one line with one call, so that it does not interleave with other lines in the same sink.
func (a *Log) write(r line) error {
	a.line.Reset()
	if a.partialLine {
		a.line.WriteByte('\n')
	}
	encoder := json.NewEncoder(&a.line)
	encoder.SetEscapeHTML(false) // LogQL is full of < and >
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("encode audit record: %w", err)
	}
	n, err := a.sink.Write(RedactLine(a.line.Bytes()))
	if err != nil {
		a.partialLine = a.partialLine || n > 0
		return fmt.Errorf("write audit record: %w", err)
	}
	a.partialLine = false
	a.stats.Written++
	return nil
}

// Hashed returns the SHA-256 of each text, for an audit log or a log that must not hold queries in clear text.
func Hashed(texts []string) []string {
	hashes := make([]string, len(texts))
	for i, text := range texts {
		sum := sha256.Sum256([]byte(text))
		hashes[i] = "sha256:" + hex.EncodeToString(sum[:])
	}
	return hashes
}
