package loki_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/tenancy"
)

func lines(t testing.TB, entries []loki.Entry) string {
	t.Helper()
	texts := make([]string, len(entries))
	for i, e := range entries {
		texts[i] = e.Line
	}
	return strings.Join(texts, " ")
}

// TestEntries guarantees lines in the order of time, those of one nanosecond in that of their labels, with
// structured metadata and parsed labels apart from the stream's own.
func TestEntries(t *testing.T) {
	l := lokitest.New(t,
		lokitest.Stream{Labels: map[string]string{"tenant_id": "alpha", "app": "web"}, Entries: []lokitest.Entry{
			{Time: noon, Line: "w=<1>", Metadata: map[string]string{"trace": "t", "a": "b"}}, {Time: noon.Add(1), Line: "w=3"},
		}},
		lokitest.Stream{Labels: map[string]string{"tenant_id": "alpha", "app": "api"}, Entries: []lokitest.Entry{
			{Time: noon, Line: "a=0"}, {Time: noon.Add(2), Line: "a=4"},
		}},
		lokitest.Lines(map[string]string{"tenant_id": "beta", "app": "web"}, noon, "beta's"),
	)
	c := client(t, loki.Config{URL: l.URL})
	entries := func(direction string, limit int) []loki.Entry {
		got, err := c.Entries(t.Context(), loki.RequestOptions{}, query(t, `{app=~".+"} | logfmt`),
			loki.RangeParams{Window: around(noon), Direction: direction, Limit: limit}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return got.Entries
	}
	got := entries("forward", 0)
	if s := lines(t, got); s != "a=0 w=<1> w=3 a=4" {
		t.Errorf("forward: %s", s)
	}
	want := loki.Entry{
		Nanos: noon.UnixNano(), Line: "w=<1>", Labels: `{"app":"web","tenant_id":"alpha"}`,
		Metadata: `{"a":"b","trace":"t"}`, Parsed: `{"w":"<1>"}`,
	}
	if got[1] != want {
		t.Errorf("got  %+v\nwant %+v", got[1], want)
	}
	if s := lines(t, entries("backward", 0)); s != "a=4 w=3 a=0 w=<1>" {
		t.Errorf("backward: %s", s)
	}
	if s := lines(t, entries("forward", 3)); s != "a=0 w=<1> w=3" {
		t.Errorf("three: %s", s)
	}
}

// TestEntriesComplete guarantees that lines are only called complete where neither they with those that Loki dropped, nor those that its
// ingesters sent, are as many as were requested.
func TestEntriesComplete(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines int
		stats string // beside "result"
		want  bool
	}{
		{"no lines", 0, `,"stats":{"ingester":{"totalLinesSent":10}}`, true},
		{"fewer", 9, `,"stats":{"summary":{},"ingester":{"totalReached":1,"totalLinesSent":9}}`, true},
		{"as many", 10, `,"stats":{"ingester":{"totalLinesSent":10}}`, false},
		{"fewer, of which some were counted twice", 7, `,"stats":{"ingester":{"totalLinesSent":10}}`, false},
		{"fewer, of which some were dropped behind the store", 7, `,"stats":{"querier":{"store":{"chunk":{"totalDuplicates":3}}},"ingester":{"totalLinesSent":5}}`, false},
		{"fewer, of which one was dropped in an ingester", 7, `,"stats":{"ingester":{"totalLinesSent":7,"store":{"chunk":{"totalDuplicates":2}}}}`, true},
		{"fewer, of which some were dropped in both", 6, `,"stats":{"querier":{"store":{"chunk":{"totalDuplicates":2}}},"ingester":{"totalLinesSent":5,"store":{"chunk":{"totalDuplicates":2}}}}`, false},
		{"from the store alone", 7, `,"stats":{"ingester":{}}`, true},
		{"without statistics", 7, ``, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := twoTenants(t)
			fake.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				value := fmt.Sprintf(`["%d","x"]`, noon.UnixNano())
				values := strings.TrimSuffix(strings.Repeat(value+",", tt.lines), ",")
				say(w, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"tenant_id":"alpha"},"values":[`+values+`]}]`+tt.stats+`}}`)
			}))
			got, err := client(t, loki.Config{URL: fake.URL}).Entries(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`),
				loki.RangeParams{Window: around(noon), Limit: 10}, 1<<20)
			if err != nil || len(got.Entries) != tt.lines || got.Complete != tt.want {
				t.Errorf("%d lines, complete: %t, %v", len(got.Entries), got.Complete, err)
			}
		})
	}
}

// TestEntriesHaveNoGap guarantees that lines end where an ingester that counts some twice may have reached the limit before other
// sources did, and that some remain.
func TestEntriesHaveNoGap(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		reached, sent, dropped int
		lines, want            int // of a limit of ten
	}{
		{"none was dropped", 1, 10, 0, 10, 10},
		{"no ingester reached the limit", 2, 9, 3, 10, 10},
		{"an ingester held three twice", 1, 10, 3, 10, 7},
		{"an ingester held three twice, and nothing was in the store", 1, 10, 3, 7, 7},
		{"an ingester held two lines five times", 1, 10, 8, 10, 2},
		{"all are being flushed", 1, 10, 10, 10, 2},
		{"three replicas", 3, 30, 20, 10, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := twoTenants(t)
			fake.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				values := make([]string, tt.lines)
				for i := range values {
					values[i] = fmt.Sprintf(`["%d","%d"]`, noon.UnixNano()+int64(i), i)
				}
				say(w, fmt.Sprintf(`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"tenant_id":"alpha"},"values":[%s]}],"stats":{`+
					`"querier":{"store":{"chunk":{"totalDuplicates":%d}}},"ingester":{"totalReached":%d,"totalLinesSent":%d}}}}`, strings.Join(values, ","), tt.dropped, tt.reached, tt.sent))
			}))
			got, err := client(t, loki.Config{URL: fake.URL}).Entries(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`),
				loki.RangeParams{Window: around(noon), Limit: 10, Direction: "forward"}, 1<<20)
			if err != nil || len(got.Entries) != tt.want || got.Complete || got.Entries[0].Line != "0" {
				t.Errorf("%d lines, complete: %t, %v", len(got.Entries), got.Complete, err)
			}
		})
	}
}

// TestEntriesNeverHalf guarantees that what is too large, cut off or not JSON is an error.
func TestEntriesNeverHalf(t *testing.T) {
	l := twoTenants(t)
	c := client(t, loki.Config{URL: l.URL})
	entries := func(q tenancy.Query, most int64) error {
		got, err := c.Entries(t.Context(), loki.RequestOptions{}, q, rangeOf(noon), most)
		if err != nil && len(got.Entries) > 0 {
			t.Errorf("%d entries beside %v", len(got.Entries), err)
		}
		return err
	}
	logs := query(t, `{app="web"}`)
	if err := entries(logs, 20); !errors.Is(err, loki.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if err := entries(query(t, `count_over_time({app="web"}[1m])`), 1<<20); !errors.Is(err, loki.ErrParameter) {
		t.Errorf("a metric query: %v", err)
	}
	if err := entries(tenancy.Query{}, 1<<20); !errors.Is(err, loki.ErrParameter) {
		t.Errorf("the zero query: %v", err)
	}
	for _, n := range []int{1, 60, 150} {
		l.CutAfter(n)
		if err := entries(logs, 1<<20); !errors.Is(err, loki.ErrFailed) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	for _, body := range []string{
		`{}`, `[]`, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, `{"data":{"result":{}}}`,
		`{"data":{"resultType":"streams","result":[{"stream":{},"values":[["x","y"]]}]}}`,
		`{"data":{"resultType":"streams","result":[{"stream":{},"values":[["1"]]}]}}`,
		`{"data":{"resultType":"streams","result":[{"stream":{},"values":[["1",2]]}]}}`,
		`{"data":{"resultType":"streams","result":[{"stream":{},"values":[["1","x",{},{}]]}]}}`,
		`{"data":{"resultType":"streams","result":[{"stream":{},"values":[null]}]}}`,
		`{"data":{"resultType":"streams","result":[{"stream":{"a":1},"values":[]}]}}`,
		// Cut off after the last stream, in a way that HTTP does not notice.
		`{"data":{"resultType":"streams","result":[{"stream":{},"values":[["1","x"]]}]`,
		`{"data":{"resultType":"streams","result":[{"stream":{},"values":[["1","x"]]}],"stats":{"summary":`,
		`{"data":{"resultType":"streams","result":[{"stream":{},"values":[["1","x"]]}]}`,
	} {
		l.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			say(w, body)
		}))
		if err := entries(logs, 1<<20); !errors.Is(err, loki.ErrFailed) {
			t.Errorf("%s: %v", body, err)
		}
		// The same, and more that never comes.
		l.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			say(w, body)
			flush(w)
			panic(http.ErrAbortHandler)
		}))
		if err := entries(logs, 1<<20); !errors.Is(err, loki.ErrFailed) {
			t.Errorf("%s and an end of the connection: %v", body, err)
		}
	}
}

// TestEntriesTimeout guarantees that a response that stalls is a time-out wherever it does: the decoder, which
// may read again after an error, gets the same one.
func TestEntriesTimeout(t *testing.T) {
	const all = `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"a":"b"},"values":[["1","x"]]}],"stats":{}}}`
	for n := 1; n < len(all); n += 7 {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/ready" {
				return
			}
			w.Header().Set("Content-Type", "application/json")
			say(w, all[:n])
			flush(w)
			<-r.Context().Done()
		}))
		c := client(t, loki.Config{URL: server.URL, Timeout: 20 * time.Millisecond})
		_, err := c.Entries(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), rangeOf(noon), 1<<20)
		if !errors.Is(err, loki.ErrTimeout) {
			t.Errorf("stalled after %s: %v", all[:n], err)
		}
		server.Close()
	}
}

// open opens a tail of all of alpha's lines.
func open(t *testing.T, c *loki.Client, options loki.RequestOptions, p loki.TailParams) *loki.Tail {
	t.Helper()
	tail, err := c.Tail(t.Context(), options, query(t, `{app="web"}`), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tail.Close)
	return tail
}

func receive(t *testing.T, tail *loki.Tail) loki.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	frame, err := tail.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// TestTail guarantees that a tail brings the lines of the fenced query alone, and what Loki dropped; and
// that the handshake is built afresh like every request.
func TestTail(t *testing.T) {
	l := twoTenants(t)
	c := client(t, loki.Config{URL: strings.Replace(l.URL, "http://", "http://me:secret@", 1), OrgID: "logs-{tenant}"})
	tail := open(t, c, loki.RequestOptions{}, loki.TailParams{Start: noon.Add(-time.Hour), Limit: 7, Delay: 2 * time.Second})
	if s := lines(t, receive(t, tail).Entries); s != "alpha's line" {
		t.Errorf("got %q", s)
	}
	at := noon.Add(time.Hour)
	l.Push(
		lokitest.Lines(map[string]string{"tenant_id": "beta", "app": "web"}, at, "beta's"),
		lokitest.Lines(map[string]string{"tenant_id": "alpha", "app": "web"}, at, "alpha's new one"),
	)
	if s := lines(t, receive(t, tail).Entries); s != "alpha's new one" {
		t.Errorf("got %q", s)
	}
	l.Drop(lokitest.Lines(map[string]string{"tenant_id": "alpha", "app": "web"}, at, "gone"))
	want := []loki.Dropped{{Nanos: at.UnixNano(), Labels: `{"app":"web","tenant_id":"alpha"}`}}
	if got := receive(t, tail).Dropped; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	r := l.Requests()[0]
	for name, want := range map[string]string{"limit": "7", "delay_for": "2", "start": "1769857200000000000"} {
		if got := r.Params.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	for name, want := range map[string]string{
		"X-Scope-OrgID": "logs-alpha", "Authorization": "Basic bWU6c2VjcmV0", "User-Agent": "logfence",
		"X-Loki-Response-Encoding-Flags": "categorize-labels", "Sec-WebSocket-Extensions": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestTailEnds guarantees that every end of a tail is an error that tells whose end it is.
func TestTailEnds(t *testing.T) {
	l := twoTenants(t)
	c := client(t, loki.Config{URL: l.URL})
	q := query(t, `{app="web"}`)
	for name, end := range map[string]func(){"Loki stops": l.CloseTails, "the connection breaks": l.CutTails} {
		tail := open(t, c, loki.RequestOptions{}, loki.TailParams{Start: noon.Add(-time.Hour)})
		receive(t, tail)
		end()
		if _, err := tail.Receive(t.Context()); !errors.Is(err, loki.ErrFailed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tail := open(t, c, loki.RequestOptions{}, loki.TailParams{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tail.Receive(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller leaves: %v", err)
	}
	l.Instead(lokitest.Fail(http.StatusBadRequest, "too complicated"))
	var refused *loki.RefusedError
	if _, err := c.Tail(t.Context(), loki.RequestOptions{}, q, loki.TailParams{}); !errors.As(err, &refused) || refused.Message != "too complicated" {
		t.Errorf("refused: %v", err)
	}
	l.Instead(lokitest.Fail(http.StatusOK, "not a WebSocket"))
	if _, err := c.Tail(t.Context(), loki.RequestOptions{}, q, loki.TailParams{}); !errors.Is(err, loki.ErrFailed) {
		t.Errorf("200: %v", err)
	}
	l.Close()
	if _, err := c.Tail(t.Context(), loki.RequestOptions{}, q, loki.TailParams{}); !errors.Is(err, loki.ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
}

// TestHandshakesThatProxiesRefuse guarantees that the error of a tail names what a reverse proxy in front of Loki does not let
// through, and that a refusal of Loki's stays one.
func TestHandshakesThatProxiesRefuse(t *testing.T) {
	withoutUpgrade := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Connection")
		r.Header.Del("Upgrade")
		_, _ = websocket.Accept(w, r, nil)
	})
	loki400 := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // gorilla/websocket, in Loki
		w.Header().Set("Sec-Websocket-Version", "13")
		http.Error(w, "Bad Request", http.StatusBadRequest)
	})
	short, long := `{app="web"}`, `{app="web"} |= "`+strings.Repeat("x", 5<<10)+`"`
	for _, tt := range []struct {
		name, query string
		behaves     http.Handler
		want        error // nil: a refusal of Loki's
	}{
		{"Upgrade is left out", short, withoutUpgrade, loki.ErrNoUpgrade},
		{"Upgrade is left out, says Loki", short, loki400, loki.ErrNoUpgrade},
		{"the same, of a long query", long, loki400, loki.ErrNoUpgrade},
		{"426", short, fails(http.StatusUpgradeRequired, "text/plain", "Upgrade Required"), loki.ErrNoUpgrade},
		{"a proxy's 400", short, fails(http.StatusBadRequest, "text/html", "<h1>400</h1>"), loki.ErrNoUpgrade},
		{"a proxy's 400, of a long query", long, fails(http.StatusBadRequest, "text/html", "<h1>400</h1>"), loki.ErrTooLongForURL},
		{"414", long, fails(http.StatusRequestURITooLong, "text/html", "<h1>414</h1>"), loki.ErrTooLongForURL},
		{"403", long, fails(http.StatusForbidden, "text/html", "<h1>403</h1>"), loki.ErrDenied},
		{"Loki refuses the query", long, lokitest.Fail(http.StatusBadRequest, "parse error"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := twoTenants(t)
			l.Instead(tt.behaves)
			c := client(t, loki.Config{URL: l.URL})
			_, err := c.Tail(t.Context(), loki.RequestOptions{}, query(t, tt.query), loki.TailParams{})
			var refused *loki.RefusedError
			if errors.As(err, &refused) != (tt.want == nil) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "<h1>") {
				t.Errorf("the text has the proxy's: %v", err)
			}
		})
	}
}

// TestTailRefusesBeforeSending guarantees that nothing is sent for what is not fenced, or makes no tail.
func TestTailRefusesBeforeSending(t *testing.T) {
	l := twoTenants(t)
	c := client(t, loki.Config{URL: l.URL})
	for _, tt := range []struct {
		name string
		q    tenancy.Query
		p    loki.TailParams
		want error
	}{
		{"the zero query", tenancy.Query{}, loki.TailParams{}, loki.ErrNotFenced},
		{"a metric query", query(t, `rate({app="web"}[1m])`), loki.TailParams{}, loki.ErrParameter},
		{"a delay of more than 5s", query(t, `{app="web"}`), loki.TailParams{Delay: 6 * time.Second}, loki.ErrParameter},
		{"half a second", query(t, `{app="web"}`), loki.TailParams{Delay: time.Second / 2}, loki.ErrParameter},
		{"a negative limit", query(t, `{app="web"}`), loki.TailParams{Limit: -1}, loki.ErrParameter},
	} {
		if _, err := c.Tail(t.Context(), loki.RequestOptions{}, tt.q, tt.p); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if n := len(l.Requests()); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestTailTellsTooMany guarantees that Loki's bound on tails, which it tells after the handshake, is known
// from other ends; and that Loki's first ping is its beginning.
func TestTailTellsTooMany(t *testing.T) {
	ping := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		<-ping
		_ = conn.Ping(conn.CloseRead(r.Context()))
		_ = conn.Close(websocket.StatusInternalError, "rpc error: code = Code(400) desc = max concurrent tail requests limit exceeded, count > limit (11 > 10)")
	}))
	t.Cleanup(s.Close)
	tail := open(t, client(t, loki.Config{URL: s.URL}), loki.RequestOptions{}, loki.TailParams{})
	ended := make(chan error, 1)
	go func() {
		_, err := tail.Receive(t.Context())
		ended <- err
	}()
	select {
	case <-tail.Begun():
		t.Error("it has begun before Loki said so")
	default:
	}
	close(ping)
	<-tail.Begun()
	if err := <-ended; !errors.Is(err, loki.ErrRateLimited) {
		t.Errorf("got %v", err)
	}
}
