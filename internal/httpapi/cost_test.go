package httpapi

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestExpensiveQueriesOfAnotherTenant measures what beta notices of alpha's 20 new texts a second that cost as
// much as is taken: the 99th percentile of its own new queries, beside that without them in the same run. It
// takes a minute, so it runs on request only: LOGFENCE_TEST_LOAD=cost.
func TestExpensiveQueriesOfAnotherTenant(t *testing.T) {
	if os.Getenv("LOGFENCE_TEST_LOAD") != "cost" {
		t.Skip("LOGFENCE_TEST_LOAD is not set to cost")
	}
	g := newGateway(t)
	sent := 0
	p99 := func() time.Duration {
		var took []time.Duration
		for range 600 {
			sent++
			began := time.Now()
			g.get(betaToken, "/api/v1/logs/query", "query", fmt.Sprintf(`{app="api"} |= "%d" | json | status >= 500`, sent))
			took = append(took, time.Since(began))
			time.Sleep(20 * time.Millisecond)
		}
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	alone := p99()
	statuses := map[int]int{}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		every := time.NewTicker(time.Second / 20)
		defer every.Stop()
		var inFlight sync.WaitGroup
		defer inFlight.Wait()
		results := make(chan int, 1024)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case status := <-results:
				statuses[status]++
			case <-every.C:
				text := "{app=~`api|" + strings.Repeat(`\D`, 11) + fmt.Sprint(i) + "`}"
				inFlight.Go(func() { results <- g.get(alphaToken, "/api/v1/logs/labels", "query", text).StatusCode })
			}
		}
	}()
	beside := p99()
	close(stop)
	<-stopped
	t.Logf("beta's p99: %s alone, %s beside alpha's (%.1f times); alpha got %v", alone, beside, float64(beside)/float64(alone), statuses)
	if beside > 2*alone {
		t.Errorf("beta's p99 is %s beside alpha's expensive texts, and %s without: more than twice", beside, alone)
	}
	if statuses[http.StatusUnprocessableEntity] > 0 {
		t.Errorf("alpha's texts are refused, so that they cost nothing: %v", statuses)
	}
}
