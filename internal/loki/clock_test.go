package loki_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// paused is a body of so many pieces, and then its end, or nothing.
type paused struct {
	request context.Context
	pieces  int
	stalls  bool
}

func (p *paused) Read(b []byte) (int, error) {
	switch {
	case p.request.Err() != nil:
		return 0, p.request.Err()
	case p.pieces > 0:
		p.pieces--
		b[0] = '}'
		return 1, nil
	case p.stalls:
		<-p.request.Done()
		return 0, p.request.Err()
	default:
		return 0, io.EOF
	}
}

func (p *paused) Close() error { return nil }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestLokisTimeStands guarantees that the time-out of a request does not run while nobody reads its response, that it ends one that stalls, and
// that a response which is read slowly ends, too.
func TestLokisTimeStands(t *testing.T) {
	for name, tt := range map[string]struct {
		pieces int // a second each
		stalls bool
		want   error
		took   time.Duration
	}{
		"a slow reader":        {pieces: 300, want: io.EOF, took: 300 * time.Second},
		"a Loki that stalls":   {pieces: 300, stalls: true, want: loki.ErrTimeout, took: 360 * time.Second},
		"a reader without end": {pieces: 10_000, want: loki.ErrTimeout, took: 600 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c, err := loki.New(loki.Config{URL: "http://127.0.0.1:1", Timeout: time.Minute}, loki.WithTransport(func(http.RoundTripper) http.RoundTripper {
					return roundTripper(func(r *http.Request) (*http.Response, error) {
						return &http.Response{
							StatusCode: http.StatusOK, ProtoMajor: 1, ContentLength: int64(tt.pieces), Header: http.Header{"Content-Type": {"application/json"}},
							Body: &paused{request: r.Context(), pieces: tt.pieces, stalls: tt.stalls},
						}, nil
					})
				}))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				response, err := c.QueryRange(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), rangeOf(noon))
				if err != nil {
					t.Fatal(err)
				}
				defer drop(response.Body)
				for piece := make([]byte, 1); err == nil; {
					if _, err = response.Body.Read(piece); err == nil {
						time.Sleep(time.Second) // of the bubble's clock
					}
				}
				if took := time.Since(began); !errors.Is(err, tt.want) || took < tt.took || took > tt.took+time.Second {
					t.Errorf("%v after %s, want %v after %s", err, took, tt.want, tt.took)
				}
			})
		})
	}
}
