package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/logfence/logfence/internal/demo"
)

// The soak's pace: a busy hour of a company's users is some ten requests a second, so that ten minutes
// of this are an hour of that.
const (
	soakRate    = 60 // requests a second
	soakCallers = 24 // clients that send requests
	soakTails   = 20 // tails open at any time; each lives for seconds
)

// TestSoak guarantees that logfence does not grow: under mixed traffic of every operation, several tenants,
// tails that come and go, exports that are read and left, requests that are refused, and keys and tokens
// that change, neither memory nor goroutines nor file descriptors rise between the time when it is warm
// and the end; and when all have left, what they held is given back. It runs for as long as it is told:
//
//	LOGFENCE_TEST_SOAK=10m go test -timeout 20m -run TestSoak -v ./internal/e2e
func TestSoak(t *testing.T) {
	value := os.Getenv("LOGFENCE_TEST_SOAK")
	if value == "" {
		t.Skip("LOGFENCE_TEST_SOAK is not set to a duration, such as 10m")
	}
	length, err := time.ParseDuration(value)
	if err != nil {
		t.Fatal(err)
	}
	s := newSoak(t)
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	idle := s.measure(t)
	every := min(30*time.Second, length/20)
	samples := []measured{}
	load, ctx := errgroup.WithContext(ctx) // the first failure is the end
	s.start(ctx, load)
	for tick := time.NewTicker(every); ctx.Err() == nil; {
		select {
		case <-tick.C:
			samples = append(samples, s.measure(t))
			t.Logf("%5s  %s  %s", (time.Duration(len(samples)) * every).Round(time.Second), samples[len(samples)-1], s.counts())
		case <-ctx.Done():
			tick.Stop()
		}
	}
	if err := load.Wait(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		return
	}
	s.judge(t, samples)
	s.rest(t, idle)
}

// soak is what the soak runs against, and what it has counted.
type soak struct {
	loki   *demo.Loki
	issuer *demo.Issuer
	g      *gateway
	pace   *rate.Limiter
	http   *http.Client
	tokens atomic.Pointer[map[string]string] // by tenant
	lines  atomic.Int64
	tails  atomic.Int64
	byCode [600]atomic.Int64
}

var soakTenants = []string{"alpha", "beta", "gamma", "delta", "epsilon"}

func newSoak(t *testing.T) *soak {
	t.Helper()
	s := &soak{pace: rate.NewLimiter(soakRate, soakCallers), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: soakCallers}}}
	t.Cleanup(s.http.CloseIdleConnections)
	var err error
	if s.issuer, err = demo.StartIssuer(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.issuer.Close() })
	if s.loki, err = on.startLoki(t.Context(), demo.LokiOptions{Args: liveArgs}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.loki.Close() })
	s.g, err = startGateway(t.Context(), on.binary, s.issuer, s.loki.URL(), "LOGFENCE_AUDIT_LOG="+on.dir+"/soak.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.g.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(s.renew(), s.write(t.Context())); err != nil {
		t.Fatal(err)
	}
	return s
}

// start begins everything that goes on at the same time. All of it ends with ctx.
func (s *soak) start(ctx context.Context, load *errgroup.Group) {
	for range soakCallers {
		load.Go(func() error { return s.repeat(ctx, s.send) })
	}
	for n := range soakTails {
		load.Go(func() error {
			return s.repeat(ctx, func(ctx context.Context) error { return s.follow(ctx, n%4 == 0) })
		})
	}
	load.Go(func() error { return s.repeat(ctx, s.export) })
	load.Go(func() error { return s.now(ctx, 200*time.Millisecond, func() error { return s.write(ctx) }) })
	load.Go(func() error { return s.now(ctx, 2*time.Second, s.renew) })
	load.Go(func() error { return s.now(ctx, 15*time.Second, s.issuer.RotateGently) })
}

// repeat does it again and again, at the common pace. What the end cuts off is no error.
func (s *soak) repeat(ctx context.Context, do func(context.Context) error) error {
	for {
		if s.pace.Wait(ctx) != nil {
			return nil //nolint:nilerr // the end
		}
		if err := do(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// now does it every now and then.
func (s *soak) now(ctx context.Context, every time.Duration, do func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := do(); err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// write writes a line of each tenant's, which says whose it is.
func (s *soak) write(ctx context.Context) error {
	var batch []demo.Stream
	for _, tenant := range soakTenants {
		n := s.lines.Add(1)
		batch = append(batch, demo.Stream{
			Labels:  map[string]string{tenantLabel: tenant, "app": "soak", "level": []string{"info", "error"}[n%2]},
			Entries: []demo.Entry{{Time: time.Now(), Line: fmt.Sprintf(`level=info of=<%s> n=%d msg="a line of the soak" took=%dms`, tenant, n, n%900)}},
		})
	}
	return s.loki.Push(ctx, batch...)
}

// renew gets everybody a new token.
func (s *soak) renew() error {
	tokens := map[string]string{}
	for _, tenant := range soakTenants {
		token, err := s.issuer.Token(demo.Claims{Subject: "soak", Tenant: tenant, Lifetime: time.Minute})
		if err != nil {
			return err
		}
		tokens[tenant] = token
	}
	both, err := s.issuer.Token(demo.Claims{Subject: "both", Tenant: []string{"alpha", "beta"}})
	tokens["both"] = both
	s.tokens.Store(&tokens)
	return err
}

// soakRequests are of every family, and what is refused of each kind. A status of 0 is 200.
var soakRequests = []struct {
	path   string
	params url.Values
	body   string // JSON, by POST
	token  string // a tenant's unless said otherwise
	status int
}{
	{path: "/api/v1/logs/query", params: url.Values{"query": {`{app="soak"} | logfmt | n > 10`}, "limit": {"100"}}},
	{path: "/api/v1/logs/query", params: url.Values{"query": {`sum by (level) (rate({app="soak"}[1m]))`}, "step": {"10s"}}},
	{path: "/api/v1/logs/query/instant", params: url.Values{"query": {`count_over_time({app="soak"}[1m])`}}},
	{path: "/loki/api/v1/query_range", params: url.Values{"query": {`{app="soak", level="error"} |= "soak"`}, "limit": {"500"}}},
	{path: "/loki/api/v1/query", params: url.Values{"query": {`sum(bytes_over_time({app="soak"}[2m])) / sum(count_over_time({app="soak"}[2m]))`}}},
	{path: "/api/v1/logs/labels"},
	{path: "/api/v1/logs/labels/app/values"},
	{path: "/api/v1/logs/labels/detected"},
	{path: "/loki/api/v1/label/level/values"},
	{path: "/api/v1/logs/series", params: url.Values{"match": {`{app="soak"}`, `{level="error"}`}}},
	{path: "/api/v1/logs/stats", params: url.Values{"query": {`{app="soak"}`}}},
	{path: "/api/v1/logs/volume", params: url.Values{"query": {`{app="soak"}`}}},
	{path: "/api/v1/logs/volume/range", params: url.Values{"query": {`{app="soak"}`}, "step": {"60"}}},
	{path: "/api/v1/logs/fields", params: url.Values{"query": {`{app="soak"}`}}},
	{path: "/api/v1/logs/explain", body: `{"query": "rate({app=\"soak\"}[1m])"}`},
	{path: "/api/v1/me"},
	{path: "/loki/api/v1/format_query", params: url.Values{"query": {`sum(rate({app="soak"}[1m]))`}}},
	{path: "/loki/api/v1/status/buildinfo"},
	{path: "/api/v1/logs/query", params: url.Values{"query": {`{app="soak"}`}}, token: "both"},
	{path: "/docs", token: "-"},
	{path: "/openapi.json", token: "-"},

	{path: "/api/v1/logs/query", params: url.Values{"query": {`{app="soak"`}}, status: http.StatusBadRequest},
	{path: "/api/v1/logs/query", params: url.Values{"query": {`{app="soak"}`}, "limit": {"1", "2"}}, status: http.StatusBadRequest},
	{path: "/api/v1/logs/query", params: url.Values{"query": {`{app="soak"}`}, "since": {"9000h"}}, status: http.StatusUnprocessableEntity},
	{path: "/api/v1/logs/query", params: url.Values{"query": {`{app="soak"}`}}, token: "-", status: http.StatusUnauthorized},
	{path: "/api/v1/logs/query", params: url.Values{"query": {`{app="soak"}`}}, token: "forged", status: http.StatusUnauthorized},
	{path: "/api/v1/logs/nothing", status: http.StatusNotFound},
}

// send sends one of them as one of the tenants.
func (s *soak) send(ctx context.Context) error {
	tenant := soakTenants[rand.IntN(len(soakTenants))]
	want := soakRequests[rand.IntN(len(soakRequests))]
	r := request{method: http.MethodGet, path: want.path, params: maps.Clone(want.params), body: want.body}
	if r.body != "" {
		r.method = http.MethodPost
	}
	if want.params.Has("query") && want.status == 0 { // so that not all responses come from a cache
		r.params.Set("query", strings.Replace(want.params.Get("query"), `app="soak"`, fmt.Sprintf(`app="soak", level!="%d"`, rand.IntN(5000)), 1))
	}
	token := (*s.tokens.Load())[tenant]
	switch want.token {
	case "-":
		token = ""
	case "both":
		tenant, token = "alpha", (*s.tokens.Load())["both"]
	case "forged":
		token = token[:len(token)-8] + strconv.Itoa(10000000+rand.IntN(80000000))
	}
	status, body, err := s.do(ctx, r, token)
	if err != nil {
		return err
	}
	if status != cmpStatus(want.status) && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return fmt.Errorf("%s: %d %.300s", r, status, body)
	}
	return foreign(body, tenant, want.token == "both")
}

func cmpStatus(status int) int {
	if status == 0 {
		return http.StatusOK
	}
	return status
}

// foreign says whether another tenant's line is in a response.
func foreign(body []byte, tenant string, both bool) error {
	for _, other := range soakTenants {
		theirs := both && other == "beta" // of whom both is, too
		if other != tenant && !theirs && bytes.Contains(body, []byte("of=<"+other+">")) {
			return fmt.Errorf("%s was shown a line of %s's", tenant, other)
		}
	}
	return nil
}

func (s *soak) open(ctx context.Context, r request, token string) (*http.Response, error) {
	q, err := r.build(ctx, s.g.public)
	if err != nil {
		return nil, err
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.http.Do(q)
	if err != nil {
		return nil, err
	}
	s.byCode[resp.StatusCode].Add(1)
	return resp, nil
}

func (s *soak) do(ctx context.Context, r request, token string) (status int, body []byte, err error) {
	resp, err := s.open(ctx, r, token)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// follow follows a tail for some seconds, by either route, and leaves without a word.
func (s *soak) follow(ctx context.Context, overWebSocket bool) error {
	ctx, leave := context.WithTimeout(ctx, time.Duration(1+rand.IntN(8))*time.Second)
	defer leave()
	tenant := soakTenants[rand.IntN(len(soakTenants))]
	token := (*s.tokens.Load())[tenant]
	s.tails.Add(1)
	if overWebSocket {
		c, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.g.public, "http")+"/loki/api/v1/tail?query="+url.QueryEscape(`{app="soak"}`),
			&websocket.DialOptions{HTTPClient: s.http, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
		if err != nil {
			return s.left(ctx, resp, err)
		}
		defer func() { _ = c.CloseNow() }()
		for {
			_, text, err := c.Read(ctx)
			if err != nil {
				return nil // it is time, or the token's end
			}
			if err := foreign(text, tenant, false); err != nil {
				return err
			}
		}
	}
	resp, err := s.open(ctx, request{method: http.MethodGet, path: "/api/v1/logs/tail", params: url.Values{"query": {`{app="soak"}`}}}, token)
	if err != nil {
		return s.left(ctx, nil, err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if err := foreign(lines.Bytes(), tenant, false); err != nil {
			return err
		}
	}
	return nil
}

// left is nil where the client itself has gone, or was told to come later.
func (s *soak) left(ctx context.Context, resp *http.Response, err error) error {
	gone := ctx.Err() != nil
	later := resp != nil && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable)
	if gone || later {
		return nil //nolint:nilerr // of which the caller wants to hear nothing
	}
	return err
}

// export reads an export to its end, or leaves in the middle of it.
func (s *soak) export(ctx context.Context) error {
	tenant := soakTenants[rand.IntN(len(soakTenants))]
	format := []string{"ndjson", "csv", "text"}[rand.IntN(3)]
	resp, err := s.open(ctx, request{
		method: http.MethodGet, path: "/api/v1/logs/export",
		params: url.Values{"query": {`{app="soak"}`}, "since": {"15m"}, "format": {format}},
	}, (*s.tokens.Load())[tenant])
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body := io.Reader(resp.Body)
	if rand.IntN(2) == 0 {
		body = io.LimitReader(body, 4<<10)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	return foreign(text, tenant, false)
}

// counts are the responses so far, by status.
func (s *soak) counts() string {
	var b strings.Builder
	for status := range s.byCode {
		if n := s.byCode[status].Load(); n > 0 {
			fmt.Fprintf(&b, " %d×%d", status, n)
		}
	}
	return fmt.Sprintf("responses%s, tails opened %d, lines written %d", b.String(), s.tails.Load(), s.lines.Load())
}

// measured is what the process holds at one moment.
type measured struct {
	rss, heap, goroutines, files float64
}

func (s measured) String() string {
	return fmt.Sprintf("rss %5.1f MiB  heap %5.1f MiB  goroutines %4.0f  files %4.0f", s.rss/(1<<20), s.heap/(1<<20), s.goroutines, s.files)
}

func (s *soak) measure(t *testing.T) measured {
	t.Helper()
	code, body, err := get(t.Context(), s.g.admin+"/metrics")
	if err != nil || code != http.StatusOK {
		t.Fatalf("metrics: %d %v", code, err)
	}
	value := func(name string) float64 {
		for line := range strings.Lines(string(body)) {
			if text, ok := strings.CutPrefix(line, name+" "); ok {
				v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
		}
		t.Fatalf("no metric %s", name)
		return 0
	}
	return measured{
		rss: float64(memoryOf(t, s.g.cmd.Process.Pid, "VmRSS")), heap: value("go_memstats_heap_inuse_bytes"),
		goroutines: value("go_goroutines"), files: value("process_open_fds"),
	}
}

// judge compares the last third of the samples with the third in the middle; the first is the warming up.
// It takes the medians, since the collector and the tails that come and go make single ones jump, and leaves room:
// a leak of a goroutine or of a kilobyte a request would be thousands of them, and megabytes.
func (s *soak) judge(t *testing.T, samples []measured) {
	t.Helper()
	third := len(samples) / 3
	if third == 0 {
		t.Fatalf("%d samples; soak for longer", len(samples))
	}
	for _, of := range []struct {
		name  string
		read  func(measured) float64
		room  float64 // beside a fifth
		scale float64
	}{
		{"resident memory (MiB)", func(s measured) float64 { return s.rss }, 8 << 20, 1 << 20},
		{"heap (MiB)", func(s measured) float64 { return s.heap }, 8 << 20, 1 << 20},
		{"goroutines", func(s measured) float64 { return s.goroutines }, 40, 1},
		{"open files", func(s measured) float64 { return s.files }, 20, 1},
	} {
		warm, last := median(samples[third:2*third], of.read), median(samples[len(samples)-third:], of.read)
		t.Logf("%s: %.1f when warm, %.1f at the end", of.name, warm/of.scale, last/of.scale)
		if last > warm*1.2+of.room {
			t.Errorf("%s grew from %.1f to %.1f", of.name, warm/of.scale, last/of.scale)
		}
	}
}

func median(samples []measured, read func(measured) float64) float64 {
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, read(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// rest waits until what the clients held is given back.
func (s *soak) rest(t *testing.T, idle measured) {
	t.Helper()
	s.http.CloseIdleConnections()
	var now measured
	eventually(t, func() bool {
		now = s.measure(t)
		// Some connections to Loki and their goroutines are kept for the next ones.
		return now.goroutines <= idle.goroutines+300 && now.files <= idle.files+150
	}, func() { t.Errorf("at rest it holds %s, and %s before", now, idle) })
	t.Logf("at rest: %s; before: %s", now, idle)
}
