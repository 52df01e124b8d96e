package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// What the history holds: 30 days, in so many streams, of which each two hours are a chunk of their own, as a Loki that is written to
// all the time has them; and a needle that is found so often, for the first time half an hour ago.
const (
	historyDays    = 30
	historyStreams = 50
	historyLines   = 3_000_000
	historyNeedles = 20
	historyRounds  = 3
)

// historyArgs are a Loki without caches: one chunk is the least that its cache of chunks can be bounded to.
var historyArgs = append([]string{
	"-ingester.sync-period=2h", "-ingester.sync-min-utilization=0", "-store.chunks-cache.embedded-cache.max-size-items=1",
}, lokiArgs...)

// TestHistory measures, in front of a real Loki that holds 30 days in its store, how long a stream of lines takes to its first progress,
// its first line and its end for a search that finds little, beside Loki requested directly. The first line of the newest hour comes in
// less than a second, and all of it in at most 1.2 times one direct query: the medians of three. It takes minutes, and the load of
// other tests would count: it runs with LOGFENCE_TEST_LOAD=history. LOGFENCE_TEST_LOAD_LINES is how many lines there are.
func TestHistory(t *testing.T) {
	if os.Getenv("LOGFENCE_TEST_LOAD") != "history" {
		t.Skip("LOGFENCE_TEST_LOAD is not set to history")
	}
	lines := historyLines
	if n, err := strconv.Atoi(os.Getenv("LOGFENCE_TEST_LOAD_LINES")); err == nil {
		lines = n
	}
	l, g := stageWith(t, historyArgs, fmt.Sprint("LOGFENCE_MAX_QUERY_BYTES_READ=", 1<<50), "LOGFENCE_LOKI_TIMEOUT=5m")
	end := time.Now().Truncate(time.Second)
	began := time.Now()
	needles := writeHistory(t, l, end, lines)
	t.Logf("%d lines written and flushed in %s; load %s", lines, time.Since(began).Round(time.Second), loadAverage())
	params := url.Values{
		"query": {`{app="history"} |= "needle"`}, "start": {nanoseconds(end.Add(-historyDays * 24 * time.Hour))}, "end": {nanoseconds(end)},
	}
	before := memoryOf(t, g.cmd.Process.Pid, "VmRSS")
	var direct, progress, first, whole []time.Duration
	for range historyRounds {
		direct = append(direct, directSearch(t, l, params, needles))
		s := streamSearch(t, g, params)
		if !slices.Equal(s.lines, needles) || !s.complete {
			t.Fatalf("got %d lines of %d, complete %t", len(s.lines), len(needles), s.complete)
		}
		progress, first, whole = append(progress, s.progress), append(first, s.first), append(whole, s.end)
		t.Logf("directly %s; stream: progress after %s, first line %s, end %s (%d progress events); load %s",
			direct[len(direct)-1], s.progress, s.first, s.end, s.progresses, loadAverage())
	}
	grown := memoryOf(t, g.cmd.Process.Pid, "VmHWM") - before
	for _, all := range [][]time.Duration{direct, progress, first, whole} {
		slices.Sort(all)
	}
	middle := historyRounds / 2
	t.Logf("medians: directly %s; progress %s, first line %s, end %s: %.2f times; logfence grew by %d KiB", direct[middle], progress[middle],
		first[middle], whole[middle], float64(whole[middle])/float64(direct[middle]), grown>>10)
	if first[middle] > time.Second {
		t.Errorf("the first line of the newest hour came after %s", first[middle])
	}
	if whole[middle] > direct[middle]*12/10 {
		t.Errorf("the stream took %s, one direct query %s", whole[middle], direct[middle])
	}
}

// writeHistory writes lines of about 200 bytes, day by day, and returns the needles, the newest first.
func writeHistory(t *testing.T, l *demo.Loki, end time.Time, lines int) (needles []string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2)) // the same text in each run
	start, perDay := end.Add(-historyDays*24*time.Hour), lines/historyDays
	interval := 24 * time.Hour / time.Duration(perDay)
	all := historyDays * perDay
	apart, newest := all/historyNeedles, all-int(30*time.Minute/interval)
	for day := range historyDays {
		streams := make([]demo.Stream, historyStreams)
		for i := range streams {
			streams[i].Labels = map[string]string{tenantLabel: demo.Alpha, "app": "history", "part": strconv.Itoa(i)}
		}
		for i := range perDay {
			n := day*perDay + i
			at := start.Add(time.Duration(n) * interval)
			text := fmt.Sprintf("ts=%d level=info n=%d", at.UnixNano(), n)
			if n <= newest && (newest-n)%apart == 0 {
				text += " needle"
				needles = append(needles, text)
			}
			for len(text) < 190 {
				text += fmt.Sprintf(" %x", random.Uint64())
			}
			s := &streams[random.IntN(historyStreams)]
			s.Entries = append(s.Entries, demo.Entry{Time: at, Line: text})
		}
		noErrorNow(t, l.Push(t.Context(), streams...))
		noErrorNow(t, l.Flush(t.Context()))
	}
	slices.Reverse(needles)
	return needles
}

// beginning is a line up to its random text.
func beginning(line string) string {
	at := strings.Index(line, " needle")
	return line[:max(at, 0)] + " needle"
}

// directSearch sends Loki one query for the complete range, and returns how long it took.
func directSearch(t *testing.T, l *demo.Loki, params url.Values, needles []string) time.Duration {
	t.Helper()
	began := time.Now()
	a := sendToLoki(t, l, request{path: "/loki/api/v1/query_range", params: with(clone(params), "limit", "5000", "direction", "backward")})
	took := time.Since(began).Round(time.Millisecond)
	if found := strings.Count(string(a.body), " needle "); a.status != http.StatusOK || found != len(needles) {
		t.Errorf("directly: %d, %d lines of %d: %.200s", a.status, found, len(needles), a.body)
	}
	return took
}

// searched is a stream of lines, with when its events came.
type searched struct {
	progress, first, end time.Duration
	progresses           int
	lines                []string // up to their random text
	complete             bool
}

func streamSearch(t *testing.T, g *gateway, params url.Values) (s searched) {
	t.Helper()
	r, err := request{method: http.MethodGet, path: "/api/v1/logs/lines", params: params, header: http.Header{"Accept": {"application/x-ndjson"}}}.build(t.Context(), g.public)
	noErrorNow(t, err)
	r.Header.Set("Authorization", "Bearer "+tokenOf(t, demo.Claims{Tenant: demo.Alpha}))
	began := time.Now()
	response, err := httpClient.Do(r)
	noErrorNow(t, err)
	defer response.Body.Close()
	on.contract.metLive("listLines", response.StatusCode)
	records := bufio.NewScanner(response.Body)
	records.Buffer(nil, 16<<20)
	for records.Scan() {
		at := time.Since(began).Round(time.Millisecond)
		var record struct {
			Event string
			Data  struct {
				Lines    json.RawMessage // a number in progress
				Complete bool
			}
		}
		noErrorNow(t, json.Unmarshal(records.Bytes(), &record))
		switch record.Event {
		case "progress":
			if s.progresses++; s.progresses == 1 {
				s.progress = at
			}
		case "lines":
			if len(s.lines) == 0 {
				s.first = at
			}
			var batch []listedLine
			noErrorNow(t, json.Unmarshal(record.Data.Lines, &batch))
			for _, line := range batch {
				s.lines = append(s.lines, beginning(line.Line))
			}
		case "end":
			s.end, s.complete = at, record.Data.Complete
		default:
			t.Errorf("%.300s", records.Bytes())
		}
	}
	noError(t, records.Err())
	return s
}
