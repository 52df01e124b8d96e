package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/poll"
)

// stockTails are the bounds of tails that a Loki has which nobody has configured.
var stockTails = []string{"-querier.max-concurrent-tail-requests=10", "-server.grpc-max-concurrent-streams=100"}

// viewersLoad is how much of the test of many viewers runs.
type viewersLoad struct {
	viewers, restarts int // viewers of ten queries, and of those before a Loki that is killed
	seconds           int // of a hundred lines in each query
}

func loadOfViewers() viewersLoad {
	if os.Getenv("LOGFENCE_TEST_LOAD") == "viewers" {
		return viewersLoad{viewers: 10_000, restarts: 1000, seconds: 60}
	}
	return viewersLoad{viewers: 60, restarts: 50, seconds: 2}
}

const (
	viewed     = 10  // queries
	viewedRate = 100 // lines a second of each
)

// TestManyViewers guarantees that many viewers of ten queries of two tenants, before a Loki with its own bounds of tails, get
// every line of theirs once and no line of another query or tenant. LOGFENCE_TEST_LOAD=viewers runs it with 10,000
// viewers for a minute, and reports what that costs.
func TestManyViewers(t *testing.T) {
	load := loadOfViewers()
	if load.viewers < 1000 {
		t.Parallel()
	}
	followMany(t, load, "GOMEMLIMIT=1400MiB") // 10,000 do not fit into the chart's 460 MiB
}

// TestViewersThatFit guarantees that a logfence with the memory that the chart gives it takes as many viewers as fit, refuses
// the others clearly, and that those which it has taken get every line. It runs with LOGFENCE_TEST_LOAD=viewers alone;
// TestMemoryIsReserved (package httpapi) holds the refusal.
func TestViewersThatFit(t *testing.T) {
	load := loadOfViewers()
	if load.viewers < 1000 {
		t.Skip("LOGFENCE_TEST_LOAD is not set to viewers")
	}
	load.seconds = 10
	if a := followMany(t, load, "GOMEMLIMIT=460MiB"); len(a.refused) == 0 || len(a.viewers) < 2500 {
		t.Errorf("%d viewers were taken, and %d refused", len(a.viewers), len(a.refused))
	}
}

func followMany(t *testing.T, load viewersLoad, settings ...string) *audience {
	t.Helper()
	l, g := stageWith(t, stockTails, append(settings, "LOGFENCE_TENANT_MAX_TAILS=10000")...)
	pid := g.cmd.Process.Pid
	queries := viewedQueries(t, viewed)
	atRest := rss(t, pid)
	began := time.Now()
	a := gather(t, g, queries, load.viewers/viewed)
	t.Logf("%d viewers have joined in %s, %d were refused", len(a.viewers), time.Since(began).Round(time.Millisecond), len(a.refused))
	for _, r := range a.refused {
		if r.status != http.StatusServiceUnavailable || r.retryAfter == "" || !strings.Contains(r.body, `"overloaded"`) {
			t.Errorf("refused with %+v", r)
		}
	}
	opened := rss(t, pid)
	beganCPU, began := cpuTime(t, pid), time.Now()
	p := &viewedPusher{loki: l, queries: queries, rate: viewedRate}
	lines := load.seconds * viewedRate
	if err := p.run(t.Context(), lines/2); err != nil {
		t.Fatal(err)
	}
	if tails := lokiTails(t, l); tails < 1 || tails > 10 {
		t.Errorf("%d tails are open on Loki", tails)
	} else {
		t.Logf("%d tails are open on Loki", tails)
	}
	if err := p.run(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
	pushed := time.Since(began)
	a.wait(lines)
	took, cpu := time.Since(began), cpuTime(t, pid)-beganCPU
	peak := status(t, pid, "VmHWM")
	a.leave()
	a.judge(t, lines)
	t.Logf("pushed in %s, received in %s; delay of tailed queries p50 %s, p99 %s; of polled ones p50 %s, p99 %s",
		pushed.Round(time.Millisecond), took.Round(time.Millisecond), a.delay(false, 50), a.delay(false, 99), a.delay(true, 50), a.delay(true, 99))
	t.Logf("resident memory %d MiB at rest, %d MiB with the viewers (%d KiB for each), %d MiB at most; %.2f µs of processor time for a delivered line",
		atRest>>20, opened>>20, (opened-atRest)/max(1, len(a.viewers))>>10, peak>>20, float64(cpu.Nanoseconds())/1000/float64(max(1, a.received())))
	return a
}

// TestViewersSurviveRestarts guarantees that many viewers lose and repeat no line when Loki is killed while lines arrive,
// and started again. LOGFENCE_TEST_LOAD=viewers runs it with 1,000 viewers.
func TestViewersSurviveRestarts(t *testing.T) {
	load := loadOfViewers()
	if load.viewers < 1000 {
		t.Parallel()
	}
	l, g := stageWith(t, stockTails, "LOGFENCE_TENANT_MAX_TAILS=1000")
	queries := viewedQueries(t, viewed)
	a := gather(t, g, queries, load.restarts/viewed)
	p := &viewedPusher{loki: l, queries: queries, rate: viewedRate}
	lines := load.seconds * viewedRate
	if err := p.run(t.Context(), lines/2); err != nil {
		t.Fatal(err)
	}
	pushing := make(chan error, 1)
	go func() { pushing <- p.run(t.Context(), lines) }()
	l.Kill()
	if err := l.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-pushing; err != nil {
		t.Fatal(err)
	}
	a.wait(lines)
	a.leave()
	a.judge(t, lines)
}

// wait waits until the viewers have so many lines each, or no more have come for long.
func (a *audience) wait(lines int) {
	want := int64(len(a.viewers) * lines)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last, since := int64(-1), time.Now()
	for range tick.C {
		switch got := a.received(); {
		case got >= want || time.Since(since) > patience:
			return
		case got != last:
			last, since = got, time.Now()
		}
	}
}

// lokiTails is how many tails Loki has open.
func lokiTails(t *testing.T, l *demo.Loki) int {
	t.Helper()
	n := -1
	poll.Wait(t, "Loki's metrics", func() bool {
		status, body, err := get(t.Context(), l.URL()+"/metrics")
		if err != nil || status != http.StatusOK {
			return false
		}
		_, rest, ok := bytes.Cut(body, []byte("\nloki_querier_tail_active "))
		value, _, _ := bytes.Cut(rest, []byte("\n"))
		if ok {
			n, err = strconv.Atoi(string(value))
		}
		return ok && err == nil
	})
	return n
}

// cpuTime is the processor time that a process has used.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Skipf("processor time of a process cannot be read here: %v", err)
	}
	_, rest, _ := bytes.Cut(text, []byte(") ")) // the name before may hold anything
	fields := bytes.Fields(rest)
	var ticks int
	for _, field := range fields[11:13] { // utime and stime: fields 14 and 15 of proc_pid_stat(5)
		n, err := strconv.Atoi(string(field))
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100) // USER_HZ is 100 on every Linux that Go runs on
}
