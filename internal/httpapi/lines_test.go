package httpapi

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/poll"
)

type listedLine struct {
	Timestamp time.Time
	Line, ID  string
	Labels    map[string]string
	Metadata  map[string]string
}

type linesPage struct {
	Lines          []listedLine
	Next, Previous string
	Complete       bool
}

// lines requests a page of lines.
func (g *gateway) lines(params ...string) linesPage {
	g.Helper()
	a := g.get(alphaToken, "/api/v1/logs/lines", params...)
	var p linesPage
	if err := json.Unmarshal([]byte(a.text), &p); err != nil || a.StatusCode != http.StatusOK {
		g.Fatalf("%v in %d %.300s", err, a.StatusCode, a.text)
	}
	return p
}

// addDense adds lines of several streams to alpha's app dense, thousands of them in one nanosecond.
func (g *gateway) addDense(lines int) (sum int) {
	at := now.Add(-30 * time.Minute)
	for stream := range 3 {
		s := lokitest.Stream{Labels: map[string]string{"tenant_id": "alpha", "app": "dense", "n": fmt.Sprint(stream)}}
		for i := range lines / 3 {
			s.Entries = append(s.Entries, lokitest.Entry{Time: at, Line: fmt.Sprint("line ", i)})
		}
		s.Entries = append(s.Entries, lokitest.Entry{Time: at.Add(-time.Second), Line: "before"}, lokitest.Entry{Time: at.Add(time.Second), Line: "after"})
		g.loki.Add(s)
		sum += lines/3 + 2
	}
	return sum
}

// TestLinesWalk guarantees that a walk by cursors has each line once, in the order of the specification and in either
// direction, where thousands share a nanosecond and while lines arrive behind and before it; and that ids are unique.
func TestLinesWalk(t *testing.T) {
	t.Parallel()
	for _, direction := range []string{"forward", "backward"} {
		g := newGateway(t, withLimits(t, func(c *limits.Config) { c.MaxLines = 5000 }))
		want := g.addDense(3000)
		params := []string{"query", `{app="dense"}`, "limit", "700", "direction", direction}
		var all []listedLine
		seen := map[string]bool{}
		for i := 0; ; i++ {
			p := g.lines(params...)
			all = append(all, p.Lines...)
			if i == 0 { // these are of no page: the range is fixed
				g.loki.Add(lokitest.Stream{Labels: map[string]string{"tenant_id": "alpha", "app": "dense", "n": "0"}, Entries: []lokitest.Entry{{Time: now.Add(time.Second), Line: "late"}}})
			}
			if p.Complete != (p.Next == "") || (p.Previous == "") != (i == 0) {
				t.Fatalf("page %d: complete %t, next %q, previous %q", i, p.Complete, p.Next, p.Previous)
			}
			if p.Next == "" {
				break
			}
			params = []string{"query", `{app="dense"}`, "limit", "700", "cursor", p.Next}
		}
		for _, l := range all {
			if seen[l.ID] {
				t.Errorf("the id %s is of two lines", l.ID)
			}
			seen[l.ID] = true
		}
		sorted := slices.IsSortedFunc(all, func(a, b listedLine) int {
			c := a.Timestamp.Compare(b.Timestamp)
			if c == 0 {
				c = strings.Compare(a.Labels["n"]+a.Line, b.Labels["n"]+b.Line)
			}
			if direction == "backward" {
				return -c
			}
			return c
		})
		if len(all) != want || !sorted {
			t.Errorf("%s: %d lines of %d, sorted %t", direction, len(all), want, sorted)
		}
		g.nothingReserved()
	}
}

// TestLinesPrevious guarantees that the page before a page is the one that was there, in the same order.
func TestLinesPrevious(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.addDense(30)
	first := g.lines("query", `{app="dense"}`, "limit", "10")
	second := g.lines("query", `{app="dense"}`, "limit", "10", "cursor", first.Next)
	back := g.lines("query", `{app="dense"}`, "limit", "10", "cursor", second.Previous)
	if len(first.Lines) != 10 || fmt.Sprint(back.Lines) != fmt.Sprint(first.Lines) || back.Previous != "" || back.Next == "" || back.Complete {
		t.Errorf("got %v\nwant %v", back, first)
	}
}

// TestLinesCursorIsBound guarantees that a cursor is valid for its query and its scope alone, in whatever form it comes, and
// that nothing beside it contradicts it.
func TestLinesCursorIsBound(t *testing.T) {
	t.Parallel()
	g := newGateway(t, withPrincipals(several()))
	g.addDense(30)
	const query = `{app="dense"}`
	cursor := g.lines("query", query, "limit", "1").Next
	for _, tt := range []struct {
		name, token, code string
		params            []string
	}{
		{"another query", alphaToken, "cursor_invalid", []string{"query", query + " ", "cursor", cursor}},
		{"another tenant", betaToken, "cursor_invalid", []string{"query", query, "cursor", cursor}},
		{"more tenants", bothToken, "cursor_invalid", []string{"query", query, "cursor", cursor}},
		{"cut off", alphaToken, "cursor_invalid", []string{"query", query, "cursor", cursor[:len(cursor)-4]}},
		{"another version", alphaToken, "cursor_invalid", []string{"query", query, "cursor", "Ag" + cursor[2:]}},
		{"empty", alphaToken, "parameter_invalid", []string{"query", query, "cursor", ""}},
		{"start beside it", alphaToken, "parameter_invalid", []string{"query", query, "cursor", cursor, "start", "1"}},
		{"end beside it", alphaToken, "parameter_invalid", []string{"query", query, "cursor", cursor, "end", "1"}},
		{"since beside it", alphaToken, "parameter_invalid", []string{"query", query, "cursor", cursor, "since", "1h"}},
		{"direction beside it", alphaToken, "parameter_invalid", []string{"query", query, "cursor", cursor, "direction", "backward"}},
		{"no query", alphaToken, "parameter_invalid", []string{"cursor", cursor}},
	} {
		g.loki.Forget()
		refusedAs(t, g.get(tt.token, "/api/v1/logs/lines", tt.params...), http.StatusBadRequest, tt.code, "")
		if n := len(g.loki.Requests()); n > 0 {
			t.Errorf("%s: %d requests to Loki", tt.name, n)
		}
	}
	if a := g.post(alphaToken, "/api/v1/logs/lines", "query", query, "cursor", cursor, "limit", "2"); a.StatusCode != http.StatusOK || strings.Count(a.text, `"id"`) != 2 {
		t.Errorf("the form: %d %s", a.StatusCode, a.text)
	}
}

// TestLinesCursorWithinLimits guarantees that a cursor cannot widen the range beyond the tenant's limit.
func TestLinesCursorWithinLimits(t *testing.T) {
	t.Parallel()
	wide := newGateway(t)
	wide.addDense(30)
	cursor := wide.lines("query", `{app="dense"}`, "since", "48h", "limit", "1").Next
	g := newGateway(t, withLimits(t, func(c *limits.Config) { c.MaxRange = 24 * time.Hour }))
	refusedAs(t, g.get(alphaToken, "/api/v1/logs/lines", "query", `{app="dense"}`, "cursor", cursor), http.StatusUnprocessableEntity, "query_too_wide", "")
}

// TestLinesOfTheFuture guarantees that a range which ends in the future ends when its first page is read.
func TestLinesOfTheFuture(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.loki.Add(lokitest.Stream{Labels: labels("alpha", "future"), Entries: []lokitest.Entry{
		{Time: now.Add(-time.Second), Line: "before"}, {Time: now.Add(time.Second), Line: "after"},
	}})
	end := fmt.Sprint(now.Add(time.Hour).Unix())
	if p := g.lines("query", `{app="future"}`, "end", end, "since", "1h"); len(p.Lines) != 1 || !p.Complete {
		t.Errorf("got %+v", p)
	}
	if p := g.lines("query", `{app="future"}`, "start", fmt.Sprint(now.Add(time.Minute).Unix()), "end", end); len(p.Lines) != 0 || !p.Complete {
		t.Errorf("got %+v", p)
	}
}

// streamEvent is an event of a stream.
type streamEvent struct {
	Event, ID string
	Data      struct {
		Lines    json.RawMessage
		Done     float64
		From, To time.Time
		Code     string
		Complete bool
		Reason   string
		Next     string
	}
}

func (e streamEvent) lines(t *testing.T) (lines []listedLine) {
	t.Helper()
	if err := json.Unmarshal(e.Data.Lines, &lines); err != nil {
		t.Fatal(err)
	}
	return lines
}

// events reads the events of a stream, as NDJSON.
func (g *gateway) events(header map[string]string, params ...string) []streamEvent {
	g.Helper()
	r := g.request(http.MethodGet, "/api/v1/logs/lines", params...)
	r.Header.Set("Accept", mediaNDJSON)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	a := g.send(alphaToken, r)
	if a.StatusCode != http.StatusOK || a.err != nil {
		g.Fatalf("%d %v %.300s", a.StatusCode, a.err, a.text)
	}
	var events []streamEvent
	for line := range strings.Lines(a.text) {
		var e streamEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			g.Fatalf("%v in %s", err, line)
		}
		events = append(events, e)
	}
	if len(events) < 3 || events[0].Event != "progress" || events[len(events)-1].Event != "end" {
		g.Fatalf("got %.500s", a.text)
	}
	return events
}

// TestLinesStream guarantees that a stream has all lines in order, and that one which is cut off after any event goes on by
// its id, in the header or as cursor, without a line lost or repeated.
func TestLinesStream(t *testing.T) {
	t.Parallel()
	for _, direction := range []string{"forward", "backward"} {
		g := newGateway(t, withLimits(t, func(c *limits.Config) { c.MaxLines = 5000 }))
		want := g.addDense(3000)
		g.addLines("dense", 500, 300, now.Add(-20*time.Hour), 2*time.Minute)
		want += 500
		params := []string{"query", `{app="dense"}`, "direction", direction, "since", "24h"}
		events := g.events(nil, params...)
		var all []listedLine
		var ids []string
		for _, e := range events {
			if e.Event == "lines" {
				all = append(all, e.lines(t)...)
				ids = append(ids, e.ID)
			}
		}
		end := events[len(events)-1].Data
		if len(all) != want || !end.Complete || end.Reason != "complete" || end.Next != "" || len(ids) < 3 {
			t.Fatalf("%s: %d lines of %d, end %+v, %d events", direction, len(all), want, end, len(ids))
		}
		if last := events[len(events)-2]; last.Event != "progress" || last.Data.Done < .999 {
			t.Errorf("the last progress is %+v", last)
		}
		for i, id := range ids[:3] {
			rest := 0
			for _, e := range g.events(map[string]string{"Last-Event-ID": id}, params...) {
				if e.Event == "lines" {
					rest += len(e.lines(t))
				}
			}
			read := 0
			for _, e := range events {
				if e.Event == "lines" {
					read += len(e.lines(t))
					if e.ID == id {
						break
					}
				}
			}
			if read+rest != want {
				t.Errorf("%s: cut after %d events: %d and %d lines of %d", direction, i+1, read, rest, want)
			}
		}
		g.nothingReserved()
	}
}

// TestLinesStreamLimit guarantees that a stream ends at its limit with a cursor, which pages take as well.
func TestLinesStreamLimit(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	want := g.addDense(300)
	events := g.events(nil, "query", `{app="dense"}`, "limit", "100")
	end := events[len(events)-1].Data
	if end.Reason != "limit" || end.Complete || end.Next == "" {
		t.Fatalf("the end is %+v", end)
	}
	if p := g.lines("query", `{app="dense"}`, "limit", "1000", "cursor", end.Next); len(p.Lines) != want-100 {
		t.Errorf("%d lines of %d", len(p.Lines), want-100)
	}
}

// TestLinesStreamGap guarantees that a part that Loki refuses is a gap, and that the rest comes.
func TestLinesStreamGap(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.addLines("web", 48, 10, now.Add(-24*time.Hour), 30*time.Minute)
	bad := now.Add(-12 * time.Hour)
	var serve atomic.Pointer[http.Handler]
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, startErr := strconv.ParseInt(r.FormValue("start"), 10, 64)
		end, endErr := strconv.ParseInt(r.FormValue("end"), 10, 64)
		if err := errors.Join(startErr, endErr); err != nil {
			t.Error(err)
		}
		if start <= bad.UnixNano() && bad.UnixNano() < end {
			lokitest.Fail(http.StatusBadRequest, "the query would read too many bytes").ServeHTTP(w, r)
			return
		}
		(*serve.Load()).ServeHTTP(w, r)
	}))
	inner := http.Handler(&lokitest.Loki{Now: g.loki.Now})
	inner.(*lokitest.Loki).Add(streams()...)
	entries := lokitest.Stream{Labels: labels("alpha", "web")}
	for i := range 48 {
		entries.Entries = append(entries.Entries, lokitest.Entry{Time: now.Add(-24 * time.Hour).Add(time.Duration(i) * 30 * time.Minute), Line: fmt.Sprint(i)})
	}
	inner.(*lokitest.Loki).Add(entries)
	serve.Store(&inner)
	lines, gaps := 0, 0
	events := g.events(nil, "query", `{app="web"}`, "since", "25h")
	for _, e := range events {
		switch e.Event {
		case "lines":
			lines += len(e.lines(t))
		case "gap":
			gaps++
			if e.Data.From.After(bad) || !e.Data.To.After(bad) || e.Data.Code != "loki_refused" || e.ID == "" {
				t.Errorf("a gap %+v", e)
			}
		}
	}
	if end := events[len(events)-1].Data; gaps != 1 || lines < 40 || end.Reason != "gaps" || end.Complete || end.Next != "" {
		t.Errorf("%d gaps, %d lines, %+v", gaps, lines, end)
	}
}

// TestLinesStreamError guarantees that what fails after the header is an event with the problem, then the end with the
// cursor to go on from.
func TestLinesStreamError(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.loki.Instead(lokitest.Fail(http.StatusTooManyRequests, "too many outstanding requests"))
	events := g.events(nil, "query", `{app="api"}`, "since", "24h")
	n := len(events)
	if events[n-3].Event != "error" || events[n-3].Data.Code != "rate_limited" || events[n-1].Data.Reason != "error" || events[n-1].Data.Next == "" {
		t.Errorf("got %+v", events[n-3:])
	}
}

// TestLinesAccept guarantees that the Accept header chooses the form of the response, and that no other header or parameter
// does.
func TestLinesAccept(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, tt := range []struct {
		accept, want string
	}{
		{"", "application/json"},
		{"*/*", "application/json"},
		{"text/html, */*;q=0.1", "application/json"},
		{"application/*", "application/json"},
		{"text/event-stream", "text/event-stream"},
		{"text/*", "text/event-stream"},
		{"application/json;q=0.5, text/event-stream", "text/event-stream"},
		{"APPLICATION/X-NDJSON", "application/x-ndjson"},
		{"application/json;q=0, */*", "text/event-stream"},
		{"application/json, text/event-stream", "application/json"},
		{"text/html", ""},
		{"application/json;q=0", ""},
		{"application/json;q=2", ""},
		{"nonsense;;", ""},
		{strings.Repeat("a/b,", 100) + "application/json", ""},
	} {
		r := g.request(http.MethodGet, "/api/v1/logs/lines", "query", `{app="api"}`)
		if tt.accept != "" {
			r.Header.Set("Accept", tt.accept)
		}
		a := g.send(alphaToken, r)
		media, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
		if tt.want == "" {
			refusedAs(t, a, http.StatusNotAcceptable, "not_acceptable", "")
		} else if a.StatusCode != http.StatusOK || media != tt.want {
			t.Errorf("%q: %d %s, want %s", tt.accept, a.StatusCode, media, tt.want)
		}
		if a.Header.Get("Vary") == "" {
			t.Errorf("%q: no Vary", tt.accept)
		}
	}
}

// TestLinesStreamLeaves guarantees that a stream whose client has left requests nothing more of Loki, has no slot and no
// memory, and that a tenant has no more streams than its limit.
func TestLinesStreamLeaves(t *testing.T) {
	t.Parallel()
	g := newGateway(t, withLimits(t, func(c *limits.Config) { c.MaxStreams = 1 }))
	hanging := g.loki.Hang()
	defer hanging.Release()
	r := g.request(http.MethodGet, "/api/v1/logs/lines", "query", `{app="api"}`)
	r.Header.Set("Accept", mediaEvents)
	r.Header.Set("Authorization", "Bearer "+alphaToken)
	r, leave := cancelable(r)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if line, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil || line != "event: progress\n" {
		t.Errorf("%q %v", line, err)
	}
	<-hanging.Arrived
	second := g.request(http.MethodGet, "/api/v1/logs/lines", "query", `{app="api"}`)
	second.Header.Set("Accept", mediaNDJSON)
	refusedAs(t, g.send(alphaToken, second), http.StatusTooManyRequests, "too_many_streams", "")
	leave()
	<-hanging.Left
	g.nothingReserved()
	poll.Wait(t, "the record of the stream", func() bool { return strings.Contains(g.log.String(), `"windows":1`) })
}
