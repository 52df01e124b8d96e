package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// realLoki is found, or built, once for all tests of the package.
var realLoki = sync.OnceValues(func() (Binaries, error) {
	return Find(context.Background(), FindOptions{Progress: os.Stderr})
})

func startLoki(t *testing.T, o LokiOptions) *Loki {
	t.Helper()
	found, err := realLoki()
	if err != nil {
		t.Fatal(err)
	}
	o.Binary = found.Loki
	began := time.Now()
	l, err := StartLoki(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready after %s", time.Since(began))
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// lines requests the lines of a query in the given span, oldest first.
func lines(t *testing.T, l *Loki, org, query string, from, to time.Time) []string {
	t.Helper()
	params := url.Values{
		"query": {query}, "limit": {"5000"}, "direction": {"forward"},
		"start": {strconv.FormatInt(from.UnixNano(), 10)}, "end": {strconv.FormatInt(to.UnixNano(), 10)},
	}
	header := http.Header{}
	if org != "" {
		header.Set("X-Scope-OrgID", org)
	}
	body, err := l.do(t.Context(), l.role(roleRead), http.MethodGet, "/loki/api/v1/query_range?"+params.Encode(), header, nil, http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	var response struct {
		Data struct {
			Result []struct {
				Values [][2]string `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &response); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, stream := range response.Data.Result {
		for _, value := range stream.Values {
			all = append(all, value[1])
		}
	}
	return all
}

// entries makes n lines, a second apart.
func entries(n int, from time.Time) []Entry {
	all := make([]Entry, n)
	for i := range all {
		all[i] = Entry{Time: from.Add(time.Duration(i) * time.Second), Line: fmt.Sprintf("line %d", i), Metadata: map[string]string{"pod": "p-1"}}
	}
	return all
}

// TestLokiKeepsWhatItWasGiven guarantees that pushed lines are there at once, from the store after a
// flush however old they are, and again after a stop and after a crash.
func TestLokiKeepsWhatItWasGiven(t *testing.T) {
	l := startLoki(t, LokiOptions{})
	now := time.Now()
	app := func(name string) map[string]string { return map[string]string{"app": name} }
	check := func(when, app string, want int, from time.Time) {
		t.Helper()
		got := lines(t, l, "", `{app="`+app+`"} | pod="p-1"`, from.Add(-time.Minute), from.Add(time.Hour))
		if len(got) != want {
			t.Errorf("%s: {app=%q} has %d lines, want %d", when, app, len(got), want)
		}
	}

	fresh, old := now.Add(-10*time.Minute), now.Add(-5*time.Hour)
	if err := l.Push(t.Context(), Stream{app("fresh"), entries(100, fresh)}, Stream{app("old"), entries(50, old)}); err != nil {
		t.Fatal(err)
	}
	check("pushed", "fresh", 100, fresh)

	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("flushed", "fresh", 100, fresh)
	check("flushed", "old", 50, old)

	later := now.Add(-5 * time.Minute)
	if err := l.Push(t.Context(), Stream{app("later"), entries(10, later)}); err != nil {
		t.Fatal(err)
	}
	address := l.URL()
	for _, end := range []struct {
		name string
		end  func()
	}{{"stopped", l.Stop}, {"killed", l.Kill}} {
		end.end()
		if l.Pid() != 0 {
			t.Errorf("%s: process %d still runs", end.name, l.Pid())
		}
		if err := l.Push(t.Context(), Stream{app("lost"), entries(1, now)}); err == nil {
			t.Errorf("%s: it still takes lines", end.name)
		}
		if err := l.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l.URL() != address {
			t.Errorf("%s: it came back at %s, was at %s", end.name, l.URL(), address)
		}
		check(end.name, "fresh", 100, fresh)
		check(end.name, "old", 50, old)
		check(end.name, "later", 10, later)
	}
}

// TestLokiCloseLeavesNothing guarantees that after Close no process and no folder is left, and that
// the ends of Loki are noticed.
func TestLokiCloseLeavesNothing(t *testing.T) {
	l := startLoki(t, LokiOptions{})
	pid, exited := l.Pid(), l.Exited()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-exited
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
	if _, err := os.Stat(l.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", l.Dir(), err)
	}
	if err := l.Restart(t.Context()); err == nil {
		t.Error("a closed Loki was restarted")
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestLokiMultiTenant guarantees that with MultiTenant the organisations are apart.
func TestLokiMultiTenant(t *testing.T) {
	l := startLoki(t, LokiOptions{MultiTenant: true})
	from := time.Now().Add(-time.Minute)
	stream := Stream{map[string]string{"app": "a"}, entries(5, from)}
	if err := l.Push(t.Context(), stream); err == nil {
		t.Error("lines of no organisation were taken")
	}
	if err := l.PushAs(t.Context(), "one", stream); err != nil {
		t.Fatal(err)
	}
	for org, want := range map[string]int{"one": 5, "two": 0} {
		if got := lines(t, l, org, `{app="a"}`, from, time.Now()); len(got) != want {
			t.Errorf("organisation %s has %d lines, want %d", org, len(got), want)
		}
	}
}

// TestLokiSeparate guarantees that the processes of a Loki find each other, so that what one writes the other queries: in the
// ingester, and in the store that they share after a restart.
func TestLokiSeparate(t *testing.T) {
	l := startLoki(t, LokiOptions{Separate: true})
	now := time.Now()
	want := func(line string) {
		t.Helper()
		if got := lines(t, l, "", `{app="parts"}`, now.Add(-time.Minute), now.Add(time.Minute)); len(got) != 1 || got[0] != line {
			t.Errorf("got %q, want %q", got, line)
		}
	}
	if err := l.Push(t.Context(), Stream{map[string]string{"app": "parts"}, []Entry{{Time: now, Line: "written"}}}); err != nil {
		t.Fatal(err)
	}
	want("written")
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Stop()
	if err := l.RemoveWAL(); err != nil {
		t.Fatal(err)
	}
	if err := l.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("written")
}

// TestStartLokiTellsWhy guarantees that a Loki that does not start is reported with what it said,
// and leaves no folder.
func TestStartLokiTellsWhy(t *testing.T) {
	found, err := realLoki()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	_, err = StartLoki(t.Context(), LokiOptions{Binary: found.Loki, Args: []string{"-no-such-flag"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("got error %v, want one that quotes Loki on -no-such-flag", err)
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestPushTellsWhyLokiEnded guarantees that a push to a Loki that has ended by itself says so, and one to a Loki that runs does not.
func TestPushTellsWhyLokiEnded(t *testing.T) {
	l := startLoki(t, LokiOptions{})
	refused := Stream{map[string]string{"not a label": "x"}, []Entry{{Time: time.Now(), Line: "a line"}}}
	if err := l.Push(t.Context(), refused); err == nil || errors.Is(err, ErrEnded) {
		t.Errorf("of a Loki that runs: %v, want its refusal", err)
	}
	l.Kill()
	if err := l.Push(t.Context(), refused); !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "Loki started") {
		t.Errorf("got %v, want that it has ended, and its log", err)
	}
}

// TestLokiNotTakenForAnother guarantees that a Loki which finds its port taken is not mistaken for the
// one that has it, even where that one responds to everything as Loki does.
func TestLokiNotTakenForAnother(t *testing.T) {
	l := startLoki(t, LokiOptions{})
	l.Stop()
	other, err := net.Listen("tcp4", strings.TrimPrefix(l.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NewServeMux(), ReadHeaderTimeout: time.Second}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {}) // ready, and of another configuration
	server.Handler = mux
	served := make(chan error, 1)
	go func() { served <- server.Serve(other) }()
	defer func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the other server: %v", err)
		}
	}()
	if err := l.Restart(t.Context()); !errors.Is(err, errPortTaken) {
		t.Errorf("restart on a taken port: %v, want errPortTaken", err)
	}
}

// TestBatches guarantees that cutting into requests loses no line and doubles none.
func TestBatches(t *testing.T) {
	big := strings.Repeat("x", pushBytes/3)
	streams := []Stream{
		{map[string]string{"app": "a"}, []Entry{{Line: "a1"}, {Line: big + "a2"}, {Line: big + "a3"}, {Line: big + "a4"}}},
		{map[string]string{"app": "b"}, nil},
		{map[string]string{"app": "c"}, []Entry{{Line: "c1"}}},
	}
	var got []string
	cut := batches(streams)
	for _, batch := range cut {
		for _, s := range batch {
			for _, e := range s.Entries {
				got = append(got, s.Labels["app"]+":"+strings.TrimLeft(e.Line, "x"))
			}
		}
	}
	if want := "a:a1 a:a2 a:a3 a:a4 c:c1"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if len(cut) != 2 {
		t.Errorf("%d requests, want 2", len(cut))
	}
}
