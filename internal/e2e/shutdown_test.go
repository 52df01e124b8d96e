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
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/logfence/logfence/internal/demo"
)

// fleet is how many clients ask at the same time, each over a connection of its own that it keeps.
const fleet = 32

// TestShutdownLosesNothing guarantees that replicas can be replaced under load: two processes, clients
// that ask one of them until /readyz turns them away, as a balancer has it, and a real SIGTERM. Every
// request is answered whole, nobody sees an error, and the process ends with status 0.
func TestShutdownLosesNothing(t *testing.T) {
	t.Parallel()
	leaving, staying := another(t, "LOGFENCE_DRAIN_DELAY=10s"), another(t)
	var target atomic.Pointer[gateway]
	target.Store(leaving)
	var asked, moved atomic.Int64
	clients, ctx := errgroup.WithContext(t.Context())
	for n := range fleet {
		clients.Go(func() error {
			c := newLoadClient(t)
			defer c.close()
			for moved.Load() < 10*fleet {
				g := target.Load()
				a, err := c.ask(ctx, g.public, n)
				if err != nil {
					return fmt.Errorf("request %d: %w", asked.Load(), err)
				}
				if a.status != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(string(a.body)), "}") {
					return fmt.Errorf("request %d: %d %.200s", asked.Load(), a.status, a.body)
				}
				asked.Add(1)
				if g == staying {
					moved.Add(1)
				}
			}
			return nil
		})
	}
	clients.Go(func() error {
		if err := until(ctx, func() (bool, error) { return asked.Load() > 10*fleet, nil }); err != nil {
			return err
		}
		if err := leaving.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return until(ctx, func() (bool, error) {
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
	t.Logf("%d requests of %d clients, %d of them to the process that stayed: all answered", asked.Load(), fleet, moved.Load())
}

// TestShutdownKeepsWhatBegan guarantees, without any balancer and without delay, that whatever logfence
// began to answer arrives whole: its log has as many answers as the clients have. Otherwise clients see
// their connection refused or closed before a byte of an answer, and ask again elsewhere.
func TestShutdownKeepsWhatBegan(t *testing.T) {
	t.Parallel()
	g := another(t)
	var asked, refused atomic.Int64
	clients, ctx := errgroup.WithContext(t.Context())
	for n := range fleet {
		clients.Go(func() error {
			c := newLoadClient(t)
			defer c.close()
			for {
				a, err := c.ask(ctx, g.public, n)
				switch {
				case err == nil && a.status == http.StatusOK:
					asked.Add(1)
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
		if err := until(ctx, func() (bool, error) { return asked.Load() > 10*fleet, nil }); err != nil {
			return err
		}
		return g.stop()
	})
	if err := clients.Wait(); err != nil {
		t.Error(err)
	}
	if logged := int64(bytes.Count(g.said(), []byte(`"msg":"request"`))); logged != asked.Load() {
		t.Errorf("logfence took %d requests, and %d were answered", logged, asked.Load())
	}
	t.Logf("%d answers of %d clients, all whole; then each was turned away (%d)", asked.Load(), fleet, refused.Load())
}

// until asks again and again, until it is so.
func until(ctx context.Context, so func() (bool, error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if yes, err := so(); yes || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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

// errNotBegun is a connection that ended before a byte of an answer: asking again is safe.
var errNotBegun = errors.New("no answer has begun")

// ask asks something that is neither the same for all clients nor cheap: an answer of some size, read
// to its end.
func (c *loadClient) ask(ctx context.Context, base string, n int) (answer, error) {
	r, err := (request{
		method: http.MethodGet, path: "/api/v1/logs/query",
		params: url.Values{"query": {fmt.Sprintf(`{app=~".+"} != "never %d"`, n)}, "limit": {"200"}, "since": {"10m"}},
	}).build(ctx, base)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	response, err := c.http.Do(r)
	if err != nil {
		return answer{}, errors.Join(ofConnection(err), err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("an answer broke off after %d bytes: %w", len(body), err)
	}
	return answer{response.StatusCode, response.Header, body}, nil
}

// ofConnection tells a connection that was refused or closed from everything else.
func ofConnection(err error) error {
	var op *net.OpError
	if errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || strings.Contains(err.Error(), "server closed idle connection") {
		return errNotBegun
	}
	return nil
}
