package loki_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

var kinds = []error{
	loki.ErrUnreachable, loki.ErrUnavailable, loki.ErrTimeout, loki.ErrRateLimited, loki.ErrFailed, loki.ErrDenied, loki.ErrTooLong, loki.ErrNoUpgrade,
}

// failsWith holds an error to one kind, and its text to what anybody may read.
func failsWith(t *testing.T, err, want error) {
	t.Helper()
	for _, kind := range kinds {
		if errors.Is(err, kind) != (kind == want) { //nolint:errorlint // which of the list it is
			t.Errorf("%v is %q: %t", err, kind, errors.Is(err, kind))
		}
	}
	if err != nil && (strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "http")) {
		t.Errorf("the text names an address: %v", err)
	}
}

// TestOutcomes guarantees that everything but a usable response becomes one of a few errors.
func TestOutcomes(t *testing.T) {
	header := func(name, value string, status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(name, value)
			w.WriteHeader(status)
			say(w, body)
		})
	}
	for _, tt := range []struct {
		name string
		loki http.Handler
		kind error
	}{
		{"overload", lokitest.Fail(429, "too many"), loki.ErrRateLimited},
		{"internal error", lokitest.Fail(500, "rpc to 127.0.0.1:9095 failed"), loki.ErrFailed},
		{"unavailable", lokitest.Fail(503, "empty ring"), loki.ErrFailed},
		{"its own time-out", lokitest.Fail(504, "request timed out"), loki.ErrTimeout},
		// Not the caller's to know: no organization, a wrong base path, a proxy's refusal.
		{"no organization", lokitest.Fail(401, "no org id"), loki.ErrDenied},
		{"a proxy wants a password", header("Content-Type", "text/html", 401, "<h1>401</h1>"), loki.ErrDenied},
		{"forbidden", lokitest.Fail(403, "forbidden"), loki.ErrDenied},
		{"a form that is too long for a proxy", header("Content-Type", "text/html", 413, "<h1>413</h1>"), loki.ErrTooLong},
		{"the same in text", lokitest.Fail(413, "Payload Too Large"), loki.ErrTooLong},
		{"a URL that is too long for a proxy", header("Content-Type", "text/html", 414, "<h1>414</h1>"), loki.ErrTooLong},
		{"headers that are too long for a proxy", lokitest.Fail(431, "Request Header Fields Too Large"), loki.ErrTooLong},
		{"not found", lokitest.Fail(404, "404 page not found"), loki.ErrFailed},
		{"caller gone, says Loki", lokitest.Fail(499, "canceled"), loki.ErrFailed},
		{"a proxy's page for 400", header("Content-Type", "text/html", 400, "<h1>127.0.0.1 says no</h1>"), loki.ErrFailed},
		{"garbage", lokitest.Garbage(), loki.ErrFailed},
		{"protobuf", header("Content-Type", "application/vnd.google.protobuf", 200, "\x01"), loki.ErrFailed},
		{"no media type", header("Content-Type", "", 200, "{}"), loki.ErrFailed},
		{"no content", header("Content-Type", "application/json", 204, ""), loki.ErrFailed},
		{"gzip that was not requested", gzipped(), loki.ErrFailed},
		{"an unknown encoding", header("Content-Encoding", "br", 200, "{}"), loki.ErrFailed},
		{"broken gzip in a refusal", header("Content-Encoding", "gzip", 400, "plain"), loki.ErrFailed},
		{"connection dropped", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), loki.ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := twoTenants(t)
			fake.Instead(tt.loki)
			err := request(t.Context(), t, client(t, loki.Config{URL: fake.URL}), loki.RequestOptions{})
			failsWith(t, err, tt.kind)
			var refused *loki.RefusedError
			if errors.As(err, &refused) {
				t.Errorf("passed on as Loki's own: %v", err)
			}
		})
	}
}

// TestNotEnabled guarantees that a 404 of Loki's is told apart as a feature that it does not have, for the operations that not every
// Loki has, and is a failure for all others.
func TestNotEnabled(t *testing.T) {
	fake := twoTenants(t)
	fake.Instead(lokitest.Fail(http.StatusNotFound, "404 page not found"))
	c := client(t, loki.Config{URL: fake.URL})
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			missing := slices.Contains([]string{"Volume", "VolumeRange", "Patterns", "DetectedFieldValues"}, op.name)
			f := fenced{query(t, `{app="web"}`), selector(t, `{app="web"}`), patternSelector(t, `{app="web"}`)}
			_, err := op.send(t.Context(), c, loki.RequestOptions{}, f)
			failsWith(t, err, loki.ErrFailed)
			if errors.Is(err, loki.ErrNotEnabled) != missing {
				t.Errorf("got %v; a missing feature: %t", err, missing)
			}
		})
	}
}

func gzipped() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		say(z, `{"status":"success"}`)
		drop(z)
	})
}

// TestUnreachable guarantees that a Loki that is not there is told apart, and that the log can say why.
func TestUnreachable(t *testing.T) {
	fake := twoTenants(t)
	fake.Close()
	err := request(t.Context(), t, client(t, loki.Config{URL: strings.Replace(fake.URL, "//", "//me:s3cret@", 1)}), loki.RequestOptions{})
	failsWith(t, err, loki.ErrUnreachable)
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Error("request", "error", err)
	if !strings.Contains(logged.String(), "connection refused") {
		t.Errorf("the cause is not logged: %s", logged.String())
	}
	if strings.Contains(logged.String(), "s3cret") || strings.Contains(logged.String(), "me:") {
		t.Errorf("credentials are logged: %s", logged.String())
	}
}

// TestRefusals guarantees that Loki's word on a query reaches the caller, in plain text and bounded.
func TestRefusals(t *testing.T) {
	asJSON := func(body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.WriteHeader(http.StatusBadRequest)
			say(w, body)
		})
	}
	for _, tt := range []struct {
		name string
		loki http.Handler
		want string
	}{
		{"text", lokitest.Fail(400, "max entries limit exceeded\n"), "max entries limit exceeded"},
		{"compressed text", lokitest.FailGzip(400, "max entries limit exceeded"), "max entries limit exceeded"},
		{"JSON with error", asJSON(`{"status":"error","errorType":"bad_data","error":"too far back"}`), "too far back"},
		{"JSON with message", asJSON(`{"code":400,"status":"error","message":"too far back"}`), "too far back"},
		{"other JSON", asJSON(`["too far back"]`), `["too far back"]`},
		{"control characters", lokitest.Fail(400, "a\x1b[31mred\x00\r\nb\u202ec\xffd\te"), "a[31mred bcd e"},
		{"too long", lokitest.Fail(400, strings.Repeat("é", 1<<20)), strings.Repeat("é", 2<<10)},
		{"compressed bomb", lokitest.FailGzip(400, strings.Repeat("x", 64<<20)), strings.Repeat("x", 4<<10)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := twoTenants(t)
			fake.Instead(tt.loki)
			err := request(t.Context(), t, client(t, loki.Config{URL: fake.URL}), loki.RequestOptions{})
			var refused *loki.RefusedError
			if !errors.As(err, &refused) || refused.Status != 400 || refused.Message != tt.want {
				t.Errorf("got %.100v", err)
			}
			failsWith(t, err, nil)
		})
	}
}

// TestGzipPassesUntouched guarantees that a compressed response is passed on as it came.
func TestGzipPassesUntouched(t *testing.T) {
	fake := twoTenants(t)
	c := client(t, loki.Config{URL: fake.URL})
	a, err := c.QueryRange(t.Context(), loki.RequestOptions{AcceptGzip: true}, query(t, `{app="web"}`), rangeOf(noon))
	if err != nil {
		t.Fatal(err)
	}
	defer drop(a.Body)
	z, err := gzip.NewReader(a.Body)
	if err != nil || a.ContentEncoding != "gzip" {
		t.Fatalf("encoding %q: %v", a.ContentEncoding, err)
	}
	if err := json.NewDecoder(z).Decode(new(any)); err != nil {
		t.Error(err)
	}
}

// TestTimeoutBeforeResponse guarantees that a Loki that hangs is given up, and hears of it.
func TestTimeoutBeforeResponse(t *testing.T) {
	fake := twoTenants(t)
	hanging := fake.Hang()
	err := request(t.Context(), t, client(t, loki.Config{URL: fake.URL, Timeout: 50 * time.Millisecond}), loki.RequestOptions{})
	failsWith(t, err, loki.ErrTimeout)
	<-hanging.Left
}

// stalls sends a piece of a response and then nothing, until its client disconnects. `/ready` succeeds.
func stalls(left chan<- struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ready" {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // a server hears of its client's leaving only behind its form
		w.Header().Set("Content-Type", "application/json")
		say(w, `{"status":`)
		flush(w)
		<-r.Context().Done()
		left <- struct{}{}
	})
}

// TestTimeoutWithinResponse guarantees that the time-out holds for the body too.
func TestTimeoutWithinResponse(t *testing.T) {
	fake := twoTenants(t)
	left := make(chan struct{}, 1)
	fake.Instead(stalls(left))
	for _, text := range []string{`{app="web"}`, longText} {
		err := requestText(t.Context(), t, client(t, loki.Config{URL: fake.URL, Timeout: 50 * time.Millisecond}), loki.RequestOptions{}, text)
		failsWith(t, err, loki.ErrTimeout)
		<-left
	}
}

// TestCallerLeaves guarantees that the end of the caller's context ends Loki's work, before and within an
// response, and is not taken for a failure of Loki's.
func TestCallerLeaves(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		fake := twoTenants(t)
		hanging := fake.Hang()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-hanging.Arrived; cancel() }()
		err := request(ctx, t, client(t, loki.Config{URL: fake.URL}), loki.RequestOptions{})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		failsWith(t, err, nil)
		<-hanging.Left
	})
	t.Run("within", func(t *testing.T) {
		fake := twoTenants(t)
		left := make(chan struct{}, 1)
		fake.Instead(stalls(left))
		ctx, cancel := context.WithCancel(t.Context())
		c := client(t, loki.Config{URL: fake.URL})
		a, err := c.QueryRange(ctx, loki.RequestOptions{}, query(t, `{app="web"}`), rangeOf(noon))
		if err != nil {
			t.Fatal(err)
		}
		defer drop(a.Body)
		cancel()
		_, err = io.Copy(io.Discard, a.Body)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		failsWith(t, err, nil)
		<-left
	})
	t.Run("by a deadline of its own", func(t *testing.T) {
		fake := twoTenants(t)
		fake.Hang()
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(20*time.Millisecond))
		defer cancel()
		err := request(ctx, t, client(t, loki.Config{URL: fake.URL}), loki.RequestOptions{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		failsWith(t, err, nil)
	})
}

// TestCloseEndsLokisWork guarantees that closing a response that was not read to its end lets Loki stop.
func TestCloseEndsLokisWork(t *testing.T) {
	fake := twoTenants(t)
	left := make(chan struct{}, 1)
	fake.Instead(stalls(left))
	a, err := client(t, loki.Config{URL: fake.URL}).QueryRange(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), rangeOf(noon))
	if err != nil {
		t.Fatal(err)
	}
	drop(a.Body)
	<-left
}

// TestBrokenResponse guarantees that half a response never looks complete, wherever it breaks.
func TestBrokenResponse(t *testing.T) {
	for _, n := range []int{1, 10, 100} {
		fake := twoTenants(t)
		fake.CutAfter(n)
		err := request(t.Context(), t, client(t, loki.Config{URL: fake.URL}), loki.RequestOptions{})
		failsWith(t, err, loki.ErrFailed)
	}
	t.Run("without a length", func(t *testing.T) {
		// Ended by the end of the connection alone, so that a cut cannot be seen.
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer drop(conn)
			say(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"status\":")
		}))
		t.Cleanup(server.Close)
		failsWith(t, request(t.Context(), t, client(t, loki.Config{URL: server.URL}), loki.RequestOptions{}), loki.ErrFailed)
	})
}

// TestMemoryDoesNotGrow guarantees that a response passes through in pieces.
func TestMemoryDoesNotGrow(t *testing.T) {
	const size = 128 << 20
	fake := twoTenants(t)
	fake.Instead(lokitest.Generate(size))
	c := client(t, loki.Config{URL: fake.URL, Timeout: time.Hour})
	a, err := c.QueryRange(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), rangeOf(noon))
	if err != nil {
		t.Fatal(err)
	}
	defer drop(a.Body)
	buffer := make([]byte, 32<<10)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most uint64
	var total int
	for next := 0; ; {
		n, err := a.Body.Read(buffer)
		if total += n; total >= next {
			next = total + 4<<20
			runtime.GC()
			runtime.ReadMemStats(&after)
			most = max(most, after.HeapAlloc)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if total < size {
		t.Errorf("%d bytes arrived", total)
	}
	if most > before.HeapAlloc+size/16 { // what tests before have left, and the fake, is part of it
		t.Errorf("the heap grew from %d to %d bytes", before.HeapAlloc, most)
	}
}

// TestConnectionsAreReused guarantees that many callers do not open a connection each time.
func TestConnectionsAreReused(t *testing.T) {
	fake := twoTenants(t)
	opened := 0
	server := httptest.NewUnstartedServer(fake)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened++
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := client(t, loki.Config{URL: server.URL})
	for range 20 {
		if err := request(t.Context(), t, c, loki.RequestOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if opened != 1 {
		t.Errorf("%d connections for 20 requests", opened)
	}
}
