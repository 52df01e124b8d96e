package loki_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logfence/logfence/internal/loki"
)

// longText does not fit into a URL: it goes as a form.
var longText = `{app="web"} |= "` + strings.Repeat("x", 5000) + `"`

// TestLongQueriesGoAsForms guarantees that a long query arrives whole, in a form, with the same parameters
// and nothing in the URL.
func TestLongQueriesGoAsForms(t *testing.T) {
	fake := twoTenants(t)
	c := client(t, loki.Config{URL: fake.URL, OrgID: "logs"})
	q := query(t, longText)
	a, err := c.QueryRange(t.Context(), loki.RequestOptions{}, q, rangeOf(noon))
	read(t, a, err)
	got := only(t, fake)
	if got.Method != http.MethodPost || len(got.URLParams) != 0 {
		t.Errorf("%s with %v in the URL", got.Method, got.URLParams)
	}
	want := url.Values{"query": {q.LogQL()}, "start": {"1769857200000000000"}, "end": {"1769864400000000000"}}
	if diff := cmp.Diff(want, got.Params); diff != "" {
		t.Error(diff)
	}
	got.Header.Del("Content-Length")
	if diff := cmp.Diff(http.Header{
		"User-Agent": {"logfence"}, "Accept-Encoding": {"identity"}, "X-Scope-Orgid": {"logs"},
		"Content-Type": {"application/x-www-form-urlencoded"}, "X-Query-Tags": {"Source=logfence,tenant=alpha"},
	}, got.Header); diff != "" {
		t.Error(diff)
	}
}

// TestURLStaysShort guarantees that no request line is longer than what proxies take.
func TestURLStaysShort(t *testing.T) {
	longest, methods := 0, map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		longest = max(longest, len(r.RequestURI))
		methods[r.Method] = true
		w.Header().Set("Content-Type", "application/json")
		say(w, "{}")
	}))
	t.Cleanup(server.Close)
	c := client(t, loki.Config{URL: server.URL + "/prefix"})
	for n := 3800; n < 4100; n++ {
		a, err := c.QueryRange(t.Context(), loki.RequestOptions{}, query(t, `{a="`+strings.Repeat("x", n)+`"}`), loki.RangeParams{})
		read(t, a, err)
	}
	if longest >= 4096 || longest < 4090 || !methods[http.MethodPost] {
		t.Errorf("longest URL has %d bytes; methods %v", longest, methods)
	}
}

// TestStaleConnectionIsSurvived guarantees that a request which meets a connection that Loki closes just
// then is sent again, as a GET and as a form, whole both times and without a header that says so.
func TestStaleConnectionIsSurvived(t *testing.T) {
	for name, text := range map[string]string{
		"GET":  `{app="web"}`,
		"POST": `{app="web"} |= "` + strings.Repeat("x", 5000) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			served := closesOnReuse(t)
			c := client(t, loki.Config{URL: served.url})
			for range 2 { // the second meets the stale connection
				a, err := c.QueryRange(t.Context(), loki.RequestOptions{}, query(t, text), loki.RangeParams{})
				read(t, a, err)
			}
			for range 3 {
				r := <-served.requests
				if r.Method != name || r.FormValue("query") != query(t, text).LogQL() {
					t.Errorf("%s with %d bytes of query", r.Method, len(r.FormValue("query")))
				}
				if _, ok := r.Header["Idempotency-Key"]; ok {
					t.Error("Idempotency-Key was sent")
				}
			}
		})
	}
}

type reuse struct {
	url      string
	requests chan *http.Request
}

// closesOnReuse is a server that responds to one request on each connection and closes it when the second has
// been read, as if its idle time had just run out.
func closesOnReuse(t *testing.T) reuse {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := reuse{"http://" + listener.Addr().String(), make(chan *http.Request, 8)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serveOnce(conn, served.requests)
		}
	}()
	t.Cleanup(func() { drop(listener); <-done })
	return served
}

func serveOnce(conn net.Conn, requests chan<- *http.Request) {
	defer drop(conn)
	in := bufio.NewReader(conn)
	for i := range 2 {
		r, err := http.ReadRequest(in)
		if err != nil {
			return // the client has no second one
		}
		if err := r.ParseForm(); err != nil {
			return
		}
		requests <- r
		if i == 0 {
			const response = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
			if _, err := conn.Write([]byte(response)); err != nil {
				return
			}
		}
	}
}

// TestRedirectsAreNotFollowed guarantees that queries, forms, tails and health checks go where the operator
// said and nowhere else.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		followed.Add(1)
		w.Header().Set("Content-Type", "application/json")
		say(w, "{}")
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
		}))
		t.Cleanup(server.Close)
		c := client(t, loki.Config{URL: server.URL})
		for name, send := range map[string]func() error{
			"query": func() error { return request(t.Context(), t, c, loki.RequestOptions{}) },
			"form":  func() error { return requestText(t.Context(), t, c, loki.RequestOptions{}, longText) },
			"tail": func() error {
				_, err := c.Tail(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), loki.TailParams{})
				return err
			},
			"health check": func() error { return c.Ready(t.Context()) },
		} {
			failsWith(t, send(), loki.ErrFailed)
			if n := followed.Swap(0); n != 0 {
				t.Errorf("%d: %s: %d redirects were followed", status, name, n)
			}
		}
	}
}

// TestBaseURL guarantees that a path is kept, and that credentials are sent as such and not in the URL.
func TestBaseURL(t *testing.T) {
	fake := twoTenants(t)
	at := strings.TrimPrefix(fake.URL, "http://")
	for _, tt := range []struct{ name, url, path, authorization string }{
		{"plain", "http://" + at, "/loki/api/v1/query_range", ""},
		{"slash", "http://" + at + "/", "/loki/api/v1/query_range", ""},
		{"path", "http://" + at + "/loki-prefix", "/loki-prefix/loki/api/v1/query_range", ""},
		{"path and slash", "http://" + at + "/a%20b/", "/a b/loki/api/v1/query_range", ""},
		{"credentials", "http://me:s3cret@" + at, "/loki/api/v1/query_range", "Basic bWU6czNjcmV0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake.Forget()
			c := client(t, loki.Config{URL: tt.url})
			if err := request(t.Context(), t, c, loki.RequestOptions{}); err != nil {
				t.Fatal(err)
			}
			if got := only(t, fake); got.Path != tt.path || got.Header.Get("Authorization") != tt.authorization || got.Host != at {
				t.Errorf("path %q, authorization %q, host %q", got.Path, got.Header.Get("Authorization"), got.Host)
			}
		})
	}
}
