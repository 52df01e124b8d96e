package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/logfence/logfence/internal/demo"
)

// viewedQuery is a query that many viewers follow, with what they have received of it.
type viewedQuery struct {
	tenant, part, token string
	// marker begins the text of each of its lines; the number and the time follow.
	marker []byte

	received atomic.Int64 // lines that are new to their viewer, of all viewers
	polled   atomic.Bool
	delays   [delaySteps]atomic.Int64 // lines by how long they took from the push to the viewer
}

// Delays are counted in steps; the last one is for all that are longer.
const (
	delayStep  = 10 * time.Millisecond
	delaySteps = 6000
)

const viewedApp = "viewed"

// viewedQueries are so many queries, half of them alpha's and half of them beta's. Each tenant has lines in the streams of
// all of them.
func viewedQueries(t *testing.T, n int) []*viewedQuery {
	t.Helper()
	var all []*viewedQuery
	for i := range n {
		q := &viewedQuery{tenant: []string{demo.Alpha, demo.Beta}[i%2], part: strconv.Itoa(i)}
		q.token = tokenOf(t, demo.Claims{Subject: "viewer", Tenant: q.tenant})
		q.marker = []byte(`"` + viewedText(q.tenant, q.part))
		all = append(all, q)
	}
	return all
}

func viewedText(tenant, part string) string { return tenant + " " + part + " " }

// viewer is one client of server-sent events. It has a connection and a buffer, and no http.Client, so that many fit
// beside the process that is tested.
type viewer struct {
	query *viewedQuery
	conn  net.Conn
	body  io.ReadCloser

	// To be read when the viewer has ended.
	seen     []uint64 // a bit for each line
	lines    int      // different ones
	repeated int
	foreign  int // lines that are not the query's
	dropped  int
	ended    string // data of the event, if the tail has ended
}

// refusedViewer is the response of a logfence that takes no more viewers.
type refusedViewer struct {
	status     int
	retryAfter string
	body       string
}

func (r *refusedViewer) Error() string { return fmt.Sprintf("%d %s", r.status, r.body) }

// view opens a tail of the query from now on.
func (q *viewedQuery) view(ctx context.Context, g *gateway) (*viewer, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(g.public, "http://"))
	if err != nil {
		return nil, err
	}
	values := url.Values{"query": {fmt.Sprintf(`{app=%q, part=%q}`, viewedApp, q.part)}, "start": {strconv.FormatInt(time.Now().UnixNano(), 10)}}
	_ = conn.SetDeadline(time.Now().Add(2 * patience)) // of the response; it is not broken
	_, err = fmt.Fprintf(conn, "GET /api/v1/logs/tail?%s HTTP/1.1\r\nHost: logfence\r\nAuthorization: Bearer %s\r\n\r\n", values.Encode(), q.token)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		_ = conn.Close()
		return nil, &refusedViewer{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After"), body: string(text)}
	}
	_ = conn.SetDeadline(time.Time{})
	on.contract.metLive("tailLogs", resp.StatusCode)
	return &viewer{query: q, conn: conn, body: resp.Body}, nil
}

// read reads until the connection is closed.
func (v *viewer) read() {
	events := bufio.NewScanner(v.body)
	events.Buffer(make([]byte, 0, 4<<10), 16<<20)
	event := ""
	for events.Scan() {
		text := events.Bytes()
		if name, ok := bytes.CutPrefix(text, []byte("event: ")); ok {
			event = string(name)
			continue
		}
		data, ok := bytes.CutPrefix(text, []byte("data: "))
		if !ok {
			continue
		}
		switch event {
		case "entries":
			v.take(data)
		case "dropped":
			var d struct{ Count int }
			_ = json.Unmarshal(data, &d)
			v.dropped += max(1, d.Count)
		case "mode":
			v.query.polled.Store(bytes.Contains(data, []byte(`"poll"`)))
		case "end":
			v.ended = string(data)
		}
	}
}

// take counts the lines of an event. Each begins with its query, its number and the time when it was pushed.
func (v *viewer) take(data []byte) {
	now, before := time.Now().UnixNano(), v.lines
	values := bytes.Count(data, []byte(`["1`)) // by their timestamps
	for {
		at := bytes.Index(data, v.query.marker)
		if at < 0 {
			break
		}
		data = data[at+len(v.query.marker):]
		values--
		number, rest := leadingNumber(data)
		pushed, _ := leadingNumber(rest[1:])
		if v.isNew(int(number)) {
			v.query.delays[min(max(0, time.Duration(now-pushed)/delayStep), delaySteps-1)].Add(1)
		}
	}
	v.foreign += values
	v.query.received.Add(int64(v.lines - before))
}

func leadingNumber(text []byte) (n int64, rest []byte) {
	i := 0
	for ; i < len(text) && '0' <= text[i] && text[i] <= '9'; i++ {
		n = 10*n + int64(text[i]-'0')
	}
	return n, text[i:]
}

// isNew records a line.
func (v *viewer) isNew(n int) bool {
	for len(v.seen) <= n/64 {
		v.seen = append(v.seen, 0)
	}
	if v.seen[n/64]&(1<<(n%64)) != 0 {
		v.repeated++
		return false
	}
	v.seen[n/64] |= 1 << (n % 64)
	v.lines++
	return true
}

// audience is all viewers of some queries.
type audience struct {
	queries []*viewedQuery
	viewers []*viewer
	refused []*refusedViewer
	reading sync.WaitGroup
}

// gather opens so many viewers of each query, a few at a time, and has them read. When logfence has refused some, no
// more are opened. They end with the test.
func gather(t *testing.T, g *gateway, queries []*viewedQuery, each int) *audience {
	t.Helper()
	a := &audience{queries: queries}
	t.Cleanup(a.leave)
	var mu sync.Mutex
	var opening errgroup.Group
	opening.SetLimit(32)
	for i := range each * len(queries) {
		opening.Go(func() error {
			mu.Lock()
			enough := len(a.refused) >= 64
			mu.Unlock()
			if enough {
				return nil
			}
			v, err := queries[i%len(queries)].view(t.Context(), g)
			var refused *refusedViewer
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.As(err, &refused):
				a.refused = append(a.refused, refused)
			case err != nil:
				return fmt.Errorf("viewer %d: %w", i, err)
			default:
				a.viewers = append(a.viewers, v)
				a.reading.Go(v.read)
			}
			return nil
		})
	}
	if err := opening.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, tail(g.said()))
	}
	return a
}

// leave ends the viewers, and waits for them.
func (a *audience) leave() {
	for _, v := range a.viewers {
		_ = v.conn.Close()
	}
	a.reading.Wait()
}

// received is how many lines all viewers have received.
func (a *audience) received() (n int64) {
	for _, q := range a.queries {
		n += q.received.Load()
	}
	return n
}

// judge reports what viewers have missed, had twice or should not have had, of so many lines of each query. They have left.
func (a *audience) judge(t *testing.T, lines int) {
	t.Helper()
	lost, repeated, foreign, dropped, wrong := 0, 0, 0, 0, 0
	for _, v := range a.viewers {
		missing := lines - v.lines
		lost, repeated, foreign, dropped = lost+missing, repeated+v.repeated, foreign+v.foreign, dropped+v.dropped
		if (missing != 0 || v.repeated+v.foreign+v.dropped > 0 || v.ended != "") && wrong < 10 {
			wrong++
			t.Errorf("a viewer of %s's query %s: %d lines lost of %d (the first is %d), %d repeated, %d of others, %d reported as dropped, end %q",
				v.query.tenant, v.query.part, missing, lines, v.firstMissing(), v.repeated, v.foreign, v.dropped, v.ended)
		}
	}
	t.Logf("%d viewers of %d queries: %d of %d deliveries; %d lost, %d repeated, %d of another query or tenant, %d reported as dropped",
		len(a.viewers), len(a.queries), a.received(), len(a.viewers)*lines, lost, repeated, foreign, dropped)
}

func (v *viewer) firstMissing() int {
	for i, word := range v.seen {
		if n := bits.TrailingZeros64(^word); n < 64 {
			return 64*i + n
		}
	}
	return 64 * len(v.seen)
}

// delay is what so many of a hundred lines took at most, of the queries that are polled or of the others.
func (a *audience) delay(polled bool, percent int64) time.Duration {
	var total, sum int64
	for _, q := range a.queries {
		if q.polled.Load() == polled {
			total += q.received.Load()
		}
	}
	for step := range delaySteps {
		for _, q := range a.queries {
			if q.polled.Load() == polled {
				sum += q.delays[step].Load()
			}
		}
		if sum*100 >= total*percent {
			return time.Duration(step+1) * delayStep
		}
	}
	return delaySteps * delayStep
}

// viewedPusher writes the lines of viewed queries at a rate: of both tenants, in one stream for each and query. While Loki
// is away it tries again, with the lines' own timestamps.
type viewedPusher struct {
	loki    *demo.Loki
	queries []*viewedQuery
	rate    int // lines a second, in each stream
	sent    atomic.Int64
}

// run pushes until each query has so many lines in all.
func (p *viewedPusher) run(ctx context.Context, upTo int) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	from, began := int(p.sent.Load()), time.Now()
	for sent := from; sent < upTo; {
		due := min(upTo, from+1+int(time.Since(began).Seconds()*float64(p.rate)), sent+2*p.rate)
		batch := p.batch(sent, due)
		for p.loki.Push(ctx, batch...) != nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
		sent = due
		p.sent.Store(int64(sent))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *viewedPusher) batch(from, to int) (batch []demo.Stream) {
	now := time.Now()
	for _, q := range p.queries {
		for _, tenant := range []string{demo.Alpha, demo.Beta} {
			s := demo.Stream{Labels: map[string]string{tenantLabel: tenant, "app": viewedApp, "part": q.part}}
			for n := from; n < to; n++ {
				at := now.Add(time.Duration(n - to)) // each has a nanosecond of its own
				s.Entries = append(s.Entries, demo.Entry{Time: at, Line: fmt.Sprintf("%s%d %d a line of sixty bytes", viewedText(tenant, q.part), n, now.UnixNano())})
			}
			batch = append(batch, s)
		}
	}
	return batch
}
