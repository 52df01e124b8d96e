package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/poll"
)

// wire is a stretch of TCP that can be made to fail.
type wire struct{ *toxiproxy.Proxy }

func newWire(t *testing.T, upstream string) *wire {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &wire{toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", strings.TrimPrefix(upstream, "http://"))}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Toxics.ResetToxics(context.Background())
		w.Stop()
	})
	return w
}

func (w *wire) url() string { return "http://" + w.Listen }

// poison makes every connection fail in one way, as toxiproxy's documentation names it.
func (w *wire) poison(t *testing.T, toxic string, attributes string) {
	t.Helper()
	if _, err := w.Toxics.AddToxicJson(strings.NewReader(`{"type":"` + toxic + `","attributes":{` + attributes + `}}`)); err != nil {
		t.Fatal(err)
	}
}

// front is a reverse proxy in front of a Loki, and may respond in its place.
type front struct {
	*httptest.Server
	instead atomic.Pointer[http.HandlerFunc]
	half    atomic.Bool // one of two Lokis is gone, to which every second request goes
	turn    atomic.Int64
}

func newFront(t *testing.T, l *demo.Loki) *front {
	t.Helper()
	behind, err := url.Parse(l.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(behind) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := f.instead.Load(); h != nil {
			(*h)(w, r)
			return
		}
		if f.half.Load() && r.URL.Path != "/ready" && f.turn.Add(1)%2 == 1 {
			text(http.StatusBadGateway, "text/html", "<h1>502 Bad Gateway</h1>")(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	f.Config.ErrorLog = nil
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
		transport.CloseIdleConnections()
	})
	return f
}

func text(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// reply is what a caller gets.
type reply struct {
	status int // 200: whole
	code   string
	broken bool // the response breaks off
}

// String is how the page of faults has it.
func (r reply) String() string {
	switch {
	case r == reply{}:
		return "–"
	case r.broken:
		return "a response that breaks off"
	case r.code == "":
		return "200"
	default:
		return fmt.Sprintf("%d `%s`", r.status, r.code)
	}
}

// scene is a logfence before a Loki, with a wire and a front between.
type scene struct {
	*gateway
	wire  *wire
	front *front
}

// fault is something that goes wrong with Loki, and what callers get of it.
type fault struct {
	name  string
	begin func(*testing.T, *scene)
	first reply // at once
	then  reply // once Loki is known to be down; the zero value: as before
}

const (
	faultTimeout = 3 * time.Second // LOGFENCE_LOKI_TIMEOUT
	cutAfter     = 200 << 10       // bytes, within a response
	cutExport    = 1 << 20         // bytes, within the second page of an export
)

// always has the front respond to everything, and ready to all but /ready.
func always(h http.HandlerFunc) func(*testing.T, *scene) {
	return func(_ *testing.T, s *scene) { s.front.instead.Store(&h) }
}

func ready(h http.HandlerFunc) func(*testing.T, *scene) {
	return func(t *testing.T, s *scene) {
		always(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/ready" {
				text(http.StatusOK, "text/plain", "ready\n")(w, r)
				return
			}
			h(w, r)
		})(t, s)
	}
}

func poisoned(toxic, attributes string) func(*testing.T, *scene) {
	return func(t *testing.T, s *scene) { s.wire.poison(t, toxic, attributes) }
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

var (
	unreachable = reply{status: http.StatusBadGateway, code: "loki_unreachable"}
	lokiFailed  = reply{status: http.StatusBadGateway, code: "loki_failed"}
	unavailable = reply{status: http.StatusServiceUnavailable, code: "loki_unavailable"}
	timedOut    = reply{status: http.StatusGatewayTimeout, code: "loki_timeout"}
	lokiDenied  = reply{status: http.StatusBadGateway, code: "loki_denied"}
	tooLong     = reply{status: http.StatusUnprocessableEntity, code: "query_too_long"}
	fine        = reply{status: http.StatusOK}
)

var faults = []fault{
	{"Loki refuses connections", func(_ *testing.T, s *scene) { s.wire.Stop() }, unreachable, unavailable},
	{"Loki accepts connections and does not respond", poisoned("timeout", `"timeout":0`), timedOut, unavailable},
	{"Loki is slow", poisoned("latency", `"latency":200`), fine, reply{}},
	{"Loki takes longer than LOGFENCE_LOKI_TIMEOUT", ready(hang), timedOut, reply{}},
	{"connections break before a response", poisoned("limit_data", `"bytes":0`), unreachable, unavailable},
	{"connections break in the middle of a response", poisoned("limit_data", `"bytes":`+strconv.Itoa(cutAfter)), reply{status: http.StatusOK, broken: true}, reply{}},
	{"Loki responds with an HTML page", ready(text(http.StatusOK, "text/html", "<h1>It works!</h1>")), lokiFailed, reply{}},
	{"Loki responds with 429", ready(text(http.StatusTooManyRequests, "text/plain", "too many outstanding requests")), reply{status: http.StatusTooManyRequests, code: "rate_limited"}, reply{}},
	{"Loki responds with 500", ready(text(http.StatusInternalServerError, "text/plain", "rpc error")), lokiFailed, reply{}},
	{"Loki responds with 504", ready(text(http.StatusGatewayTimeout, "text/plain", "context deadline exceeded")), timedOut, reply{}},
	{"a reverse proxy in front of Loki responds with 401 or 403", ready(text(http.StatusForbidden, "text/html", "<h1>403</h1>")), lokiDenied, reply{}},
	{"a reverse proxy in front of Loki responds with 413 or 414", ready(text(http.StatusRequestEntityTooLarge, "text/html", "<h1>413</h1>")), tooLong, reply{}},
	{"one of two Lokis behind a reverse proxy is gone", func(_ *testing.T, s *scene) { s.front.half.Store(true) }, fine, reply{}},
	{"a reverse proxy in front of Loki responds with 503 to everything", always(text(http.StatusServiceUnavailable, "text/html", "<h1>503</h1>")), lokiFailed, unavailable},
}

// end ends every fault.
func (s *scene) end(t *testing.T) {
	t.Helper()
	s.front.instead.Store(nil)
	s.front.half.Store(false)
	s.wire.Toxics.ResetToxics(t.Context())
	if !s.wire.Enabled {
		if err := s.wire.Start(); err != nil {
			t.Error(err)
		}
	}
}

// TestFaults guarantees, for each of the faults, the response that docs/faults.md names, that a tail loses no line
// over it, that service is back by itself when it ends, and that no goroutine remains of it.
func TestFaults(t *testing.T) {
	t.Parallel()
	l, err := on.startLoki(t.Context(), demo.LokiOptions{Args: liveArgs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	large := writeNoise(t, l)
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, l)
			app := "fault-" + strconv.Itoa(i)
			tl := openTail(t, s.gateway, "", "query", `{app="`+app+`"}`)
			p := pushing(t, l, app, 1, 100*time.Millisecond)
			var got []string
			tl.upTo(t, 3, &got)
			s.query(t, large, fine)
			before := s.goroutines(t)

			f.begin(t, s)
			s.query(t, large, f.first)
			if f.then != (reply{}) {
				s.until(t, large, f.then, f.first)
			}
			if f.first.broken {
				s.exports(t, large)
			}
			s.load(t, large)
			s.end(t)
			s.until(t, large, fine, f.first, f.then)

			tl.upTo(t, p.untilSent(t, int(p.sent.Load())+5), &got)
			p.stop()
			exactlyOnce(t, got, 0, len(got))
			s.settles(t, before)
		})
	}
}

func newScene(t *testing.T, l *demo.Loki) *scene {
	t.Helper()
	s := &scene{front: newFront(t, l)}
	s.wire = newWire(t, s.front.URL)
	var err error
	if s.gateway, err = startGateway(t.Context(), on.binary, on.issuer, s.wire.url(), "LOGFENCE_LOKI_TIMEOUT="+faultTimeout.String(), "LOGFENCE_PPROF=true"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// writeNoise writes three pages of lines that cannot be compressed.
func writeNoise(t *testing.T, l *demo.Loki) url.Values {
	t.Helper()
	const lines = 12_000
	base := time.Now().Add(-time.Hour)
	entries := make([]demo.Entry, lines)
	noise := make([]byte, 96)
	for i := range entries {
		_, _ = rand.Read(noise)
		entries[i] = demo.Entry{Time: base.Add(time.Duration(i) * time.Millisecond), Line: base64.StdEncoding.EncodeToString(noise)}
	}
	if err := l.Push(t.Context(), demo.Stream{Labels: map[string]string{tenantLabel: demo.Alpha, "app": "noise"}, Entries: entries}); err != nil {
		t.Fatal(err)
	}
	return with(url.Values{}, "query", `{app="noise"}`, "start", nanoseconds(base), "end", nanoseconds(time.Now()))
}

// try sends one query for several times cutAfter bytes.
func (s *scene) try(t *testing.T, params url.Values) (reply, http.Header, error) {
	t.Helper()
	r, err := request{method: http.MethodGet, path: "/api/v1/logs/query", params: with(clone(params), "limit", "5000")}.build(t.Context(), s.public)
	if err != nil {
		return reply{}, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+tokenOf(t, demo.Claims{Tenant: demo.Alpha}))
	r.Header.Set("Accept-Encoding", "identity")
	resp, err := httpClient.Do(r)
	if err != nil {
		return reply{}, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusOK {
		return reply{status: http.StatusOK, broken: err != nil}, resp.Header, nil
	}
	if err := errors.Join(err, on.contract.check(r, resp.StatusCode, resp.Header, body)); err != nil {
		return reply{}, nil, err
	}
	return reply{status: resp.StatusCode, code: problemOf(t, response{resp.StatusCode, resp.Header, body}).Code}, resp.Header, nil
}

// query is one query with one reply.
func (s *scene) query(t *testing.T, params url.Values, want reply) {
	t.Helper()
	got, header, err := s.try(t, params)
	if err != nil || got != want {
		t.Errorf("got %s, want %s: %v", got, want, err)
	}
	wantsRetry := got.status == http.StatusTooManyRequests || got.status == http.StatusServiceUnavailable
	if after := header.Get("Retry-After"); wantsRetry != (after != "") {
		t.Errorf("%s with Retry-After %q", got, after)
	}
}

// until repeats the request until the reply is as wanted; before that it may be one of others.
func (s *scene) until(t *testing.T, params url.Values, want reply, others ...reply) {
	t.Helper()
	poll.Wait(t, "the reply "+want.String(), func() bool {
		got, _, err := s.try(t, params)
		if err != nil || got != want && !slices.Contains(others, got) {
			t.Fatalf("got %s while waiting for %s: %v", got, want, err)
		}
		return got == want
	})
	s.query(t, params, want) // with its headers
}

// exports guarantees that an export which is cut never ends as if it were whole.
func (s *scene) exports(t *testing.T, params url.Values) {
	t.Helper()
	s.end(t)
	s.wire.poison(t, "limit_data", `"bytes":`+strconv.Itoa(cutExport))
	body, err := io.ReadAll(openExport(t, s.gateway, with(clone(params), "format", "ndjson")).Body)
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	if last := lines[len(lines)-1]; err != nil || len(lines) < 1000 || !strings.HasPrefix(last, `{"error":`) || !strings.Contains(last, lokiFailed.code) {
		t.Errorf("ndjson of %d lines ends with %.300s, %v", len(lines), last, err)
	}
	for _, format := range []string{"csv", "text"} {
		if n, err := io.Copy(io.Discard, openExport(t, s.gateway, with(clone(params), "format", format)).Body); err == nil || n == 0 {
			t.Errorf("%s ends cleanly after %d bytes", format, n)
		}
	}
}

// goroutines counts those of logfence.
func (s *scene) goroutines(t *testing.T) int {
	t.Helper()
	httpClient.CloseIdleConnections()
	_, said, err := get(t.Context(), s.admin+"/debug/pprof/goroutine?debug=1")
	var n int
	if _, scan := fmt.Sscanf(string(said), "goroutine profile: total %d", &n); err != nil || scan != nil {
		t.Fatalf("no goroutines: %v, %v: %.300s", err, scan, said)
	}
	return n
}

// settles guarantees that what a fault has started ends: a few connections may idle that did not before.
func (s *scene) settles(t *testing.T, before int) {
	t.Helper()
	idle := 12 // connections to Loki and from callers, of two goroutines each
	if loaded() {
		idle += 4 * loadCallers // a minute's
	}
	poll.Wait(t, fmt.Sprintf("as many goroutines as the %d before the fault", before), func() bool { return s.goroutines(t) <= before+idle })
}

const loadCallers = 16

func loaded() bool { return os.Getenv("LOGFENCE_TEST_LOAD") == "faults" }

// load sends requests for ten seconds, as fast as sixteen callers can, with LOGFENCE_TEST_LOAD=faults, and
// reports the memory that this takes.
func (s *scene) load(t *testing.T, params url.Values) {
	t.Helper()
	if !loaded() {
		return
	}
	const seconds = 10
	sizes := []string{}
	for range 2 {
		var n atomic.Int64
		ctx, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
		var all sync.WaitGroup
		for range loadCallers {
			all.Go(func() {
				for ctx.Err() == nil {
					if _, _, err := s.try(t, params); err == nil {
						n.Add(1)
					}
				}
			})
		}
		all.Wait()
		cancel()
		sizes = append(sizes, fmt.Sprintf("%d MB after %d requests", memoryOf(t, s.cmd.Process.Pid, "VmRSS")>>20, n.Load()))
	}
	t.Logf("resident memory: %s", strings.Join(sizes, ", "))
}
