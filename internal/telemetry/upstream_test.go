package telemetry

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/audit"
)

// scrape returns the text of /metrics.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func wantLines(t *testing.T, m *Metrics, lines ...string) {
	t.Helper()
	body := "\n" + scrape(t, m)
	for _, want := range lines {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// TestUpstream guarantees how each end of a request to Loki is counted, under the operation that it was
// for, and that its bytes are.
func TestUpstream(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	for path, status := range map[string]int{"/ok": 200, "/refused": 400, "/busy": 429, "/broken": 500, "/late": 504} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "hello")
		})
	}
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hel")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/hang", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "hel")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	gone := httptest.NewServer(nil)
	gone.Close()

	m := NewMetrics()
	r := NewRecorder(slog.New(slog.DiscardHandler), WithMetrics(m))
	client := &http.Client{Transport: r.Transport(&http.Transport{})}
	t.Cleanup(client.CloseIdleConnections)
	for _, tt := range []struct {
		name, url string
		patience  time.Duration // 0: enough
		closes    bool          // the client, within the response
	}{
		{name: "ok", url: server.URL + "/ok"},
		{name: "refused", url: server.URL + "/refused"},
		{name: "rate_limited", url: server.URL + "/busy"},
		{name: "failed", url: server.URL + "/broken"},
		{name: "timeout", url: server.URL + "/late"},
		{name: "timeout", url: server.URL + "/hang", patience: 50 * time.Millisecond},
		{name: "timeout", url: server.URL + "/silent", patience: 50 * time.Millisecond},
		{name: "unreachable", url: gone.URL},
		{name: "broken", url: server.URL + "/cut"},
		{name: "client_closed", url: server.URL + "/hang", closes: true},
	} {
		caller, disconnect := context.WithCancel(t.Context())
		d := &audit.AccessRecord{}
		in := r.Start(caller, httptest.NewRequestWithContext(caller, http.MethodGet, "/api", nil), d)
		r.Route(in.Context(), tt.name, "/api")
		ctx, cancel := context.WithCancel(in.Context())
		if tt.patience > 0 {
			ctx, cancel = context.WithTimeout(in.Context(), tt.patience)
		}
		get(t, client, ctx, tt.url, func() {
			if tt.closes {
				disconnect()
			}
		})
		disconnect()
		cancel()
	}
	// A response that its reader closes early without a disconnect is ok.
	response := must(t, client, t.Context(), server.URL+"/ok")
	_ = response.Body.Close()

	wantLines(t, m,
		`logfence_upstream_requests_total{operation="ok",outcome="ok"} 1`,
		`logfence_upstream_requests_total{operation="ok",outcome="broken"} 0`,
		`logfence_upstream_requests_total{operation="refused",outcome="refused"} 1`,
		`logfence_upstream_requests_total{operation="rate_limited",outcome="rate_limited"} 1`,
		`logfence_upstream_requests_total{operation="failed",outcome="failed"} 1`,
		`logfence_upstream_requests_total{operation="timeout",outcome="timeout"} 3`,
		`logfence_upstream_requests_total{operation="unreachable",outcome="unreachable"} 1`,
		`logfence_upstream_requests_total{operation="broken",outcome="broken"} 1`,
		`logfence_upstream_requests_total{operation="client_closed",outcome="client_closed"} 1`,
		`logfence_upstream_requests_total{operation="none",outcome="ok"} 1`,
		`logfence_upstream_bytes_total{operation="ok"} 5`,
		`logfence_upstream_bytes_total{operation="broken"} 3`,
		`logfence_upstream_first_byte_seconds_count{operation="ok"} 1`,
		`logfence_upstream_duration_seconds_count{operation="timeout"} 2`,
	)
}

// get sends a request and reads the response to its end; reading is called at its first byte.
func get(t *testing.T, c *http.Client, ctx context.Context, url string, reading func()) { //nolint:revive // the context is what is tested
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(request)
	if err != nil {
		return
	}
	reading()
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
}

func must(t *testing.T, c *http.Client, ctx context.Context, url string) *http.Response { //nolint:revive // as above
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// timeless is a context with a deadline by which it does not end.
type timeless struct {
	context.Context // it is one itself

	deadline time.Time
}

func (c timeless) Deadline() (time.Time, bool) { return c.deadline, true }

// TestFailure guarantees that a failure counts as a timeout when the deadline has passed, though the request's context has
// not ended: a transport may enforce the deadline on the connection.
func TestFailure(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	for _, tt := range []struct {
		ctx  context.Context // a case
		want string
	}{
		{t.Context(), upstreamBroken},
		{timeless{t.Context(), future}, upstreamBroken},
		{timeless{t.Context(), past}, upstreamTimeout},
		{timeless{canceled, future}, upstreamClientClosed},
		{timeless{canceled, past}, upstreamClientClosed},
	} {
		if got := failure(tt.ctx, upstreamBroken); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.ctx, got, tt.want)
		}
	}
}

// TestTransportOff guarantees that what is not observed costs nothing.
func TestTransportOff(t *testing.T) {
	t.Parallel()
	next := &http.Transport{}
	if got := NewRecorder(slog.New(slog.DiscardHandler)).Transport(next); got != next {
		t.Errorf("got a %T around it", got)
	}
}

// TestSwitchedProtocols guarantees that a connection that Loki upgrades stays writable.
func TestSwitchedProtocols(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	connection := struct {
		io.Reader
		io.WriteCloser
	}{strings.NewReader(""), nil}
	transport := NewRecorder(slog.New(slog.DiscardHandler), WithMetrics(m)).Transport(roundTripFunc(func() (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: connection}, nil
	}))
	response, err := transport.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := response.Body.(io.Writer); !ok {
		t.Error("the connection cannot be written to")
	}
	wantLines(t, m, `logfence_upstream_requests_total{operation="none",outcome="ok"} 1`)
}

type roundTripFunc func() (*http.Response, error)

func (f roundTripFunc) RoundTrip(*http.Request) (*http.Response, error) { return f() }

func BenchmarkTransport(b *testing.B) {
	r := NewRecorder(slog.New(slog.DiscardHandler), WithMetrics(NewMetrics()))
	transport := r.Transport(roundTripFunc(func() (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}))
	request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		response, err := transport.RoundTrip(request)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
}
