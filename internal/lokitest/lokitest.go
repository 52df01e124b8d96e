// Package lokitest is a fake Loki for tests: it holds streams of several tenants and matches queries against
// them with Loki's own parser and pipelines, so that a test fails if a fence does nothing.
//
// Guarantee: its responses come from the streams that the query selects as Loki 3.7.8 would select
// them, and from no others; X-Scope-OrgID is ignored, so that nothing but the query confines. Every
// request is recorded as it arrived.
//
// Not imitated: the arithmetic of metric queries. Each selector anywhere in a metric query contributes one
// series for each stream that matches it, with all of the stream's labels and the count of its lines: a
// leg that was left unfenced shows in the response whatever is wrapped around it. Only expressions without a
// selector (`vector(1)+vector(1)`) are computed. Neither are ingestion, limits, sharding, the labels that
// Loki adds by itself (service_name, detected_level), approximation (all times and counts are exact),
// mined patterns (digits become <_>), or authentication.
//
// It is test support and never linked into the binary.
package lokitest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Stream is a set of labels with its entries.
type Stream struct {
	Labels  map[string]string
	Entries []Entry
}

// Entry is a line with its time and its structured metadata.
type Entry struct {
	Time     time.Time
	Line     string
	Metadata map[string]string
}

// Lines makes a stream of lines that end at a time and are a second apart.
func Lines(set map[string]string, end time.Time, lines ...string) Stream {
	s := Stream{Labels: set}
	for i, line := range lines {
		s.Entries = append(s.Entries, Entry{Time: end.Add(time.Duration(i-len(lines)+1) * time.Second), Line: line})
	}
	return s
}

// Request is one request as it arrived.
type Request struct {
	Method, Path string
	Header       http.Header
	Host         string
	// Params are those of URL and form, merged as Loki merges them: the form's first.
	Params url.Values
	// URLParams are those of the URL alone.
	URLParams url.Values
	Body      string
}

// Loki is the fake. It is safe for use by many goroutines; its zero value is empty and does not listen,
// for use as an [http.Handler].
type Loki struct {
	// URL is where it listens, without a path; empty for a zero Loki.
	URL string
	// Now is the clock that defaults of times are read from; nil is the system's. Set it before use.
	Now func() time.Time
	// PingEvery has tails pinged, as Loki (3.7.8) pings them every second; 0: never, so that clients take a silent tail for
	// broken after some time. Set it before use.
	PingEvery time.Duration

	server *httptest.Server

	mu       sync.Mutex
	streams  []stream
	requests []Request
	instead  http.Handler
	tails    map[*tail]bool
}

// stream is a Stream in Loki's terms, its entries in the order of time.
type stream struct {
	labels  labels.Labels
	entries []Entry
}

// New starts a Loki that holds the streams, until the test ends.
func New(t testing.TB, streams ...Stream) *Loki {
	t.Helper()
	return start(t, func(h http.Handler) *httptest.Server { return httptest.NewServer(h) }, streams)
}

// NewOn starts a Loki that listens there, for example in memory.
func NewOn(t testing.TB, listener net.Listener, streams ...Stream) *Loki {
	t.Helper()
	return start(t, func(h http.Handler) *httptest.Server {
		server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: h}} //nolint:gosec // a test's own clients
		server.Start()
		return server
	}, streams)
}

func start(t testing.TB, serve func(http.Handler) *httptest.Server, streams []Stream) *Loki {
	t.Helper()
	l := &Loki{}
	l.add(streams)
	l.server = serve(l)
	l.URL = l.server.URL
	t.Cleanup(l.Close)
	return l
}

// Close cuts every connection and stops listening; later requests cannot connect.
func (l *Loki) Close() {
	l.CloseTails()
	if l.server != nil {
		l.server.CloseClientConnections()
		l.server.Close()
	}
}

// CutConnections closes every connection as a crash would, and continues to listen.
func (l *Loki) CutConnections() { l.server.CloseClientConnections() }

// Requests are all that arrived, in order.
func (l *Loki) Requests() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.requests)
}

// Forget empties the list of requests.
func (l *Loki) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = nil
}

func (l *Loki) add(streams []Stream) {
	for _, s := range streams {
		set := labels.FromMap(s.Labels)
		at := slices.IndexFunc(l.streams, func(other stream) bool { return labels.Equal(set, other.labels) })
		if at < 0 {
			at = len(l.streams)
			l.streams = append(l.streams, stream{labels: set})
		}
		// A new array: responses that are being written hold the old one.
		entries := append(slices.Clone(l.streams[at].entries), s.Entries...)
		slices.SortStableFunc(entries, func(a, b Entry) int { return a.Time.Compare(b.Time) })
		l.streams[at].entries = entries
	}
}

// Add adds streams, or entries to streams it has, without sending them to tails.
func (l *Loki) Add(streams ...Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(streams)
}

func (l *Loki) snapshot() []stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.streams)
}

func (l *Loki) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

// maxBody is how much of a body is kept; a request to Loki's read API that is longer is a test's mistake.
const maxBody = 4 << 20

// ServeHTTP records a request and responds as Loki does, or with the test's handler.
func (l *Loki) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	formErr := r.ParseForm()
	r.Body = io.NopCloser(bytes.NewReader(raw))
	l.mu.Lock()
	l.requests = append(l.requests, Request{
		Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Host: r.Host,
		Params: cloneValues(r.Form), URLParams: r.URL.Query(), Body: string(raw),
	})
	instead := l.instead
	l.mu.Unlock()
	switch {
	case instead != nil:
		instead.ServeHTTP(w, r)
	case formErr != nil: // a `;` in the URL among others
		fail(w, http.StatusBadRequest, formErr.Error())
	default:
		l.serve(w, r)
	}
}

func cloneValues(v url.Values) url.Values { return url.Values(http.Header(v).Clone()) }

const apiPrefix = "/loki/api/v1/"

// serve is Loki's router. Loki's paths are exact; what it does not know is 404.
func (l *Loki) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	// A base path, as a gateway in front of Loki may have it, is dropped.
	if i := strings.Index(path, apiPrefix); i > 0 {
		path = path[i:]
	}
	operation, name := route(path)
	handle := map[string]func(request) (any, error){
		"query_range": l.queryRange, "query": l.query,
		"labels": l.labels, "label": l.labels, "label/values": l.labelValues, "series": l.series,
		"index/stats": l.indexStats, "index/volume": l.volume, "index/volume_range": l.volumeRange,
		"patterns": l.patterns, "detected_labels": l.detectedLabels,
		"detected_fields": l.detectedFields, "detected_field/values": l.detectedFieldValues,
		"format_query": l.formatQuery, "status/buildinfo": l.buildInfo,
	}[operation]
	switch {
	case strings.HasSuffix(path, "/ready"):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "ready") //nolint:errcheck // the client may be gone
	case handle == nil && operation != "tail":
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case operation == "tail":
		l.tail(w, r)
	default:
		response, err := handle(request{Request: r, name: name, now: l.now()})
		send(w, r, response, err)
	}
}

// route takes a name out of the paths that have one.
func route(path string) (operation, name string) {
	operation, ok := strings.CutPrefix(path, apiPrefix)
	if !ok {
		return "", ""
	}
	for _, family := range []string{"label", "detected_field"} {
		rest, ok := strings.CutPrefix(operation, family+"/")
		if !ok {
			continue
		}
		escaped, ok := strings.CutSuffix(rest, "/values")
		name, err := url.PathUnescape(escaped)
		if ok && err == nil && escaped != "" && !strings.Contains(escaped, "/") {
			return family + "/values", name
		}
		return "", ""
	}
	return operation, ""
}

// httpError is an error with Loki's status for it.
type httpError struct {
	status  int
	message string
}

func (e *httpError) Error() string { return e.message }

func badRequest(err error) error {
	if err == nil {
		return nil
	}
	return &httpError{http.StatusBadRequest, err.Error()}
}

// fail responds as Loki does to a rejected request: plain text, without a newline.
func fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, message) //nolint:errcheck,gosec // the client may be gone
}

// send responds with JSON, compressed if the client accepts that.
func send(w http.ResponseWriter, r *http.Request, response any, err error) {
	if err != nil {
		refused, ok := err.(*httpError) //nolint:errorlint // handlers return it bare
		if !ok {
			refused = &httpError{http.StatusInternalServerError, err.Error()}
		}
		fail(w, refused.status, refused.message)
		return
	}
	status := http.StatusOK
	if s, ok := response.(interface{ status() int }); ok {
		status = s.status()
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	out, finish := compressed(w, r)
	defer finish()
	w.WriteHeader(status)
	json.NewEncoder(out).Encode(response) //nolint:errcheck,gosec // the client may be gone
}

// compressed is w, or a gzip writer to it if the client accepts gzip.
func compressed(w http.ResponseWriter, r *http.Request) (out io.Writer, finish func()) {
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return w, func() {}
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Add("Vary", "Accept-Encoding")
	z := gzip.NewWriter(w)
	return z, func() { z.Close() } //nolint:errcheck,gosec // the client may be gone
}
