package loki_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/logfence/logfence/internal/loki"
)

// passing notes the paths that pass it, and adds a header.
type passing struct {
	next http.RoundTripper

	mu    sync.Mutex
	paths []string
}

func (p *passing) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.paths = append(p.paths, r.URL.Path)
	p.mu.Unlock()
	r = r.Clone(r.Context())
	r.Header.Set("Traceparent", "00-1-1-01")
	return p.next.RoundTrip(r)
}

func (p *passing) CloseIdleConnections() {
	if closer, ok := p.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// TestWithTransport guarantees that what is put around the transport sees every request, a tail's too,
// and that what it adds arrives.
func TestWithTransport(t *testing.T) {
	fake := twoTenants(t)
	p := &passing{}
	c, err := loki.New(loki.Config{URL: fake.URL}, loki.WithTransport(func(next http.RoundTripper) http.RoundTripper {
		if p.next == nil {
			p.next = next // of requests; the one of tails would do as well
		}
		return p
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	if err := request(t.Context(), t, c, loki.RequestOptions{}); err != nil {
		t.Fatal(err)
	}
	tail, err := c.Tail(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), loki.TailParams{})
	if err != nil {
		t.Fatal(err)
	}
	tail.Close()
	if want := []string{"/loki/api/v1/query_range", "/loki/api/v1/tail"}; !slices.Equal(p.paths, want) {
		t.Errorf("passed %q, want %q", p.paths, want)
	}
	for _, r := range fake.Requests() {
		if got := r.Header.Get("Traceparent"); got != "00-1-1-01" {
			t.Errorf("%s arrived with traceparent %q", r.Path, got)
		}
	}
}
