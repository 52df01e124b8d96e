package httpapi

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

// odd are lines that each format has to bring through unchanged.
var odd = []string{
	`plain`, `comma, and "quotes"`, `{"json":"<b>&\u2028"}`, ` spaces `, ``, `=HYPERLINK("http://x")`, "two\nlines", "tab\tand\rreturn", "ünïcode ☕", `a"`,
}

// exporting is a gateway with small pages, and lines that share nanoseconds across them.
func exporting(t *testing.T, n int, options ...option) (*gateway, []string) {
	t.Helper()
	g := newGateway(t, append([]option{withLimits(t, func(c *limits.Config) { c.MaxLines, c.MaxExportLines = 10, 200 })}, options...)...)
	return g, addExported(g.loki, n)
}

// addExported adds lines of two tenants, the same ones.
func addExported(l *lokitest.Loki, n int) (want []string) {
	at := now.Add(-10 * time.Minute)
	for i := range n {
		line := fmt.Sprintf("%d %s", i, odd[i%len(odd)])
		want = append(want, line)
		entry := []lokitest.Entry{{Time: at.Add(time.Duration(i / 7)), Line: line, Metadata: map[string]string{"trace": "t"}}}
		l.Add(lokitest.Stream{Labels: labels("alpha", "export"), Entries: entry}, lokitest.Stream{Labels: labels("beta", "export"), Entries: entry})
	}
	return want
}

const exportPath = "/api/v1/logs/export"

// jsonLines are the lines of an export, and the error that it ends with.
func jsonLines(t *testing.T, text string) (lines []string, failed *problem) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(text)); d.More(); {
		var l struct {
			Timestamp, Line string
			Labels          map[string]string
			Metadata        map[string]string `json:"structured_metadata"`
			Error           *problem
		}
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		if l.Error != nil {
			failed = l.Error
			continue
		}
		if failed != nil || l.Labels["tenant_id"] != "alpha" || l.Metadata["trace"] != "t" || len(l.Timestamp) != len(lineTime) {
			t.Fatalf("unexpected %+v", l)
		}
		lines = append(lines, l.Line)
	}
	return lines, failed
}

// TestExportIsWhole guarantees every line of the caller's once and in order, whatever is in it, in each
// format and compressed as well, over pages that end between lines of one nanosecond.
func TestExportIsWhole(t *testing.T) {
	t.Parallel()
	g, want := exporting(t, 100)
	name := "logs-alpha-20260301T110000Z-20260301T120000Z"
	query := []string{"query", `{app="export"}`}
	a := g.get(alphaToken, exportPath, query...)
	if got, failed := jsonLines(t, a.text); !slices.Equal(got, want) || failed != nil {
		t.Errorf("ndjson: %d lines of %d, %v", len(got), len(want), failed)
	}
	if got := a.Header.Get("Content-Disposition"); got != `attachment; filename="`+name+`.ndjson"` {
		t.Errorf("name: %s", got)
	}
	if strings.Count(a.text, "\n") != len(want) {
		t.Errorf("ndjson: %d lines of output for %d entries", strings.Count(a.text, "\n"), len(want))
	}
	a = g.get(alphaToken, exportPath, append(query, "format", "text", "raw", "true")...)
	if a.text != strings.Join(want, "\n")+"\n" || !strings.EqualFold(a.Header.Get("Content-Type"), "text/plain; charset=utf-8") {
		t.Errorf("text: %.300q", a.text)
	}
	a = g.get(alphaToken, exportPath, append(query, "format", "csv")...)
	// The reader takes \r\n in a cell for \n, which is its own doing; no line here has it.
	records, err := csv.NewReader(strings.NewReader(a.text)).ReadAll()
	if err != nil || len(records) != len(want)+1 || strings.Join(records[0], " ") != "timestamp labels structured_metadata parsed line" {
		t.Fatalf("csv: %v, %d records", err, len(records))
	}
	for i, r := range records[1:] {
		if r[4] != want[i] || r[1] != `{"app":"export","tenant_id":"alpha"}` || r[2] != `{"trace":"t"}` || r[3] != "" {
			t.Errorf("csv: record %d is %q", i, r)
		}
	}
	r := g.request(http.MethodGet, exportPath, query...)
	r.Header.Set("Accept-Encoding", "gzip")
	a = g.send(alphaToken, r)
	z, err := gzip.NewReader(strings.NewReader(a.text))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if got, _ := jsonLines(t, string(text)); err != nil || !slices.Equal(got, want) || a.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("gzip: %v, %d lines", err, len(got))
	}
	if a := g.get(alphaToken, exportPath, "query", `{app="none"}`, "format", "csv"); a.StatusCode != http.StatusOK || strings.Count(a.text, "\n") != 1 {
		t.Errorf("nothing: %d %q", a.StatusCode, a.text)
	}
}

// TestExportLimits guarantees that a limit gives the oldest so many lines, and that an export without one
// that would have to leave lines out does not look whole.
func TestExportLimits(t *testing.T) {
	t.Parallel()
	g, want := exporting(t, 250)
	for _, n := range []int{1, 9, 10, 11, 200} {
		a := g.get(alphaToken, exportPath, "query", `{app="export"}`, "limit", fmt.Sprint(n))
		if got, failed := jsonLines(t, a.text); !slices.Equal(got, want[:n]) || failed != nil {
			t.Errorf("limit %d: %d lines, %v", n, len(got), failed)
		}
	}
	if a := g.get(alphaToken, exportPath, "query", `{app="export"}`, "limit", "201"); a.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("limit 201: %d %s", a.StatusCode, a.text)
	}
	a := g.get(alphaToken, exportPath, "query", `{app="export"}`)
	if got, failed := jsonLines(t, a.text); !slices.Equal(got, want[:200]) || failed == nil || failed.Code != "too_many_lines" || failed.RequestID == "" {
		t.Errorf("no limit: %d lines, %v", len(got), failed)
	}
	if a := g.get(alphaToken, exportPath, "query", `{app="export"}`, "format", "text"); a.err == nil {
		t.Errorf("no limit: the text looks whole, with %d lines", strings.Count(a.text, "\n"))
	}
	g, _ = exporting(t, 200)
	if _, failed := jsonLines(t, g.get(alphaToken, exportPath, "query", `{app="export"}`).text); failed != nil {
		t.Errorf("as many as may be: %v", failed)
	}
}

// TestExportFailsVisibly guarantees that an export whose Loki fails after some pages never looks whole, in
// any format, and that one which fails at once has its status.
func TestExportFailsVisibly(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"ndjson", "csv", "text"} {
		for _, encoding := range []string{"", "gzip"} {
			t.Run(format+encoding, func(t *testing.T) {
				t.Parallel()
				g, _ := exporting(t, 0)
				whole := &lokitest.Loki{Now: func() time.Time { return now }}
				want := addExported(whole, 100)
				requests := 0 // by one export, a page at a time
				g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if requests++; requests > 3 {
						http.Error(w, "crash at 10.0.0.1", http.StatusInternalServerError)
						return
					}
					whole.ServeHTTP(w, r)
				}))
				r := g.request(http.MethodGet, exportPath, "query", `{app="export"}`, "format", format)
				if encoding != "" {
					r.Header.Set("Accept-Encoding", encoding)
				}
				a := g.send(alphaToken, r)
				text, err := a.text, a.err
				if encoding != "" {
					z, zerr := gzip.NewReader(bytes.NewReader([]byte(a.text)))
					if zerr != nil {
						t.Fatal(zerr)
					}
					unzipped, zerr := io.ReadAll(z)
					text = string(unzipped)
					if format != "ndjson" && zerr == nil {
						t.Error("the compressed file looks whole")
					}
				}
				if a.StatusCode != http.StatusOK || strings.Contains(text, "10.0.0.1") {
					t.Errorf("got %d %s", a.StatusCode, text)
				}
				if format != "ndjson" {
					if err == nil {
						t.Errorf("it looks whole: %s", text)
					}
					return
				}
				got, failed := jsonLines(t, text)
				if err != nil || failed == nil || failed.Code != "loki_failed" || len(got) == 0 || !slices.Equal(got, want[:len(got)]) {
					t.Errorf("got %d lines, %v, %v", len(got), failed, err)
				}
			})
		}
	}
	g, _ := exporting(t, 10)
	g.loki.Close()
	if a := g.get(alphaToken, exportPath, "query", `{app="export"}`, "format", "text"); a.StatusCode != http.StatusBadGateway {
		t.Errorf("at once: %d %s", a.StatusCode, a.text)
	}
}

// TestExportOfADenseNanosecond guarantees that lines that cannot be walked past are an error.
func TestExportOfADenseNanosecond(t *testing.T) {
	t.Parallel()
	g, _ := exporting(t, 0)
	for i := range 30 {
		g.loki.Add(lokitest.Stream{Labels: labels("alpha", "dense"), Entries: []lokitest.Entry{{Time: now.Add(-time.Minute), Line: fmt.Sprint(i)}}})
	}
	if a := g.get(alphaToken, exportPath, "query", `{app="dense"}`); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.text, "too_dense") {
		t.Errorf("got %d %s", a.StatusCode, a.text)
	}
}

// TestExportOfStalledClients guarantees that a client that stops reading does not keep Loki at work.
func TestExportOfStalledClients(t *testing.T) {
	inBubble(t, testExportOfStalledClients, withLimits(t, func(c *limits.Config) { c.MaxLines = 100 }), func(c *Config, _ *loki.Config) { c.ClientTimeout = 300 * time.Millisecond })
}

func testExportOfStalledClients(g *gateway) {
	line := strings.Repeat("x", 50_000)
	var entries []lokitest.Entry
	for i := range 1000 {
		entries = append(entries, lokitest.Entry{Time: now.Add(time.Duration(i-1000) * time.Second), Line: line})
	}
	g.loki.Add(lokitest.Stream{Labels: labels("alpha", "wide"), Entries: entries})
	r := g.request(http.MethodGet, exportPath, "query", `{app="wide"}`, "format", "text")
	r.Header.Set("Authorization", "Bearer "+alphaToken)
	response, err := g.transport().RoundTrip(r)
	if err != nil {
		g.Fatal(err)
	}
	defer response.Body.Close()
	time.Sleep(time.Minute)
	synctest.Wait()
	if !strings.Contains(g.log.String(), `"operation":"exportLogs"`) {
		g.Error("the export has not ended")
	}
	if n, err := io.Copy(io.Discard, response.Body); err == nil {
		g.Errorf("it looks whole, with %d bytes", n)
	}
}

// TestContext guarantees the nearest lines before and after, those that share the timestamp, and none of
// another tenant's or stream's.
func TestContext(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	at := now.Add(-30 * time.Minute)
	for i := range 50 {
		entry := func(text string) []lokitest.Entry {
			return []lokitest.Entry{{Time: at.Add(time.Duration(i) * time.Second), Line: fmt.Sprint(text, i)}}
		}
		for _, tenant := range []string{"alpha", "beta"} {
			g.loki.Add(lokitest.Stream{Labels: labels(tenant, "ctx"), Entries: entry("")}, lokitest.Stream{Labels: labels(tenant, "other"), Entries: entry("other ")})
		}
	}
	g.loki.Add(lokitest.Stream{Labels: labels("alpha", "ctx"), Entries: []lokitest.Entry{{Time: at.Add(25 * time.Second), Line: "same time"}}})
	body := func(params ...string) string {
		t.Helper()
		a := g.get(alphaToken, "/api/v1/logs/context", append([]string{"stream", `{app="ctx", tenant_id="alpha"}`}, params...)...)
		var c struct{ Before, At, After []struct{ Line string } }
		if err := json.Unmarshal([]byte(a.text), &c); err != nil || a.StatusCode != http.StatusOK {
			t.Fatalf("%v in %d %s", err, a.StatusCode, a.text)
		}
		var b strings.Builder
		for _, part := range [][]struct{ Line string }{c.Before, c.At, c.After} {
			for _, l := range part {
				b.WriteString(l.Line + " ")
			}
			b.WriteString("/ ")
		}
		return strings.TrimSpace(b.String())
	}
	nanos := fmt.Sprint(at.Add(25 * time.Second).UnixNano())
	for _, tt := range []struct {
		params []string
		want   string
	}{
		{[]string{"timestamp", nanos, "before", "2", "after", "3"}, "23 24 / 25 same time / 26 27 28 /"},
		{[]string{"timestamp", nanos, "before", "0", "after", "0"}, "/ 25 same time / /"},
		{[]string{"timestamp", nanos}, "15 16 17 18 19 20 21 22 23 24 / 25 same time / 26 27 28 29 30 31 32 33 34 35 /"},
		{[]string{"timestamp", at.Format(time.RFC3339), "before", "5", "after", "1"}, "/ 0 / 1 /"},
	} {
		got := body(tt.params...)
		if got != tt.want {
			t.Errorf("%v\ngot  %s\nwant %s", tt.params, got, tt.want)
		}
	}
	for _, tt := range []struct {
		params []string
		status int
	}{
		{[]string{"timestamp", nanos, "before", "1001"}, 422},
		{[]string{"timestamp", nanos, "before", "-1"}, 400},
		{[]string{"timestamp", "yesterday"}, 400},
		{nil, 400},
	} {
		if a := g.get(alphaToken, "/api/v1/logs/context", append([]string{"stream", `{app="ctx"}`}, tt.params...)...); a.StatusCode != tt.status {
			t.Errorf("%v: got %d %s", tt.params, a.StatusCode, a.text)
		}
	}
	for _, stream := range []string{`{app="ctx"} |= "1"`, `count_over_time({app="ctx"}[1m])`, `app="ctx"`, ``} {
		if a := g.get(alphaToken, "/api/v1/logs/context", "stream", stream, "timestamp", nanos); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %d %s", stream, a.StatusCode, a.text)
		}
	}
}

// TestContextOfRepeatedLines guarantees that a context has as many lines as were requested where Loki counts each line twice.
func TestContextOfRepeatedLines(t *testing.T) {
	g := newGateway(t)
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, err := strconv.Atoi(r.FormValue("limit"))
		if err != nil {
			t.Error(err)
		}
		var values []string
		if r.FormValue("direction") == "backward" {
			for i := range limit / 2 {
				values = append(values, fmt.Sprintf(`["%d","%d"]`, now.Add(-time.Duration(i+1)*time.Second).UnixNano(), i))
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"tenant_id":"alpha"},"values":[%s]}],`+
			`"stats":{"querier":{"store":{"chunk":{"totalDuplicates":%d}}},"ingester":{"totalReached":1,"totalLinesSent":%d}}}}`,
			strings.Join(values, ","), len(values), 2*len(values))
	}))
	a := g.get(alphaToken, "/api/v1/logs/context", "stream", `{app="ctx"}`, "timestamp", fmt.Sprint(now.UnixNano()), "before", "10")
	var c struct {
		Before    []struct{ Line string }
		Truncated bool
	}
	if err := json.Unmarshal([]byte(a.text), &c); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%v in %d %s", err, a.StatusCode, a.text)
	}
	if len(c.Before) != 10 || c.Before[0].Line != "9" || c.Truncated {
		t.Errorf("%+v", c)
	}
}
