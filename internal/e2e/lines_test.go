package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

type listedLine struct {
	Timestamp string
	Line      string
	Labels    map[string]string
}

type linesPage struct {
	Lines    []listedLine
	Next     string
	Complete bool
}

func (l listedLine) written(t *testing.T) written {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, l.Timestamp)
	if err != nil || l.Labels[tenantLabel] != "alpha" {
		t.Fatalf("%+v: %v", l, err)
	}
	return written{at.UnixNano(), l.Labels["part"], l.Line}
}

// TestLinesAreWhatWasWritten guarantees that pages with a cursor, in both directions, and the stream have every line
// once and in order, with forty lines to a nanosecond, nothing of another tenant's, and while both tenants go on
// writing. LOGFENCE_TEST_LOAD=lines has it walk 1,000,000 lines.
func TestLinesAreWhatWasWritten(t *testing.T) {
	t.Parallel()
	lines := 20_000
	if os.Getenv("LOGFENCE_TEST_LOAD") == "lines" {
		lines = 1_000_000
	}
	l, g := ownStage(t)
	want, params := writeMany(t, l, lines)
	pushing(t, l, "export", 4, 20*time.Millisecond) // after the range's end, and beta's beside alpha's
	for _, direction := range []string{"forward", "backward"} {
		began := time.Now()
		method := http.MethodGet
		if direction == "backward" {
			method = http.MethodPost // as a form
		}
		got, pages := walkLines(t, g, method, with(clone(params), "direction", direction, "limit", "4000"))
		t.Logf("%s: %d lines in %d pages, in %s", direction, len(got), pages, time.Since(began).Round(time.Millisecond))
		if direction == "backward" {
			slices.Reverse(got)
		}
		differ(t, direction, got, want)
	}
	got, next := streamLines(t, g, with(clone(params), "direction", "forward"))
	for next != "" { // a stream ends at the limit of lines, and another one goes on
		var more []written
		more, next = streamLines(t, g, url.Values{"query": params["query"], "cursor": {next}})
		got = append(got, more...)
	}
	differ(t, "stream", got, want)
}

// walkLines reads pages to the last.
func walkLines(t *testing.T, g *gateway, method string, params url.Values) (got []written, pages int) {
	t.Helper()
	for {
		a := g.send(t, request{method: method, path: "/api/v1/logs/lines", params: params})
		var page linesPage
		if err := json.Unmarshal(a.body, &page); err != nil || a.status != http.StatusOK {
			t.Fatalf("page %d: %d %.300s: %v", pages, a.status, a.body, err)
		}
		pages++
		for _, line := range page.Lines {
			got = append(got, line.written(t))
		}
		if page.Complete != (page.Next == "") {
			t.Fatalf("page %d: complete %t, next %q", pages, page.Complete, page.Next)
		}
		if page.Complete {
			return got, pages
		}
		// The cursor has range and direction.
		params = url.Values{"query": params["query"], "limit": params["limit"], "cursor": {page.Next}}
	}
}

// streamLines reads a stream to its end, and returns where the next one goes on: empty if it is complete.
func streamLines(t *testing.T, g *gateway, params url.Values) (got []written, next string) {
	t.Helper()
	r, err := request{method: http.MethodGet, path: "/api/v1/logs/lines", params: params, header: http.Header{"Accept": {"application/x-ndjson"}}}.build(t.Context(), g.public)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tokenOf(t, demo.Claims{Tenant: demo.Alpha}))
	a, err := do(r) // package conformance holds its events against the specification
	if err != nil {
		t.Fatal(err)
	}
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/x-ndjson") {
		t.Fatalf("%d %v %.300s", a.status, a.header, a.body)
	}
	records := bufio.NewScanner(bytes.NewReader(a.body))
	records.Buffer(nil, 16<<20)
	last := ""
	for records.Scan() {
		var record struct {
			Event string
			Data  struct {
				Lines    json.RawMessage
				Complete bool
				Reason   string
				Next     string
			}
		}
		if err := json.Unmarshal(records.Bytes(), &record); err != nil {
			t.Fatalf("%.300s: %v", records.Bytes(), err)
		}
		last = record.Event
		switch record.Event {
		case "lines":
			var batch []listedLine
			if err := json.Unmarshal(record.Data.Lines, &batch); err != nil {
				t.Fatal(err)
			}
			for _, line := range batch {
				got = append(got, line.written(t))
			}
		case "end":
			next = record.Data.Next
			if !record.Data.Complete && record.Data.Reason != "limit" || record.Data.Complete != (next == "") {
				t.Errorf("the stream is not complete: %.300s", records.Bytes())
			}
		case "gap", "error":
			t.Errorf("%.300s", records.Bytes())
		}
	}
	if last != "end" || records.Err() != nil {
		t.Errorf("the stream ends with %q, %v", last, records.Err())
	}
	return got, next
}
