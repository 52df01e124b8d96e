package e2e

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// written is one line that an export has to hold.
type written struct {
	nanos int64
	part  string // the stream
	line  string
}

// writeMany writes so many lines of alpha's over several streams, forty to a nanosecond, and as many of
// beta's with the same timestamps. They are given in the order that an export has.
func writeMany(t *testing.T, l *demo.Loki, lines int) (all []written, w url.Values) {
	t.Helper()
	batch, all, w := many(lines)
	noErrorNow(t, l.Push(t.Context(), batch...))
	return all, w
}

// many are the lines of [writeMany].
func many(lines int) (batch []demo.Stream, all []written, w url.Values) {
	const streams, together = 8, 5
	base := time.Now().Add(-2 * time.Hour).Truncate(time.Minute)
	batch = make([]demo.Stream, 0, 2*streams)
	for s := range streams {
		for _, tenant := range []string{demo.Alpha, demo.Beta} {
			part := strconv.Itoa(s)
			entries := make([]demo.Entry, 0, lines/streams)
			for i := range lines / streams {
				at := base.Add(time.Duration(i/together) * 250 * time.Microsecond)
				text := fmt.Sprintf(`{"of":%q,"part":%s,"n":%d,"msg":"a \"quoted\", comma'd line <%d>"}`, tenant, part, i, i*7)
				entries = append(entries, demo.Entry{Time: at, Line: text})
				if tenant == demo.Alpha {
					all = append(all, written{at.UnixNano(), part, text})
				}
			}
			batch = append(batch, demo.Stream{Labels: map[string]string{tenantLabel: tenant, "app": "export", "part": part}, Entries: entries})
		}
	}
	slices.SortStableFunc(all, func(a, b written) int { return cmp.Or(cmp.Compare(a.nanos, b.nanos), cmp.Compare(a.part, b.part)) })
	return batch, all, with(url.Values{}, "query", `{app="export"}`, "start", nanoseconds(base), "end", nanoseconds(time.Now()))
}

// openExport begins an export.
func openExport(t *testing.T, g *gateway, params url.Values) *http.Response {
	t.Helper()
	r, err := request{method: http.MethodGet, path: "/api/v1/logs/export", params: params}.build(t.Context(), g.public)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tokenOf(t, demo.Claims{Tenant: demo.Alpha}))
	resp, err := httpClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
	on.contract.metLive("exportLogs", resp.StatusCode)
	return resp
}

// exported is a line of an NDJSON export.
type exported struct {
	Timestamp time.Time
	Labels    map[string]string
	Line      string
	Error     *struct{ Code string }
}

// differ says where two lists of lines differ first. Lines of one nanosecond and stream come as Loki has
// them, which is not always as they were written: it splits streams that are written fast.
func differ(t *testing.T, format string, got, want []written) {
	t.Helper()
	for i := range len(got) - 1 {
		if got[i].nanos > got[i+1].nanos {
			t.Fatalf("%s: line %d is not in the order of time:\n%+v\n%+v", format, i, got[i], got[i+1])
		}
	}
	byLine := func(a, b written) int {
		return cmp.Or(cmp.Compare(a.nanos, b.nanos), cmp.Compare(a.part, b.part), cmp.Compare(a.line, b.line))
	}
	got, want = slices.Clone(got), slices.Clone(want)
	slices.SortFunc(got, byLine)
	slices.SortFunc(want, byLine)
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%s: line %d is\n%+v, want\n%+v", format, i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d lines, want %d", format, len(got), len(want))
	}
}

// exportAll reads an export in NDJSON to its end.
func exportAll(t *testing.T, g *gateway, params url.Values) (got []written) {
	t.Helper()
	body := openExport(t, g, with(clone(params), "format", "ndjson")).Body
	for d := json.NewDecoder(body); d.More(); {
		var e exported
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if e.Error != nil || e.Labels[tenantLabel] != demo.Alpha {
			t.Fatalf("after %d lines: %+v", len(got), e)
		}
		got = append(got, written{e.Timestamp.UnixNano(), e.Labels["part"], e.Line})
	}
	return got
}

// TestExportOfRepeatedPush guarantees that an export has all lines where the ingester holds some twice, as after a push that was
// repeated, and the store others. Several processes then return fewer lines than were requested, although there are more, and
// leave out lines of the ingester between those of the store.
func TestExportOfRepeatedPush(t *testing.T) {
	t.Parallel()
	needsIngester(t)
	l, err := on.startLoki(t.Context(), demo.LokiOptions{Separate: true, Args: append(lokiArgs[:len(lokiArgs):len(lokiArgs)], "-shard-streams.enabled=false")})
	noErrorNow(t, err)
	t.Cleanup(func() { noError(t, l.Close()) })
	g, err := startGateway(t.Context(), on.binary, on.issuer, l.URL(), "LOGFENCE_QUEUE_WAIT=1m")
	noErrorNow(t, err)
	t.Cleanup(func() { noError(t, g.stop()) })
	batch, want, params := many(100_000)
	stored := batch[:2]
	noErrorNow(t, l.Push(t.Context(), stored...))
	noErrorNow(t, l.Flush(t.Context()))
	for range 2 {
		noErrorNow(t, l.Push(t.Context(), batch[len(stored):]...))
	}
	got := map[written]int{}
	for _, line := range exportAll(t, g, params) {
		got[line]++
	}
	if len(got) != len(want) {
		t.Errorf("%d different lines of %d", len(got), len(want))
	}
}

// TestExportIsWhatWasWritten guarantees that 200,000 lines over several streams, forty to a nanosecond, come
// out once each and in order in every format, with nothing of another tenant that writes all the while, and
// that logfence's memory does not grow with them.
func TestExportIsWhatWasWritten(t *testing.T) {
	t.Parallel()
	const lines = 200_000
	l, g := ownStage(t)
	want, params := writeMany(t, l, lines)
	pushing(t, l, "export", 4, 20*time.Millisecond) // after the export's end, and beta's beside alpha's
	before := rss(t, g.cmd.Process.Pid)

	began := time.Now()
	got := exportAll(t, g, params)
	differ(t, "ndjson", got, want)
	t.Logf("ndjson: %d lines in %s", len(got), time.Since(began).Round(time.Millisecond))

	got = got[:0]
	records := csv.NewReader(openExport(t, g, with(clone(params), "format", "csv")).Body)
	if _, err := records.Read(); err != nil {
		t.Fatal(err)
	}
	for {
		r, err := records.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var labels map[string]string
		if err == nil {
			err = json.Unmarshal([]byte(r[1]), &labels)
		}
		at, terr := time.Parse(time.RFC3339Nano, r[0])
		if err != nil || terr != nil || labels[tenantLabel] != demo.Alpha {
			t.Fatal(err, terr, r)
		}
		got = append(got, written{at.UnixNano(), labels["part"], r[4]})
	}
	differ(t, "csv", got, want)

	byText := make(map[string]written, len(want))
	for _, w := range want {
		byText[w.line] = w
	}
	got = got[:0]
	text := bufio.NewScanner(openExport(t, g, with(clone(params), "format", "text")).Body)
	for text.Scan() {
		w, ok := byText[text.Text()]
		if !ok {
			t.Fatalf("text: %s was never written by alpha", text.Text())
		}
		got = append(got, w)
	}
	if text.Err() != nil {
		t.Errorf("text: %v", text.Err())
	}
	differ(t, "text", got, want)
	grown := status(t, g.cmd.Process.Pid, "VmHWM") - before
	t.Logf("peak memory: %d MiB, %d MiB above that at rest", (grown+before)>>20, grown>>20)
	if grown > 160<<20 {
		t.Errorf("logfence has grown by %d MiB", grown>>20)
	}
}

// TestExportWhoseLokiDies guarantees that an export whose Loki is killed midway does not look whole, and that
// one after Loki's return is.
func TestExportWhoseLokiDies(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"ndjson", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			l, g := ownStage(t)
			want, params := writeMany(t, l, 100_000)
			params = with(clone(params), "format", format)
			lines := bufio.NewScanner(openExport(t, g, params).Body)
			n, last := 0, ""
			for lines.Scan() {
				if n++; n == 1000 {
					l.Kill()
				}
				last = lines.Text()
			}
			switch {
			case n >= len(want):
				t.Errorf("all of %d lines came", n)
			case format == "text" && lines.Err() == nil:
				t.Errorf("it looks whole after %d lines", n)
			case format == "ndjson" && (lines.Err() != nil || !strings.HasPrefix(last, `{"error":{`) || !strings.Contains(last, `"code":"loki_`)):
				t.Errorf("after %d lines: %v, the last is %s", n, lines.Err(), last)
			}
			if err := l.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			// It gets no requests before a probe has succeeded.
			if err := g.waitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			n = 0
			for lines = bufio.NewScanner(openExport(t, g, params).Body); lines.Scan(); n++ {
			}
			if n != len(want) || lines.Err() != nil {
				t.Errorf("after Loki's return: %d lines of %d, %v", n, len(want), lines.Err())
			}
		})
	}
}

// TestContextAroundALine guarantees the nearest lines of a real Loki's stream, those of the same nanosecond
// included.
func TestContextAroundALine(t *testing.T) {
	t.Parallel()
	l, g := ownStage(t)
	all, _ := writeMany(t, l, 400)
	var stream []written
	for _, w := range all {
		if w.part == "3" {
			stream = append(stream, w)
		}
	}
	at := stream[22] // the third of five in its nanosecond
	a := g.send(t, request{method: http.MethodGet, path: "/api/v1/logs/context", params: with(url.Values{},
		"stream", `{app="export", part="3", service_name="export", tenant_id="alpha"}`,
		"timestamp", strconv.FormatInt(at.nanos, 10), "before", "7", "after", "4")})
	var c struct{ Before, At, After []exported }
	if err := json.Unmarshal(a.body, &c); err != nil || a.status != http.StatusOK {
		t.Fatalf("%v in %d %s", err, a.status, a.body)
	}
	var got []written
	for _, part := range [][]exported{c.Before, c.At, c.After} {
		for _, e := range part {
			got = append(got, written{e.Timestamp.UnixNano(), e.Labels["part"], e.Line})
		}
	}
	if len(c.Before) != 7 || len(c.At) != 5 || len(c.After) != 4 {
		t.Errorf("%d, %d and %d lines", len(c.Before), len(c.At), len(c.After))
	}
	// Of a nanosecond that is cut off by a limit, Loki chooses the lines.
	differ(t, "context", got[2:15], stream[15:28])
}
