package e2e

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// seed makes the same lines at each run; only their times move with the clock, because Loki responds by
// them: its ingester what is fresh, its store what is old.
const seed = 20260115

// mark is in every line of others, in some of their labels' names and values and in their structured
// metadata, and in nothing of alpha's or of a query: a response that holds it has leaked. Where others'
// streams would only be counted, the comparison with a Loki without them tells.
const mark = "leakmark"

// marks are what no response of alpha's holds: the mark, and words of the others' logs that neither
// alpha's lines nor the tests' queries use.
var marks = []string{mark, "bicycle", "rentals", "kube-system", "harbour", "platform-node"}

// tenantLabel is the label that tells tenants apart.
const tenantLabel = "tenant_id"

// lookAlikes are tenants whose names a careless comparison would take for alpha's.
var lookAlikes = []string{"alpha-2", "ALPHA", "alphabeta", "alpha|beta", "alph", " alpha", "alpha\n"}

// window is a span of time that is requested.
type window struct {
	name       string
	start, end time.Time
	step       time.Duration
	// span and steps are what `$span` in a query stands for, in an instant query at the end and at each
	// step of a range query: long enough to reach back to the window's data.
	span, steps string
}

// calendar says when the logs were written.
type calendar struct {
	old, fresh window // where the logs are
	across     window // from the beginning of the one to the end of the other
}

// newCalendar puts the old logs where Loki no longer queries its ingester (older than three hours), and
// the fresh ones where it queries both. All times are whole minutes of the past: the same request sent twice has
// one response.
//
// Where only the store is queried, the fresh ones are three hours older: a Loki that is one process does not look into its store
// for what its ingester may still have, which is 2h41m by default (3.7.8, pkg/loki/modules.go, calculateMaxLookBack), with
// querier.query_store_only as without.
func newCalendar(now time.Time, storeOnly bool) calendar {
	m := now.Truncate(time.Minute)
	at := func(d time.Duration) time.Time { return m.Add(-d) }
	var older time.Duration
	if storeOnly {
		older = 3 * time.Hour
	}
	return calendar{
		old:    window{"store", at(6 * time.Hour), at(4 * time.Hour), 10 * time.Minute, "20m", "20m"},
		fresh:  window{"ingester", at(older + 14*time.Minute), at(older + 2*time.Minute), 2 * time.Minute, "15m", "5m"},
		across: window{"both", at(6 * time.Hour), at(time.Minute), 30 * time.Minute, "7h", "1h"},
	}
}

func (c calendar) windows() []window { return []window{c.fresh, c.old, c.across} }

// spans are the parts of a window that hold logs: all of a short one, both ends of a long one.
func (w window) spans() [][2]time.Time {
	const most = 12 * time.Minute
	if w.end.Sub(w.start) <= most {
		return [][2]time.Time{{w.start, w.end}}
	}
	return [][2]time.Time{{w.start, w.start.Add(most / 2)}, {w.end.Add(-most / 2), w.end}}
}

// logs are the streams of one kind in a window.
func (w window) logs(streams func(from, to time.Time) []demo.Stream) []demo.Stream {
	var all []demo.Stream
	for _, s := range w.spans() {
		all = append(all, streams(s[0], s[1])...)
	}
	return all
}

// alphas are alpha's logs: those of the demo, and lines that are hard on a fence.
func alphas(from, to time.Time) []demo.Stream {
	var all []demo.Stream
	for _, s := range demo.Logs(from, to, seed) {
		if s.Labels[tenantLabel] == demo.Alpha {
			all = append(all, plain(s))
		}
	}
	return append(all, oddities(from, to)...)
}

// plain is a stream with few traces: each of them is a series in many metric queries.
func plain(s demo.Stream) demo.Stream {
	for i, e := range s.Entries {
		s.Entries[i].Metadata = map[string]string{"pod": e.Metadata["pod"], "trace_id": e.Metadata["trace_id"][:1]}
	}
	return s
}

// others are everybody else's: the demo's second tenant and its streams without a tenant, and for each
// look-alike the very streams of alpha under the other name. Among them are streams that say alpha
// everywhere but in the label.
func others(from, to time.Time) []demo.Stream {
	var all []demo.Stream
	for _, s := range demo.Logs(from, to, seed) {
		if s.Labels[tenantLabel] != demo.Alpha {
			all = append(all, marked(plain(s), s.Labels[tenantLabel]))
		}
	}
	for _, name := range append([]string{demo.Beta, ""}, lookAlikes...) {
		for _, s := range oddities(from, to) {
			all = append(all, marked(s, name))
		}
	}
	for _, s := range alphas(from, to) {
		if s.Labels["app"] == "checkout" && s.Labels["env"] == "prod" {
			for i, name := range append([]string{""}, lookAlikes...) {
				all = append(all, marked(s, name))
				loud := marked(s, name)
				loud.Labels[fmt.Sprintf("%s_%d", mark, i)] = mark
				loud.Labels["namespace"] = mark + "-space"
				all = append(all, loud)
			}
		}
	}
	return append(all, pretender(from, to))
}

// marked is a stream under another tenant's name, with the mark in each line.
func marked(s demo.Stream, tenant string) demo.Stream {
	labels := maps.Clone(s.Labels)
	delete(labels, tenantLabel)
	if tenant != "" {
		labels[tenantLabel] = tenant
	}
	other := demo.Stream{Labels: labels}
	for _, e := range s.Entries {
		metadata := maps.Clone(e.Metadata)
		if metadata == nil {
			metadata = map[string]string{}
		}
		metadata[mark+"_metadata"] = mark
		other.Entries = append(other.Entries, demo.Entry{Time: e.Time, Line: markedLine(e.Line), Metadata: metadata})
	}
	return other
}

// markedLine keeps JSON JSON, so that the mark becomes a field's name and value.
func markedLine(line string) string {
	if rest, ok := strings.CutPrefix(line, "{"); ok && strings.HasSuffix(line, "}") {
		return `{"` + mark + `_field":"` + mark + `",` + rest
	}
	return line + " " + mark + "_field=" + mark
}

// pretender has no tenant's label, and claims alpha in every other place.
func pretender(from, to time.Time) demo.Stream {
	s := demo.Stream{Labels: map[string]string{"app": "checkout", "Tenant_id": demo.Alpha, "tenant": demo.Alpha, mark: mark}}
	for at := from; at.Before(to); at = at.Add(2 * time.Minute) {
		s.Entries = append(s.Entries, demo.Entry{
			Time: at, Line: `{"tenant_id":"alpha","` + mark + `_field":"` + mark + `"}`,
			Metadata: map[string]string{tenantLabel: demo.Alpha},
		})
	}
	return s
}

// oddities are lines of alpha's that name other tenants, look like LogQL, or are hard to parse.
func oddities(from, to time.Time) []demo.Stream {
	stream := func(kind string) demo.Stream {
		return demo.Stream{Labels: map[string]string{tenantLabel: demo.Alpha, "app": "oddities", "kind": kind, "cut": "größer"}}
	}
	kinds := []struct {
		name  string
		lines []string
	}{
		{"claims", []string{
			`{"tenant_id":"beta","app":"elsewhere","size":"20KiB","took":"1m2s","n":7,"deep":{"list":[1,{"x":"here"}],"flag":true}}`,
			`tenant_id=beta level=warn size=3MB took=250ms n=11 msg="} or {tenant_id=\"beta\"}"`,
			`{tenant_id="beta"} |= "x" # not a query`,
		}},
		{"broken", []string{
			`{"half": "a json`, `key="no end`, "", "two\nlines\tand\u00a0spaces ☕", "`{`\"{\"'}'", "\\x00 %s %d {{ .x }}",
		}},
		{"colored", []string{"\x1b[31mred\x1b[0m alert code=500 took=3s", "\x1b[1;32mgreen\x1b[0m fine code=200 took=15ms"}},
		{"packed", []string{`{"_entry":"inner line code=7","host":"h1","tenant_id":"beta"}`, `{"_entry":"{\"n\":3}","host":"h2"}`}},
		{"addresses", []string{
			"10.0.0.1 GET /a 200 12", "192.168.4.5 POST /b 500 340", "2001:db8::1 GET /c 404 7", "addr=10.1.2.3 path=/d code=200 ms=5",
		}},
	}
	var all []demo.Stream
	for n, k := range kinds {
		s := stream(k.name)
		i := 0
		for at := from; at.Before(to); at = at.Add(20 * time.Second) {
			// No two lines have the same time: which of them a limit cuts off, Loki chooses differently in each configuration.
			e := demo.Entry{Time: at.Add(time.Duration(i)*time.Microsecond + time.Duration(n)), Line: k.lines[i%len(k.lines)]}
			if i%2 == 0 {
				e.Metadata = map[string]string{tenantLabel: demo.Beta, "trace_id": fmt.Sprintf("%032x", i), "attempt": fmt.Sprint(i % 3)}
			}
			s.Entries = append(s.Entries, e)
			i++
		}
		all = append(all, s)
	}
	return all
}
