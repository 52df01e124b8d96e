package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/demo"
)

// addedLeg is a value of service_name that closes the string which Loki prints it into, and adds a leg
// over another service of the same tenant. It reaches nothing that its caller may not read.
func addedLeg(service, pattern string) string {
	const (
		end   = `x"} | unwrap count [10s])) or `
		begin = ` or sum by (decoded_pattern) (sum_over_time({__pattern__="x`
	)
	leg := fmt.Sprintf("sum by (decoded_pattern) (count_over_time({service_name=%q} | label_format decoded_pattern=%q [24h]))", service, pattern)
	return end + leg + begin
}

// TestPatternsPersisted guarantees that no value in a selector becomes part of the query that Loki makes
// of it where patterns are persisted: for old, fresh and both kinds of patterns, on both surfaces, by GET
// and form, the response is the one that a value which means nothing gets.
func TestPatternsPersisted(t *testing.T) {
	t.Parallel()
	needsStoredPatterns(t)
	l, err := on.startLoki(t.Context(), demo.LokiOptions{Args: lokiArgs, PersistPatterns: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, l.Close()) })
	if err := seedLoki(t.Context(), l, on.calendar, alphas, others); err != nil {
		t.Fatal(err)
	}
	g, err := startGateway(t.Context(), on.binary, on.issuer, l.URL(), "LOGFENCE_MAX_RANGE=240h")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, g.stop()) })

	const pattern = "a pattern that no line has"
	value := strconv.Quote(addedLeg("checkout", pattern))
	// The value is one that matters: Loki itself takes the leg in a request for the old patterns.
	direct := request{path: "/loki/api/v1/patterns", params: with(on.old.between(), "step", "30m", "query", `{service_name=`+value+`}`)}
	if a := sendToLoki(t, l, direct); !bytes.Contains(a.body, []byte(pattern)) {
		t.Fatalf("Loki does not take the leg; this test shows nothing: %d %s", a.status, a.body)
	}
	e := endpoint{native: "patterns", loki: "patterns"}
	for _, w := range on.windows() {
		for i, d := range e.routes() {
			for j, of := range []string{`{service_name%s%s}`, `{app="checkout",service_name%s%s}`, `{service_name%s%s,app="checkout"}`, `{service_name%s%s,service_name="checkout"}`} {
				for _, op := range []string{"=", "=~", "!=", "!~"} {
					t.Run(fmt.Sprintf("%s/%d/%d/%s", w.name, i, j, op), func(t *testing.T) {
						t.Parallel()
						a := g.send(t, request{method: d.method, path: d.path, params: with(w.between(), "step", "30m", "query", fmt.Sprintf(of, op, value))})
						unleaked(t, a)
						switch {
						case a.status == http.StatusBadRequest && strings.HasSuffix(op, "~"): // it is no regular expression
						case a.status != http.StatusOK:
							t.Errorf("got %d %s", a.status, a.body)
						case bytes.Contains(a.body, []byte(pattern)):
							t.Errorf("the value became part of Loki's query: %s", a.body)
						case op == "=" && holds(a.body):
							t.Errorf("patterns of a service that does not exist: %s", a.body)
						}
					})
				}
			}
		}
	}
	t.Run("honest", func(t *testing.T) {
		t.Parallel()
		for _, selector := range []string{`{service_name=~".+",env!="staging"}`, `{service_name=~"\\w+",env!="staging"}`} {
			through := request{path: "/api/v1/logs/patterns", params: with(on.fresh.between(), "step", "1m", "query", selector)}
			eventually(t, func() bool { return holds(g.send(t, through).body) }, func() {
				a := g.send(t, through)
				t.Errorf("no patterns in time for %s: %d %s", selector, a.status, a.body)
			})
		}
	})
}

// needsStoredPatterns skips a test of a Loki that stores patterns where there is none.
func needsStoredPatterns(t *testing.T) {
	t.Helper()
	needsIngester(t)
	switch c := on.configuration; {
	case demo.Older(on.binaries.Version, "3.6"):
		t.Skipf("Loki %s cannot store patterns", on.binaries.Version)
	case c.NoPatterns:
		t.Skipf("in the configuration %s, Loki has no patterns", c.Name)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
