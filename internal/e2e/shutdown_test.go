package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/poll"
)

// fleet is how many clients send requests at the same time, each over a connection of its own that it keeps; rounds is
// how many responses each has before something happens, and after it.
const (
	fleet  = 32
	rounds = 3
)

// TestShutdownLosesNothing guarantees that replicas can be replaced under load: two processes, clients
// that send to one of them until its /readyz fails, as a load balancer does, and a real SIGTERM. Every
// response is complete, no client sees an error, and the process ends with status 0.
func TestShutdownLosesNothing(t *testing.T) {
	t.Parallel()
	leaving, staying := another(t, "LOGFENCE_DRAIN_DELAY=10s"), another(t)
	handOver(t, leaving, staying)
}

// handOver stops a process under load, whose clients go to another one as a balancer does: once /readyz says that it
// stops. Every request is served.
func handOver(t *testing.T, leaving, staying *gateway) {
	t.Helper()
	var target atomic.Pointer[gateway]
	target.Store(leaving)
	var served, moved atomic.Int64
	clients, ctx := errgroup.WithContext(t.Context())
	for n := range fleet {
		clients.Go(func() error {
			c := newLoadClient(t)
			defer c.close()
			for moved.Load() < rounds*fleet {
				g := target.Load()
				a, err := c.send(ctx, g.public, n)
				if err != nil {
					return fmt.Errorf("request %d: %w", served.Load(), err)
				}
				if a.status != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(string(a.body)), "}") {
					return fmt.Errorf("request %d: %d %.200s", served.Load(), a.status, a.body)
				}
				served.Add(1)
				if g == staying {
					moved.Add(1)
				}
			}
			return nil
		})
	}
	clients.Go(func() error {
		if err := poll.Until(ctx, func() (bool, error) { return served.Load() > rounds*fleet, nil }); err != nil {
			return err
		}
		if err := leaving.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return poll.Until(ctx, func() (bool, error) {
			status, said, err := get(ctx, leaving.admin+"/readyz")
			if err != nil {
				return false, fmt.Errorf("/readyz after SIGTERM: %w", err)
			}
			if status == http.StatusServiceUnavailable && strings.Contains(string(said), "stopping") {
				target.Store(staying)
				return true, nil
			}
			return false, nil
		})
	})
	if err := clients.Wait(); err != nil {
		t.Error(err)
	}
	if err := leaving.ended(); err != nil {
		t.Error(err)
	}
	t.Logf("%d requests of %d clients, %d of them to the process that stayed: all served", served.Load(), fleet, moved.Load())
}

// TestShutdownKeepsWhatBegan guarantees, without any balancer and without delay, that whatever logfence
// began to send arrives complete: its log has as many responses as the clients have. Otherwise clients see
// their connection refused or closed before a byte of a response, and retry elsewhere.
func TestShutdownKeepsWhatBegan(t *testing.T) {
	t.Parallel()
	g := another(t)
	var served, refused atomic.Int64
	clients, ctx := errgroup.WithContext(t.Context())
	for n := range fleet {
		clients.Go(func() error {
			c := newLoadClient(t)
			defer c.close()
			for {
				a, err := c.send(ctx, g.public, n)
				switch {
				case err == nil && a.status == http.StatusOK:
					served.Add(1)
				case err == nil:
					return fmt.Errorf("%d %.200s", a.status, a.body)
				case !errors.Is(err, errNotBegun):
					return err
				default:
					refused.Add(1)
					return nil
				}
			}
		})
	}
	clients.Go(func() error {
		if err := poll.Until(ctx, func() (bool, error) { return served.Load() > rounds*fleet, nil }); err != nil {
			return err
		}
		return g.stop()
	})
	if err := clients.Wait(); err != nil {
		t.Error(err)
	}
	if logged := int64(bytes.Count(g.said(), []byte(`"msg":"request"`))); logged != served.Load() {
		t.Errorf("logfence took %d requests, and %d were served", logged, served.Load())
	}
	t.Logf("%d responses of %d clients, all complete; then each was refused (%d)", served.Load(), fleet, refused.Load())
}

// another is a gateway of the test's own, before the Loki of all.
func another(t *testing.T, settings ...string) *gateway {
	t.Helper()
	g, err := startGateway(t.Context(), on.binary, on.issuer, on.mixed.URL(), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
	})
	return g
}

// loadClient is a client with a connection of its own.
type loadClient struct {
	token string
	http  *http.Client
	idle  func()
}

func newLoadClient(t *testing.T) *loadClient {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	return &loadClient{token: tokenOf(t, demo.Claims{Tenant: demo.Alpha}), http: &http.Client{Transport: transport}, idle: transport.CloseIdleConnections}
}

func (c *loadClient) close() { c.idle() }

// errNotBegun is a connection that ended before a byte of a response: a retry is safe.
var errNotBegun = errors.New("no response has begun")

// send requests something that is neither the same for all clients nor cheap: a response of some size, read
// to its end.
func (c *loadClient) send(ctx context.Context, base string, n int) (response, error) {
	r, err := (request{
		method: http.MethodGet, path: "/api/v1/logs/query",
		params: url.Values{"query": {fmt.Sprintf(`{app=~".+"} != "never %d"`, n)}, "limit": {"200"}, "since": {"10m"}},
	}).build(ctx, base)
	if err != nil {
		return response{}, err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(r)
	if err != nil {
		return response{}, errors.Join(ofConnection(err), err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return response{}, fmt.Errorf("a response broke off after %d bytes: %w", len(body), err)
	}
	return response{resp.StatusCode, resp.Header, body}, nil
}

// ofConnection tells a connection that was refused or closed from everything else.
func ofConnection(err error) error {
	var op *net.OpError
	if errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || strings.Contains(err.Error(), "server closed idle connection") {
		return errNotBegun
	}
	return nil
}
