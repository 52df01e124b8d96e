package conformance

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// leastRequests is how many make a run.
const leastRequests = 5000

// lanes run side by side; each has operations of its own, and a server.
const lanes = 4

// TestHostileRequests guarantees that for any request to an operation, by any caller, the response is one that
// the spec declares and no fault of the server's, that nothing of another tenant's is in it, and that all
// LogQL that arrived at Loki was the caller's, confined. And that it was no walkover: each operation was
// met, and did its work for some of the requests.
func TestHostileRequests(t *testing.T) {
	d, err := theSpec()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("lanes", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				var own []operation
				for i, op := range d.operations {
					if i%lanes == lane {
						own = append(own, op)
					}
				}
				g := newGateway(t)
				rapid.Check(t, func(t *rapid.T) {
					op := own[uniform(t, len(own), "operation")]
					r := requests(d, op).Draw(t, "request")
					status, err := g.hold(d, r)
					if err != nil {
						t.Fatalf("%v\nto %s", err, r)
					}
					sent.note(op.id, status)
				})
			})
		}
	})
	if t.Failed() {
		return
	}
	if !complete() {
		t.Skip("only a part of the requests was sent (-short, -run or -rapid.checks): whether every operation did its work is not known")
	}
	for _, op := range d.operations {
		n := sent.statuses[op.id]
		done := n[http.StatusOK] + n[http.StatusSwitchingProtocols]
		if op.id == "lokiRules" {
			done = n[http.StatusNotFound] // there are none, and Loki says it so
		}
		if done == 0 {
			t.Errorf("%s never did its work: %v", op.id, n)
		}
	}
	if sent.total < leastRequests {
		t.Errorf("only %d requests", sent.total)
	}
}

// hold sends a request, and holds what comes of it against what openapi.yaml and logfence promise.
func (g *gateway) hold(d *description, r request) (status int, err error) {
	g.loki.Forget()
	g.may = append(g.may, r.may)
	g.number.Store(int64(len(g.may)))
	a, err := g.send(r)
	if err != nil {
		return 0, err
	}
	var errs []error
	if mayTail(r) {
		errs = append(errs, g.endTails())
	}
	if a.status >= http.StatusInternalServerError && a.status != http.StatusNotImplemented {
		errs = append(errs, fmt.Errorf("a fault: %d %s", a.status, withoutID(a)))
	}
	if _, err := d.check(r, a); err != nil {
		errs = append(errs, err)
	}
	content := string(a.body) + fmt.Sprint(a.header)
	for _, m := range a.messages {
		content += string(m)
	}
	if mark := foreign(content, r.may); mark != "" {
		errs = append(errs, fmt.Errorf("the response holds %s", mark))
	}
	for _, secret := range []string{"token-of-", "127.0.0.1:", "goroutine "} {
		// A response may quote the request.
		if strings.Contains(content, secret) && !strings.Contains(strings.ReplaceAll(r.target+r.body, "Bearer", ""), secret) {
			errs = append(errs, fmt.Errorf("the response contains %q", secret))
		}
	}
	return a.status, errors.Join(append(errs, g.arrivals()...)...)
}

// mayTail reports whether a request may have started a tail.
func mayTail(r request) bool {
	parsed, err := r.parsed()
	return err == nil && strings.HasSuffix(parsed.URL.Path, "/tail")
}

// withoutID is a body by which a failure can be compared with itself.
func withoutID(a reply) string {
	return strings.ReplaceAll(string(a.body), a.header.Get("X-Request-Id"), "…")
}

// reads are the paths of Loki's that may be req.
var reads = []string{
	"query_range", "query", "labels", "series", "index/stats", "index/volume", "index/volume_range", "patterns",
	"detected_fields", "detected_labels", "tail", "status/buildinfo",
}

// arrivals looks at what has arrived at Loki, each time by the caller whose request it was sent for.
func (g *gateway) arrivals() (errs []error) {
	for _, arrived := range g.loki.Requests() {
		number, err := strconv.Atoi(arrived.Header.Get(numberHeader))
		if err != nil || number < 1 || number > len(g.may) {
			errs = append(errs, fmt.Errorf("nobody's request arrived at %s", arrived.Path))
			continue
		}
		may := g.may[number-1]
		if len(may) == 0 {
			errs = append(errs, fmt.Errorf("a stranger's request arrived at %s", arrived.Path))
		}
		operation, ok := strings.CutPrefix(arrived.Path, "/loki/api/v1/")
		named := strings.HasPrefix(operation, "label/") || strings.HasPrefix(operation, "detected_field/")
		known := slices.Contains(reads, operation) || named && strings.HasSuffix(operation, "/values")
		if !ok || !known {
			errs = append(errs, fmt.Errorf("a request arrived at %s", arrived.Path))
		}
		for _, name := range []string{"Authorization", "Cookie", "X-Scope-Orgid", "X-Prom-Label-Policy", "X-Loki-Disable-Pipeline-Wrappers", "Accept"} {
			if len(arrived.Header.Values(name)) > 0 {
				errs = append(errs, fmt.Errorf("the header %s arrived at %s", name, arrived.Path))
			}
		}
		if err := taggedAs(arrived.Header.Get("X-Query-Tags"), may); err != nil {
			errs = append(errs, fmt.Errorf("at %s: %w", arrived.Path, err))
		}
		texts := append(slices.Clone(arrived.Params["query"]), arrived.Params["match[]"]...)
		for _, text := range append(texts, arrived.Params["match"]...) {
			if err := confined(text, may); err != nil {
				errs = append(errs, err)
			}
		}
		if len(texts) == 0 && operation != "status/buildinfo" {
			errs = append(errs, fmt.Errorf("no LogQL arrived at %s", arrived.Path))
		}
	}
	return errs
}

// taggedAs refuses tags that are not logfence's own, or that name other tenants than those that may be read.
func taggedAs(tags string, may []string) error {
	named, ok := strings.CutPrefix(tags, "Source=logfence,tenant=")
	if tags == "" {
		return nil // of a request that reads no logs
	}
	for _, name := range strings.Split(named, " ") {
		ok = ok && slices.Contains(may, name)
	}
	if !ok {
		return fmt.Errorf("the tags %q arrived", tags)
	}
	return nil
}

// tally counts what was sent, by operation and status.
type tally struct {
	mu       sync.Mutex
	total    int
	statuses map[string]map[int]int
}

var sent = tally{statuses: map[string]map[int]int{}}

func (c *tally) note(id string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total++
	if c.statuses[id] == nil {
		c.statuses[id] = map[int]int{}
	}
	c.statuses[id][status]++
}

// report prints what was sent.
func (c *tally) report(w io.Writer) {
	sums := map[int]int{}
	for _, n := range c.statuses {
		for status, times := range n {
			sums[status] += times
		}
	}
	var text strings.Builder
	for _, status := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&text, " %d×%d", status, sums[status])
	}
	fmt.Fprintf(w, "conformance: %d requests of %d operations:%s\n", c.total, len(c.statuses), text.String()) //nolint:errcheck // it is stderr
}
