package e2e

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

const (
	timingRequests = 1000
	onlyOthers     = "tracker" // a value of the label app that beta has and alpha has not
	nobodys        = "trackez" // one of the same length that nobody has
)

// TestTiming measures how well response times tell a label value that only another tenant has from one that
// nobody has. It runs on request, and prints the area under the curve: 0.5 tells nothing, 1 tells always.
// docs/isolation.md has the figures.
func TestTiming(t *testing.T) {
	if os.Getenv("LOGFENCE_TEST_LOAD") != "timing" {
		t.Skip("takes minutes; set LOGFENCE_TEST_LOAD=timing")
	}
	for _, w := range []window{on.fresh, on.old} {
		t.Run(w.name, func(t *testing.T) {
			for _, way := range []struct{ name, base, selector string }{
				{"through logfence", on.gateway.public, `{app=%q}`},
				{"Loki alone", on.mixed.URL(), `{tenant_id="alpha",app=%q}`}, // what logfence sends
			} {
				theirs, none := timings(t, func(app string) *http.Request {
					r, err := request{method: http.MethodGet, path: "/loki/api/v1/query_range", params: with(w.between(), "query", fmt.Sprintf(way.selector, app))}.build(t.Context(), way.base)
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("Authorization", "Bearer "+tokenOf(t, demo.Claims{Tenant: demo.Alpha}))
					return r
				})
				t.Logf("%s, %s: AUC %.3f; median %s for a value that only others have, %s for one that nobody has; %d requests each",
					w.name, way.name, auc(theirs, none), theirs[len(theirs)/2].Round(time.Microsecond), none[len(none)/2].Round(time.Microsecond), timingRequests)
			}
		})
	}
}

// timings are how long requests for either value took, sorted. They alternate in random order, so that whatever
// else the machine does meets both alike.
func timings(t *testing.T, of func(app string) *http.Request) (theirs, none []time.Duration) {
	t.Helper()
	once := func(app string) time.Duration {
		req := of(app)
		start := time.Now()
		r, err := do(req)
		took := time.Since(start)
		if err != nil || r.status != http.StatusOK || holds(r.body) {
			t.Fatalf("%s: %d %.300s %v", app, r.status, r.body, err)
		}
		return took
	}
	for range 50 {
		once(onlyOthers)
		once(nobodys)
	}
	for range timingRequests {
		if rand.IntN(2) == 0 {
			theirs, none = append(theirs, once(onlyOthers)), append(none, once(nobodys))
		} else {
			none, theirs = append(none, once(nobodys)), append(theirs, once(onlyOthers))
		}
	}
	slices.Sort(theirs)
	slices.Sort(none)
	return theirs, none
}

// auc is the probability that a random one of a is longer than a random one of b; ties count half.
func auc(a, b []time.Duration) float64 {
	var wins float64
	for _, x := range a {
		i, found := slices.BinarySearch(b, x)
		wins += float64(i)
		if found {
			j, _ := slices.BinarySearchFunc(b, x, func(e, x time.Duration) int { return cmp.Or(cmp.Compare(e, x), -1) })
			wins += float64(j-i) / 2
		}
	}
	return wins / float64(len(a)*len(b))
}

// TestAUC guarantees the measure that TestTiming prints.
func TestAUC(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b []time.Duration
		want float64
	}{
		{[]time.Duration{1, 2}, []time.Duration{3, 4}, 0},
		{[]time.Duration{3, 4}, []time.Duration{1, 2}, 1},
		{[]time.Duration{1, 2, 2, 3}, []time.Duration{1, 2, 2, 3}, 0.5},
		{[]time.Duration{2}, []time.Duration{1, 2, 2, 3}, 0.5},
	} {
		if got := auc(tt.a, tt.b); got != tt.want {
			t.Errorf("auc(%v, %v) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}
