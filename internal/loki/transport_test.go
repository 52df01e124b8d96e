package loki

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// TestTransport guarantees what is set in net/http's transport and shows in no response. The environment cannot
// put a third machine between us and Loki: net/http reads it once a process and never proxies to loopback
// addresses, so that no test over a connection would notice. Compressed responses are not decompressed.
func TestTransport(t *testing.T) {
	t.Parallel()
	transport := new(Client).newTransport()
	if transport.Proxy != nil {
		t.Error("the transport has a proxy")
	}
	if !transport.DisableCompression {
		t.Error("the transport decompresses")
	}
	if transport.MaxIdleConns == 0 || transport.MaxIdleConnsPerHost == 0 || transport.IdleConnTimeout == 0 {
		t.Error("idle connections have no bound")
	}
	if transport.MaxResponseHeaderBytes == 0 || transport.MaxResponseHeaderBytes > 64<<10 {
		t.Errorf("a response's header may have %d bytes", transport.MaxResponseHeaderBytes)
	}
}

// piped makes a client whose connections are pipes to serve, for a test within a bubble of package synctest.
func piped(t *testing.T, serve func(path string, conn net.Conn)) *Client {
	t.Helper()
	c, err := New(Config{URL: "http://loki"})
	if err != nil {
		t.Fatal(err)
	}
	c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			in := bufio.NewReader(there)
			for {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				go io.Copy(io.Discard, r.Body) //nolint:errcheck // there is none
				serve(r.URL.Path, there)
			}
		}()
		return here, nil
	}
	return c
}

func anyQuery(t *testing.T) tenancy.Query {
	t.Helper()
	fence, err := tenancy.New(tenancy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	scope, err := fence.Scope([]tenant.Name{"alpha"}, "")
	if err != nil {
		t.Fatal(err)
	}
	q, err := scope.Query(`{app="web"}`)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

const readyResponse = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// TestSlowResponse guarantees that a request whose first byte is long in coming has its upstream probed, that
// its time-out ends it to the moment, before and within the response, and that a probe that succeeds leaves
// the upstream in use.
func TestSlowResponse(t *testing.T) {
	t.Parallel()
	q := anyQuery(t)
	for name, begin := range map[string]string{
		"before the first byte": "",
		"within the header":     "HTTP/1.1 200 OK\r\nContent-",
		"within the body":       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := piped(t, func(path string, conn net.Conn) {
					if path == "/ready" {
						_, _ = io.WriteString(conn, readyResponse)
						return
					}
					_, _ = io.WriteString(conn, begin)
				})
				defer c.Close()
				began, ended := time.Now(), make(chan error, 1)
				go func() {
					response, err := c.QueryRange(t.Context(), RequestOptions{}, q, RangeParams{})
					if err == nil {
						_, err = io.Copy(io.Discard, response.Body)
						_ = response.Body.Close()
					}
					ended <- err
				}()
				time.Sleep(slowResponse - 1) // of the bubble's clock
				synctest.Wait()
				if n := c.Stats().Upstreams[0].Probes; n != 0 {
					t.Errorf("%d probes before the response is slow", n)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				want := uint64(0)
				if begin == "" {
					want = 1
				}
				if n := c.Stats().Upstreams[0].Probes; n != want {
					t.Errorf("%d probes at the time when a response is slow, want %d", n, want)
				}
				if err := <-ended; !errors.Is(err, ErrTimeout) || time.Since(began) != DefaultTimeout {
					t.Errorf("after %s: %v", time.Since(began), err)
				}
				synctest.Wait()
				if s := c.Stats(); !s.Upstreams[0].Up || s.Retries != 0 || s.Upstreams[0].InFlight != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestDialIsWithinTheDeadline guarantees that connecting is within a request's time, whatever it waits for,
// such as a name.
func TestDialIsWithinTheDeadline(t *testing.T) {
	t.Parallel()
	q := anyQuery(t)
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, nil)
		defer c.Close()
		done := make(chan struct{})
		defer close(done)
		c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			<-done
			return nil, errors.New("the name was never found")
		}
		began := time.Now()
		_, err := c.QueryRange(t.Context(), RequestOptions{Timeout: time.Second}, q, RangeParams{})
		if !errors.Is(err, ErrTimeout) || time.Since(began) != time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// TestCallerLeavesBeforeTheResponse guarantees that a caller that leaves gets its own reason, at once, and that
// its request is not repeated.
func TestCallerLeavesBeforeTheResponse(t *testing.T) {
	t.Parallel()
	q := anyQuery(t)
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, func(string, net.Conn) {})
		defer c.Close()
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		time.AfterFunc(time.Millisecond, cancel)
		_, err := c.QueryRange(ctx, RequestOptions{}, q, RangeParams{})
		if !errors.Is(err, context.Canceled) || time.Since(began) != time.Millisecond || c.Stats().Retries != 0 {
			t.Errorf("after %s: %v; %d retries", time.Since(began), err, c.Stats().Retries)
		}
	})
}
