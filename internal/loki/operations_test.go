package loki_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/tenancy"
)

// fenced is what there is of LogQL for an operation to send.
type fenced struct {
	query    tenancy.Query
	selector tenancy.Selector
	patterns tenancy.PatternSelector
}

// operations are all that carry LogQL, each with every parameter that it takes.
var operations = []struct {
	name  string
	send  func(context.Context, *loki.Client, loki.RequestOptions, fenced) (*loki.Response, error)
	path  string
	want  url.Values // beside what the fence made
	logQL string     // the parameter that carries it
}{
	{"QueryRange", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.QueryRange(ctx, options, f.query, loki.RangeParams{
			Window: window, Limit: 7, Direction: "forward", Step: 90 * time.Second, Interval: 1500 * time.Microsecond,
		})
	}, "query_range", with("limit", "7", "direction", "forward", "step", "90000ms", "interval", "0.0015"), "query"},
	{"QueryInstant", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.QueryInstant(ctx, options, f.query, loki.InstantParams{Time: window.End, Limit: 7, Direction: "backward"})
	}, "query", url.Values{"time": {"1769864400000000001"}, "limit": {"7"}, "direction": {"backward"}}, "query"},
	{"Labels", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.Labels(ctx, options, f.selector, window)
	}, "labels", with(), "query"},
	{"LabelValues", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.LabelValues(ctx, options, "app", f.selector, window)
	}, "label/app/values", with(), "query"},
	{"Series", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.Series(ctx, options, []tenancy.Selector{f.selector}, window)
	}, "series", with(), "match[]"},
	{"IndexStats", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.IndexStats(ctx, options, f.selector, window)
	}, "index/stats", with(), "query"},
	{"Volume", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.Volume(ctx, options, f.selector, volumeParams)
	}, "index/volume", with("limit", "7", "targetLabels", "app,env", "aggregateBy", "series"), "query"},
	{"VolumeRange", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.VolumeRange(ctx, options, f.selector, volumeParams)
	}, "index/volume_range", with("limit", "7", "targetLabels", "app,env", "aggregateBy", "series", "step", "60000ms"), "query"},
	{"Patterns", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.Patterns(ctx, options, f.patterns, loki.PatternParams{Window: window, Step: time.Minute, LineLimit: 7})
	}, "patterns", with("step", "60000ms", "line_limit", "7"), "query"},
	{"DetectedLabels", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.DetectedLabels(ctx, options, f.selector, window)
	}, "detected_labels", with(), "query"},
	{"DetectedFields", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.DetectedFields(ctx, options, f.query, fieldParams)
	}, "detected_fields", with("step", "60000ms", "line_limit", "7", "limit", "8"), "query"},
	{"DetectedFieldValues", func(ctx context.Context, c *loki.Client, options loki.RequestOptions, f fenced) (*loki.Response, error) {
		return c.DetectedFieldValues(ctx, options, "status", f.query, fieldParams)
	}, "detected_field/status/values", with("step", "60000ms", "line_limit", "7", "limit", "8"), "query"},
}

var (
	// The end shows that nanoseconds are kept.
	window       = loki.Window{Start: noon.Add(-time.Hour), End: noon.Add(time.Hour + 1)}
	volumeParams = loki.VolumeParams{Window: window, Limit: 7, TargetLabels: []string{"app", "env"}, AggregateBy: "series", Step: time.Minute}
	fieldParams  = loki.FieldParams{Window: window, Step: time.Minute, LineLimit: 7, Limit: 8}
)

// with are the parameters of window and some more.
func with(more ...string) url.Values {
	v := url.Values{"start": {"1769857200000000000"}, "end": {"1769864400000000001"}}
	for pair := range slices.Chunk(more, 2) {
		v.Set(pair[0], pair[1])
	}
	return v
}

// TestOperationsSendNothingElse guarantees, for every operation, that the fenced text arrives, and that no
// parameter or header does but those listed here.
func TestOperationsSendNothingElse(t *testing.T) {
	fake := twoTenants(t)
	c := client(t, loki.Config{URL: fake.URL, OrgID: "org-{tenant}", ActorLevels: 1})
	f := fenced{query(t, `sum(count_over_time({app="web"}[2h]))`), selector(t, `{app="web"}`), patternSelector(t, `{app="web"}`)}
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			fake.Forget()
			if op.name == "DetectedFields" || op.name == "DetectedFieldValues" {
				f.query = query(t, `{app="web"} | json`)
			}
			options := loki.RequestOptions{AcceptGzip: true, CategorizeLabels: true}
			a, err := op.send(t.Context(), c, options, f)
			if err != nil {
				t.Fatal(err)
			}
			drop(a.Body)
			want := cloneOf(op.want)
			if want.Set(op.logQL, f.selector.LogQL()); takesQuery(op.name) {
				want.Set(op.logQL, f.query.LogQL())
			}
			got := only(t, fake)
			if got.Method != http.MethodGet || got.Path != "/loki/api/v1/"+op.path {
				t.Errorf("requested %s %s", got.Method, got.Path)
			}
			if diff := cmp.Diff(want, got.Params); diff != "" {
				t.Errorf("parameters: %s", diff)
			}
			if diff := cmp.Diff(http.Header{
				"User-Agent":                     {"logfence"},
				"Accept-Encoding":                {"gzip"},
				"X-Loki-Response-Encoding-Flags": {"categorize-labels"},
				"X-Scope-Orgid":                  {"org-alpha"},
				"X-Loki-Actor-Path":              {"alpha"},
				"X-Query-Tags":                   {"Source=logfence,tenant=alpha"},
			}, got.Header); diff != "" {
				t.Errorf("headers: %s", diff)
			}
		})
	}
}

func takesQuery(name string) bool {
	return strings.HasPrefix(name, "Query") || strings.HasPrefix(name, "DetectedField")
}

func cloneOf(v url.Values) url.Values { return url.Values(http.Header(v).Clone()) }

func only(t *testing.T, fake *lokitest.Loki) lokitest.Request {
	t.Helper()
	requests := fake.Requests()
	if len(requests) != 1 {
		t.Fatalf("%d requests arrived", len(requests))
	}
	return requests[0]
}

// TestOptionalParametersAreAbsent guarantees that zero values are not sent, nor headers that nobody requested.
func TestOptionalParametersAreAbsent(t *testing.T) {
	fake := twoTenants(t)
	c := client(t, loki.Config{URL: fake.URL})
	a, err := c.QueryRange(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), loki.RangeParams{})
	if err != nil {
		t.Fatal(err)
	}
	drop(a.Body)
	got := only(t, fake)
	if diff := cmp.Diff(url.Values{"query": {`{tenant_id="alpha",app="web"}`}}, got.Params); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(http.Header{"User-Agent": {"logfence"}, "X-Query-Tags": {"Source=logfence,tenant=alpha"}, "Accept-Encoding": {"identity"}}, got.Header); diff != "" {
		t.Error(diff)
	}
}

// TestZeroValuesAreRefused guarantees that LogQL that no fence has seen is not sent by any operation.
func TestZeroValuesAreRefused(t *testing.T) {
	fake := twoTenants(t)
	c := client(t, loki.Config{URL: fake.URL})
	for _, op := range operations {
		a, err := op.send(t.Context(), c, loki.RequestOptions{}, fenced{})
		if !errors.Is(err, loki.ErrNotFenced) {
			t.Errorf("%s: %v, %v", op.name, a, err)
		}
	}
	_, err := c.Series(t.Context(), loki.RequestOptions{}, []tenancy.Selector{selector(t, ""), {}}, window)
	if !errors.Is(err, loki.ErrNotFenced) {
		t.Errorf("Series with a zero selector among others: %v", err)
	}
	if _, err := c.Series(t.Context(), loki.RequestOptions{}, nil, window); !errors.Is(err, loki.ErrNoSelector) {
		t.Errorf("Series of no selector: %v", err)
	}
	betas, err := scope(t, "beta").Selector("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Series(t.Context(), loki.RequestOptions{}, []tenancy.Selector{selector(t, ""), betas}, window); !errors.Is(err, loki.ErrMixedTenants) {
		t.Errorf("Series of two scopes: %v", err)
	}
	if n := len(fake.Requests()); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// TestOnlyOwnStreams guarantees that the fence reaches Loki's matching: responses hold alpha's data alone.
func TestOnlyOwnStreams(t *testing.T) {
	fake := twoTenants(t)
	c := client(t, loki.Config{URL: fake.URL})
	f := fenced{query(t, `{app="web"}`), selector(t, `{app="web"}`), patternSelector(t, `{app="web"}`)}
	for _, op := range operations {
		if op.name == "QueryInstant" {
			f.query = query(t, `count_over_time({app="web"}[3h])`)
		} else {
			f.query = query(t, `{app="web"}`)
		}
		a, err := op.send(t.Context(), c, loki.RequestOptions{}, f)
		if response := read(t, a, err); strings.Contains(response, "beta") {
			t.Errorf("%s: %s", op.name, response)
		}
	}
	a, err := c.QueryRange(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), rangeOf(noon))
	if response := read(t, a, err); !strings.Contains(response, "alpha's line") {
		t.Errorf("own line is missing: %s", response)
	}
}

// TestSeriesSendsEachSelector guarantees that several selectors arrive, each fenced.
func TestSeriesSendsEachSelector(t *testing.T) {
	fake := twoTenants(t)
	c := client(t, loki.Config{URL: fake.URL})
	a, err := c.Series(t.Context(), loki.RequestOptions{}, []tenancy.Selector{selector(t, `{app="web"}`), selector(t, `{app="api"}`)}, window)
	read(t, a, err)
	want := []string{`{tenant_id="alpha",app="web"}`, `{tenant_id="alpha",app="api"}`}
	if got := only(t, fake).Params["match[]"]; !slices.Equal(got, want) {
		t.Errorf("match[]: %q", got)
	}
}

// TestTimes guarantees that Loki reads the very nanosecond that was meant, and that absent and 0 differ.
func TestTimes(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   time.Time
		want []string // nil: absent; empty: refused
	}{
		{"absent", time.Time{}, nil},
		{"1970 is not absent", time.Unix(0, 0), []string{"0"}},
		// Ten digits or fewer are seconds to Loki: five seconds would be the year 2128.
		{"first seconds of 1970", time.Unix(5, 0), []string{}},
		{"first nanosecond of 1970", time.Unix(0, 1), []string{}},
		{"end of the first minute", time.Unix(60, -1), []string{}},
		{"after the first minute", time.Unix(60, 0), []string{"60000000000"}},
		{"nanoseconds", noon.Add(1), []string{"1769860800000000001"}},
		{"another zone", noon.In(time.FixedZone("", 3600)), []string{"1769860800000000000"}},
		{"last", time.Unix(0, math.MaxInt64), []string{"9223372036854775807"}},
		{"before 1970", time.Unix(0, -1), []string{}},
		{"beyond nanoseconds", time.Unix(0, math.MaxInt64).Add(1), []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := twoTenants(t)
			c := client(t, loki.Config{URL: fake.URL})
			a, err := c.Labels(t.Context(), loki.RequestOptions{}, selector(t, ""), loki.Window{Start: tt.in})
			if tt.want != nil && len(tt.want) == 0 {
				if !errors.Is(err, loki.ErrParameter) || len(fake.Requests()) != 0 {
					t.Errorf("sent: %v", err)
				}
				return
			}
			if err == nil {
				drop(a.Body)
			}
			if diff := cmp.Diff(tt.want, only(t, fake).Params["start"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestUnfitParameters guarantees that what would change the path or mean something else is not sent.
func TestUnfitParameters(t *testing.T) {
	fake := twoTenants(t)
	c := client(t, loki.Config{URL: fake.URL})
	all := selector(t, "")
	lines := query(t, `{app="web"}`)
	refusals := map[string]error{}
	for _, name := range []string{"", "a/b", "..", "a-b", "1a", "a%2Fb", "a b", "é", "a?x=y", "[", "a\x00", "@"} {
		_, err := c.LabelValues(t.Context(), loki.RequestOptions{}, name, all, window)
		refusals["LabelValues "+name] = err
		_, err = c.DetectedFieldValues(t.Context(), loki.RequestOptions{}, name, lines, fieldParams)
		refusals["DetectedFieldValues "+name] = err
		_, err = c.Volume(t.Context(), loki.RequestOptions{}, all, loki.VolumeParams{TargetLabels: []string{"app", name}})
		refusals["Volume "+name] = err
	}
	for name, p := range map[string]loki.RangeParams{
		"limit": {Limit: -1}, "direction": {Direction: "up"}, "step": {Step: -1}, "interval": {Interval: -1},
	} {
		_, err := c.QueryRange(t.Context(), loki.RequestOptions{}, lines, p)
		refusals[name] = err
	}
	for name, err := range refusals {
		if !errors.Is(err, loki.ErrParameter) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"a", "_", ":", "A1_:z", "x09AZ", "__name__"} {
		a, err := c.LabelValues(t.Context(), loki.RequestOptions{}, name, all, window)
		read(t, a, err)
	}
	if n := len(fake.Requests()); n != 6 {
		t.Errorf("%d requests arrived, 6 were fit", n)
	}
}

// TestBuildInfoAndReady guarantee that Loki's own state is requested without naming a tenant.
func TestBuildInfoAndReady(t *testing.T) {
	fake := twoTenants(t)
	c := client(t, loki.Config{URL: fake.URL, OrgID: "{tenant}"})
	info, err := c.BuildInfo(t.Context())
	if err != nil || info.Version != "3.7.8" {
		t.Errorf("BuildInfo: %+v, %v", info, err)
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
	for _, r := range fake.Requests() {
		if r.Header.Get("X-Scope-OrgID") != "" {
			t.Errorf("%s names an organization", r.Path)
		}
	}
	fake.Instead(lokitest.Fail(http.StatusServiceUnavailable, "Ingester not ready: waiting for 15s after being ready"))
	if err := c.Ready(t.Context()); !errors.Is(err, loki.ErrFailed) {
		t.Errorf("Ready of a Loki that is not: %v", err)
	}
}
