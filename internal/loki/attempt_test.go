package loki_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

// told is a log whose messages can be waited for.
type told chan string

func (told) Enabled(context.Context, slog.Level) bool { return true }
func (h told) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h told) WithGroup(string) slog.Handler          { return h }

func (h told) Handle(_ context.Context, r slog.Record) error {
	h <- r.Message
	return nil
}

func (h told) wait(t *testing.T, want string) {
	t.Helper()
	for {
		select {
		case got := <-h:
			if got == want {
				return
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("not said: %s", want)
		}
	}
}

const (
	isDown = "Loki is down; no requests are sent to it until a health check succeeds"
	isBack = "Loki is back"
)

// listening makes a client that says what it finds.
func listening(t *testing.T, urls string) (*loki.Client, told) {
	t.Helper()
	said := make(told, 64)
	c, err := loki.New(loki.Config{URL: urls}, loki.WithLogger(slog.New(said)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, said
}

// counted counts the requests for logs.
func counted(n *atomic.Int32, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" {
			n.Add(1)
		}
		h(w, r)
	})
}

// breaksOff breaks the connection before the response, or within it.
func breaksOff(response string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		say(conn, response)
		drop(conn)
	}
}

// fails responds with an error that is a reverse proxy's.
func fails(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		say(w, body)
	}
}

// TestOnceMore guarantees which requests are sent a second time: those that got no byte of a response, or that of a reverse
// proxy without a Loki, once; and that it is another URL that gets them, where there is one.
func TestOnceMore(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		handler  http.HandlerFunc
		requests int32
		kind     error
	}{
		{"nothing at all", breaksOff(""), 2, loki.ErrUnreachable},
		{"a byte", breaksOff("H"), 1, loki.ErrUnreachable},
		{"half a header", breaksOff("HTTP/1.1 200 OK\r\nContent-Ty"), 1, loki.ErrUnreachable},
		{"half a body", breaksOff("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"), 1, loki.ErrFailed},
		{"a failure", lokitest.Fail(http.StatusServiceUnavailable, "no").ServeHTTP, 1, loki.ErrFailed},
		{"too much", lokitest.Fail(http.StatusTooManyRequests, "no").ServeHTTP, 1, loki.ErrRateLimited},
		{"a failure in JSON", fails(http.StatusServiceUnavailable, "application/json", `{"error":"no"}`), 1, loki.ErrFailed},
		{"nginx without Loki", fails(http.StatusBadGateway, "text/html", "<h1>502 Bad Gateway</h1>"), 2, loki.ErrFailed},
		{"envoy without Loki", fails(http.StatusServiceUnavailable, "text/plain", "no healthy upstream"), 2, loki.ErrFailed},
		{"caddy without Loki", fails(http.StatusBadGateway, "", ""), 2, loki.ErrFailed},
		{"traefik without Loki", lokitest.Fail(http.StatusServiceUnavailable, "no available server\n").ServeHTTP, 2, loki.ErrFailed},
		{"a proxy's time-out", fails(http.StatusGatewayTimeout, "text/html", "<h1>504</h1>"), 1, loki.ErrTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			server := httptest.NewServer(counted(&n, tt.handler))
			defer server.Close()
			for _, text := range []string{`{app="web"}`, longText} {
				c, _ := listening(t, server.URL)
				n.Store(0)
				failsWith(t, requestText(t.Context(), t, c, loki.RequestOptions{}, text), tt.kind)
				if got := n.Load(); got != tt.requests {
					t.Errorf("%.20s…: %d requests of one URL, want %d", text, got, tt.requests)
				}
			}
			tails := tt.requests
			if !errors.Is(tt.kind, loki.ErrUnreachable) {
				tails = 1 // a handshake that has a response is not repeated
			}
			n.Store(0)
			c, _ := listening(t, server.URL)
			if _, err := c.Tail(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), loki.TailParams{}); err == nil || n.Load() != tails {
				t.Errorf("tail: %v, %d requests, want %d", err, n.Load(), tails)
			}
			well := twoTenants(t)
			c, _ = listening(t, server.URL+","+well.URL)
			for range 4 {
				err := request(t.Context(), t, c, loki.RequestOptions{})
				if tt.requests == 2 && err != nil {
					t.Errorf("with another URL that is well: %v", err)
				}
			}
		})
	}
}

// TestNotOnceMore guarantees that a request that timed out, or whose caller left, is not repeated.
func TestNotOnceMore(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	arrived := make(chan struct{}, 8)
	hangs := counted(&n, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" {
			_, _ = io.Copy(io.Discard, r.Body) // as in stalls
			arrived <- struct{}{}
			<-r.Context().Done()
		}
	})
	one, two := httptest.NewServer(hangs), httptest.NewServer(hangs)
	defer one.Close()
	defer two.Close()
	c := client(t, loki.Config{URL: one.URL + "," + two.URL, Timeout: time.Second})
	// A query, a form, and a tail's handshake.
	failsWith(t, request(t.Context(), t, c, loki.RequestOptions{}), loki.ErrTimeout)
	failsWith(t, requestText(t.Context(), t, c, loki.RequestOptions{}, longText), loki.ErrTimeout)
	_, err := c.Tail(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), loki.TailParams{})
	failsWith(t, err, loki.ErrTimeout)
	if got := n.Load(); got > 3 { // one may time out on a busy machine before it is sent
		t.Errorf("%d requests that timed out, want one of each at most", got)
	}
	n.Store(0)
	c = client(t, loki.Config{URL: one.URL + "," + two.URL})
	for len(arrived) > 0 {
		<-arrived
	}
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-arrived
		leave()
	}()
	if err := request(ctx, t, c, loki.RequestOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller left: %v", err)
	}
	if got := n.Load(); got != 1 {
		t.Errorf("%d requests whose caller left, want one", got)
	}
}

// TestDownAndBack guarantees that a Loki that cannot be reached gets no requests, that one which reports that
// it is not ready gets none either, and that it is used again as soon as a probe succeeds.
func TestDownAndBack(t *testing.T) {
	t.Parallel()
	fake := twoTenants(t)
	var l net.Listener
	server := &http.Server{Handler: proxyTo(t, fake.URL)}
	serve := func(address string) {
		var err error
		if l, err = new(net.ListenConfig).Listen(t.Context(), "tcp", address); err != nil {
			t.Fatal(err)
		}
		go server.Serve(l) //nolint:errcheck // ends with l
	}
	serve("127.0.0.1:0")
	address := l.Addr().String()
	c, said := listening(t, "http://"+address)
	if err := request(t.Context(), t, c, loki.RequestOptions{}); err != nil {
		t.Fatal(err)
	}
	drop(l)
	c.CloseIdleConnections()
	failsWith(t, request(t.Context(), t, c, loki.RequestOptions{}), loki.ErrUnreachable)
	said.wait(t, isDown)
	failsWith(t, request(t.Context(), t, c, loki.RequestOptions{}), loki.ErrUnavailable)
	if err := c.Ready(t.Context()); !errors.Is(err, loki.ErrUnavailable) {
		t.Errorf("Ready: %v", err)
	}
	if s := c.Stats(); s.Upstreams[0].Up || s.Refused != 2 || s.Retries != 1 || s.Upstreams[0].Failures != 2 {
		t.Errorf("%+v", s)
	}
	serve(address)
	said.wait(t, isBack)
	if err := request(t.Context(), t, c, loki.RequestOptions{}); err != nil {
		t.Error(err)
	}
	fake.Instead(lokitest.Fail(http.StatusServiceUnavailable, "Ingester not ready"))
	failsWith(t, request(t.Context(), t, c, loki.RequestOptions{}), loki.ErrFailed)
	for err := error(nil); !errors.Is(err, loki.ErrUnavailable); { // a while: it has just been found well
		err = request(t.Context(), t, c, loki.RequestOptions{})
	}
	fake.Behave()
	said.wait(t, isBack)
	c.Close()
	drop(server)
}

// proxyTo forwards requests, as a reverse proxy in front of Loki does.
func proxyTo(t *testing.T, url string) http.HandlerFunc {
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return func(w http.ResponseWriter, r *http.Request) {
		outgoing := r.Clone(r.Context())
		outgoing.RequestURI = ""
		outgoing.URL.Scheme, outgoing.URL.Host = "http", url[len("http://"):]
		response, err := transport.RoundTrip(outgoing)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer drop(response.Body)
		for name, values := range response.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	}
}

// TestTenantsDoNotTakeLokiDown guarantees that queries which Loki fails for one tenant leave Loki to the
// others: it says that it is well, and that counts.
func TestTenantsDoNotTakeLokiDown(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ready" {
			say(w, "ready\n")
			return
		}
		status := []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}[len(r.URL.RawQuery)%3]
		lokitest.Fail(status, "the query was too much for us").ServeHTTP(w, r)
	}))
	defer server.Close()
	c, _ := listening(t, server.URL)
	start := time.Now()
	for range 200 {
		if err := request(t.Context(), t, c, loki.RequestOptions{}); errors.Is(err, loki.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	// A probe that succeeded is valid for a second (healthTTL), however long the requests take.
	allowed := uint64(time.Since(start)/time.Second) + 2
	if s := c.Stats().Upstreams[0]; !s.Up || s.Probes > allowed {
		t.Errorf("%+v, at most %d probes wanted", s, allowed)
	}
}

// TestGatewayWithoutReady guarantees that a gateway which routes Loki's API alone (the nginx of Loki's
// Helm chart) is ready as long as there is a Loki behind it.
func TestGatewayWithoutReady(t *testing.T) {
	t.Parallel()
	fake := twoTenants(t)
	behind := proxyTo(t, fake.URL)
	var gone atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/ready":
			http.NotFound(w, r)
		case gone.Load():
			w.WriteHeader(http.StatusBadGateway)
		default:
			behind(w, r)
		}
	}))
	defer server.Close()
	c, said := listening(t, server.URL)
	if err := c.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
	gone.Store(true)
	if err := c.Ready(t.Context()); !errors.Is(err, loki.ErrFailed) {
		t.Errorf("Ready without a Loki: %v", err)
	}
	said.wait(t, isDown)
	gone.Store(false)
	said.wait(t, isBack)
	if err := c.Ready(t.Context()); err != nil {
		t.Errorf("Ready again: %v", err)
	}
}

// TestTailOnceMore guarantees that a tail is opened at a URL that responds, and counts there until its end.
func TestTailOnceMore(t *testing.T) {
	t.Parallel()
	fake := twoTenants(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c, said := listening(t, gone.URL+","+fake.URL)
	for range 2 { // it is the other one's turn with the second
		tail, err := c.Tail(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), loki.TailParams{})
		if err != nil {
			t.Fatal(err)
		}
		defer tail.Close()
	}
	said.wait(t, isDown)
	inFlight := func() (n []int64) {
		for _, e := range c.Stats().Upstreams {
			n = append(n, e.InFlight)
		}
		return n
	}
	if got := inFlight(); !slices.Equal(got, []int64{0, 2}) {
		t.Errorf("in flight: %v", got)
	}
	if err := request(t.Context(), t, c, loki.RequestOptions{}); err != nil {
		t.Error(err)
	}
	if got := inFlight(); !slices.Equal(got, []int64{0, 2}) {
		t.Errorf("in flight after a response: %v", got)
	}
}
