package deploy

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/poll"
	"github.com/logfence/logfence/internal/testlog"
)

// TestRollingRestart guarantees that no request fails while a replica behind the documented haproxy stops, with the
// LOGFENCE_DRAIN_DELAY that the configuration names, and that the other one is enough.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	issuer, err := demo.StartIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = issuer.Close() })
	x := &proxied{log: &testlog.Buffer{}, loki: lokitest.New(t, stream("alpha")), url: "https://logs.example.com"}
	if x.token, err = issuer.Token(demo.Claims{Tenant: "alpha"}); err != nil {
		t.Fatal(err)
	}
	stops := startReplica(t, issuer, x.loki.URL, x.log, "LOGFENCE_DRAIN_DELAY=5s")
	stays := startReplica(t, issuer, x.loki.URL, x.log)
	listen, roots := startProxy(t, haproxy, stops, stays)
	x.clients = map[string]*http.Client{"HTTP/1.1": client(t, listen, roots, false), "HTTP/2": client(t, listen, roots, true)}

	ctx, end := context.WithCancel(t.Context())
	var sent atomic.Int64
	var callers sync.WaitGroup
	for protocol := range x.clients {
		for range 2 {
			callers.Go(func() {
				for ; ctx.Err() == nil; sent.Add(1) {
					x.expectOK(t, protocol)
				}
			})
		}
	}
	stops.stop()
	select {
	case err := <-stops.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the replica has not ended within a minute")
	}
	after := sent.Load()
	poll.Wait(t, "requests follow the stop", func() bool { return sent.Load() > after+50 })
	end()
	callers.Wait()
	t.Logf("%d requests, %d of them after the stop", sent.Load(), sent.Load()-after)
}

func (x *proxied) expectOK(t *testing.T, protocol string) {
	response, err := x.get(t, protocol, "/api/v1/logs/labels", nil)
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%d, %v", response.StatusCode, err)
	}
}
