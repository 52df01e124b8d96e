package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

const (
	expensiveEach = time.Second / 20 // alpha's texts, which are as expensive as is taken, and each of them new
	othersEach    = time.Second / 10
)

// TestExpensiveTextsAtLoki guarantees that a real Loki stays responsive while one tenant sends new texts that are as
// expensive as is taken: another tenant's p99 through logfence stays within twice what it was, and Loki itself,
// sent to directly, responds within a second. Both phases alternate, so that what else the machine does falls on
// both. It takes a minute, and the load of other tests would count: it runs with LOGFENCE_TEST_LOAD=cost.
func TestExpensiveTextsAtLoki(t *testing.T) { // alone, as far as that goes
	if os.Getenv("LOGFENCE_TEST_LOAD") != "cost" {
		t.Skip("LOGFENCE_TEST_LOAD is not set to cost")
	}
	l, err := on.startLoki(t.Context(), demo.LokiOptions{Args: liveArgs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for i := range 2 {
		if err := l.Push(t.Context(), floodLogs(i)); err != nil {
			t.Fatal(err)
		}
	}
	g, err := startGateway(t.Context(), on.binary, on.issuer, l.URL(), "LOGFENCE_TENANT_RATE=1000000", "LOGFENCE_TENANT_BURST=1000000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.stop() }()

	var before, during, lokiBefore, lokiDuring phase
	for round := range floodRounds + 1 {
		if round == 1 { // connections are made by now
			before, during, lokiBefore, lokiDuring = phase{}, phase{}, phase{}, phase{}
		}
		sendExpensive(t, g.public, l.URL(), &before, &lokiBefore, false)
		sendExpensive(t, g.public, l.URL(), &during, &lokiDuring, true)
	}
	t.Logf("beta: p99 %s of %d without alpha's texts, %s of %d with them (%.2f times); Loki: p99 %s, %s; alpha: %d served, %d refused",
		before.at(0.99), len(before.took), during.at(0.99), len(during.took), float64(during.at(0.99))/float64(before.at(0.99)),
		lokiBefore.at(0.99), lokiDuring.at(0.99), during.flooded, during.refused)
	if during.at(0.99) > 2*before.at(0.99) {
		t.Errorf("beta's p99 has grown from %s to %s", before.at(0.99), during.at(0.99))
	}
	if lokiDuring.at(0.99) > time.Second {
		t.Errorf("Loki's p99 is %s, and was %s", lokiDuring.at(0.99), lokiBefore.at(0.99))
	}
	if n := before.failed + during.failed + lokiBefore.failed + lokiDuring.failed; n > 0 {
		t.Errorf("%d requests of others failed", n)
	}
	if during.flooded == 0 {
		t.Error("none of alpha's texts reached Loki")
	}
}

var expensiveSent atomic.Int64

// sendExpensive is one phase: beta's requests through logfence, some to Loki itself, and alpha's where it is to send.
func sendExpensive(t *testing.T, gateway, loki string, beta, direct *phase, alphaSends bool) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	defer client.CloseIdleConnections()
	alphaToken, betaToken := tokenOf(t, demo.Claims{Tenant: "flood-0"}), tokenOf(t, demo.Claims{Tenant: "flood-1"})
	ctx, stop := context.WithTimeout(t.Context(), floodPhase)
	defer stop()
	cheap := func() string { return fmt.Sprintf(`{app="flood"} |= "line %d"`, expensiveSent.Add(1)) }
	var senders sync.WaitGroup
	senders.Go(func() {
		sendEvery(ctx, othersEach, func() { beta.send(client, gateway+"/api/v1/logs/query", betaToken, false, cheap()) })
	})
	senders.Go(func() {
		sendEvery(ctx, othersEach, func() { direct.send(client, loki+"/loki/api/v1/query_range", "", false, cheap()) })
	})
	if alphaSends {
		senders.Go(func() {
			sendEvery(ctx, expensiveEach, func() {
				text := "{app=~`flood|" + strings.Repeat(`\D`, 11) + fmt.Sprint(expensiveSent.Add(1)) + "`}"
				beta.send(client, gateway+"/api/v1/logs/query", alphaToken, true, text)
			})
		})
	}
	senders.Wait()
}
