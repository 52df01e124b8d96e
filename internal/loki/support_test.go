package loki_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// TestMain guarantees that nothing goes on after a response is closed.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http writes there what comes on idle connections
	goleak.VerifyTestMain(m)
}

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// twoTenants is a Loki with a line of alpha's and one of beta's.
func twoTenants(t *testing.T) *lokitest.Loki {
	t.Helper()
	return lokitest.New(t,
		lokitest.Lines(map[string]string{"tenant_id": "alpha", "app": "web"}, noon, "alpha's line"),
		lokitest.Lines(map[string]string{"tenant_id": "beta", "app": "web"}, noon, "beta's line"),
	)
}

func client(t *testing.T, c loki.Config) *loki.Client {
	t.Helper()
	l, err := loki.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func alpha(t testing.TB) tenancy.Scope {
	t.Helper()
	return scope(t, "alpha")
}

func scope(t testing.TB, tenants ...string) tenancy.Scope {
	t.Helper()
	fence, err := tenancy.New(tenancy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := fence.Scope(tenant.Names(tenants), "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func query(t testing.TB, text string) tenancy.Query {
	t.Helper()
	q, err := alpha(t).Query(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func selector(t testing.TB, text string) tenancy.Selector {
	t.Helper()
	s, err := alpha(t).Selector(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func patternSelector(t testing.TB, text string) tenancy.PatternSelector {
	t.Helper()
	s, err := alpha(t).PatternSelector(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func around(t time.Time) loki.Window {
	return loki.Window{Start: t.Add(-time.Hour), End: t.Add(time.Hour)}
}

func rangeOf(t time.Time) loki.RangeParams { return loki.RangeParams{Window: around(t)} }

// read gives the complete body of a response.
func read(t testing.TB, a *loki.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer drop(a.Body)
	all, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// request sends a plain query, and reads its response to the end or to the first error.
func request(ctx context.Context, t testing.TB, c *loki.Client, options loki.RequestOptions) error {
	t.Helper()
	return requestText(ctx, t, c, options, `{app="web"}`)
}

func requestText(ctx context.Context, t testing.TB, c *loki.Client, options loki.RequestOptions, text string) error {
	t.Helper()
	a, err := c.QueryRange(ctx, options, query(t, text), rangeOf(noon))
	if err != nil {
		return err
	}
	defer drop(a.Body)
	_, err = io.Copy(io.Discard, a.Body)
	return err
}

// drop, say and flush leave errors to what the other side sees: that is what the tests look at.
func drop(c io.Closer) { _ = c.Close() }

func say(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }
