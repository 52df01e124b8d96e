package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// The tenants that [Logs] writes about, by their name in the label tenant_id. Every line of a
// tenant's holds its name and no other tenant's, so that a leak is seen in the text.
const (
	Alpha = "alpha" // sells coffee
	Beta  = "beta"  // lends bicycles
)

// Platform is held by every line that belongs to no tenant.
const Platform = "platform"

// Logs gives the log streams of the span from (inclusive) to (exclusive), in whole seconds: two
// tenants with several services each and some streams of no tenant, in JSON, logfmt and plain text.
// They are a function of the arguments alone, and those of a span are those of its parts together.
func Logs(from, to time.Time, seed uint64) []Stream {
	var streams []Stream
	for _, s := range sources {
		streams = append(streams, s.logs(from.Truncate(time.Second), to.Truncate(time.Second), seed)...)
	}
	return streams
}

// Trickle goes on where [Logs] ended: at each tick it writes what happened since. It returns nil
// when ctx ends, and an error when Loki takes no more.
func Trickle(ctx context.Context, l *Loki, from time.Time, seed uint64, ticks <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticks:
			if err := l.Push(ctx, Logs(from, now, seed)...); err != nil {
				if ctx.Err() != nil {
					return nil //nolint:nilerr // cut off by the end that we were told of
				}
				return fmt.Errorf("trickle: %w", err)
			}
			from = now
		}
	}
}

// A source is one service of one tenant (or of none) and what it logs.
type source struct {
	labels    map[string]string
	perSecond float64
	levels    bool // whether the level is a label of the stream; Loki finds it in the line otherwise
	line      func(r *rand.Rand, at time.Time, level string) string
}

func (s source) name() string {
	return s.labels["tenant_id"] + "/" + s.labels["app"] + "/" + s.labels["env"]
}

// logs draws each second from a generator of its own, which is what makes the parts of a span fit.
func (s source) logs(from, to time.Time, seed uint64) []Stream {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.name()))
	byLevel := map[string]*Stream{}
	for second := from; second.Before(to); second = second.Add(time.Second) {
		//nolint:gosec // the same lines each time is what is wanted
		r := rand.New(rand.NewPCG(seed^h.Sum64(), uint64(second.Unix())))
		if r.Float64() >= s.perSecond {
			continue
		}
		at := second.Add(time.Duration(r.Int64N(int64(time.Second))))
		level := pick(r, levels)
		key := ""
		if s.levels {
			key = level
		}
		if byLevel[key] == nil {
			byLevel[key] = &Stream{Labels: s.streamLabels(key)}
		}
		byLevel[key].Entries = append(byLevel[key].Entries, Entry{
			Time: at, Line: s.line(r, at, level), Metadata: s.metadata(r),
		})
	}
	var streams []Stream
	for _, level := range []string{"", "debug", "info", "warn", "error"} {
		if stream := byLevel[level]; stream != nil {
			streams = append(streams, *stream)
		}
	}
	return streams
}

func (s source) streamLabels(level string) map[string]string {
	labels := map[string]string{}
	for name, value := range s.labels {
		labels[name] = value
	}
	if level != "" {
		labels["level"] = level
	}
	return labels
}

func (s source) metadata(r *rand.Rand) map[string]string {
	return map[string]string{
		"trace_id": fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()),
		"pod":      s.labels["app"] + "-" + pick(r, []string{"6d5f9c-x2x7k", "6d5f9c-9qmzt", "6d5f9c-lw4hd"}),
	}
}

// levels as often as they come in real life.
var levels = slices.Concat(
	slices.Repeat([]string{"info"}, 16), slices.Repeat([]string{"debug"}, 1),
	slices.Repeat([]string{"warn"}, 2), slices.Repeat([]string{"error"}, 1),
)

var sources = slices.Concat(shop(coffee), shop(bicycles), []source{
	{labels: of(Alpha, "roaster", "jobs", "prod", "machine", "drum-1"), perSecond: 0.1, levels: true, line: roast},
	{labels: of(Beta, "tracker", "jobs", "prod", "station", "harbour"), perSecond: 0.2, levels: true, line: track},
	{labels: of("", "ingress", "edge", "prod"), perSecond: 0.2, line: access(trade{tenant: Platform, path: "healthz"})},
	{labels: of("", "node-agent", "kube-system", "prod"), perSecond: 0.1, levels: true, line: agent},
})

// of makes the labels of a source; without a tenant there is no label for it either.
func of(tenant, app, namespace, env string, more ...string) map[string]string {
	labels := map[string]string{"app": app, "namespace": namespace, "env": env}
	if tenant != "" {
		labels["tenant_id"] = tenant
	}
	for i := 0; i+1 < len(more); i += 2 {
		labels[more[i]] = more[i+1]
	}
	return labels
}

// A trade is what a tenant lives on.
type trade struct {
	tenant, path string
	done, failed string // what checkout says
	goods        []string
}

var (
	coffee = trade{
		tenant: Alpha, path: "orders", done: "order placed", failed: "order refused: out of stock",
		goods: []string{"Yirgacheffe 250 g", "Sidamo 500 g", "Huila 1 kg", "Antigua 250 g", "house espresso 1 kg"},
	}
	bicycles = trade{
		tenant: Beta, path: "rentals", done: "bicycle lent", failed: "lending refused: no bicycle left",
		goods: []string{"city bike", "cargo bike", "tandem", "folding bike", "children's bike"},
	}
)

// shop is the services that both tenants have.
func shop(t trade) []source {
	return []source{
		{labels: of(t.tenant, "gateway", "edge", "prod"), perSecond: 0.5, line: access(t)},
		{labels: of(t.tenant, "checkout", "shop", "prod"), perSecond: 0.3, levels: true, line: checkout(t)},
		{labels: of(t.tenant, "checkout", "shop", "staging"), perSecond: 0.05, levels: true, line: checkout(t)},
		{labels: of(t.tenant, "payments", "shop", "prod"), perSecond: 0.2, levels: true, line: payments(t)},
		{labels: of(t.tenant, "worker", "jobs", "prod"), perSecond: 0.1, levels: true, line: worker(t)},
	}
}

// access is a line as nginx writes it: plain text, and the status tells the level.
func access(t trade) func(*rand.Rand, time.Time, string) string {
	return func(r *rand.Rand, at time.Time, level string) string {
		status := map[string]string{"warn": "404", "error": "502"}[level]
		if status == "" {
			status = pick(r, []string{"200", "200", "201", "304"})
		}
		return fmt.Sprintf(`203.0.113.%d - - [%s] "%s /%s/%d HTTP/1.1" %s %d "https://%s.example/" "Mozilla/5.0" %.3f`,
			r.IntN(250)+1, at.UTC().Format("02/Jan/2006:15:04:05 -0700"), pick(r, []string{"GET", "GET", "POST"}),
			t.path, r.IntN(90000)+10000, status, r.IntN(4000)+200, t.tenant, r.ExpFloat64()/20)
	}
}

// checkout logs JSON.
func checkout(t trade) func(*rand.Rand, time.Time, string) string {
	return func(r *rand.Rand, at time.Time, level string) string {
		line := struct {
			Time     string  `json:"ts"`
			Level    string  `json:"level"`
			Msg      string  `json:"msg"`
			Order    string  `json:"order"`
			Item     string  `json:"item"`
			Customer string  `json:"customer"`
			Total    float64 `json:"total"`
			Took     int     `json:"duration_ms"`
		}{
			at.UTC().Format(time.RFC3339Nano), level, t.done, order(r, t), pick(r, t.goods), customer(r, t),
			float64(r.IntN(9000)+300) / 100, int(r.ExpFloat64() * 40),
		}
		if level == "error" || level == "warn" {
			line.Msg = t.failed
		}
		text, err := json.Marshal(line)
		if err != nil {
			panic(err) // strings and numbers that are finite always can be written
		}
		return string(text)
	}
}

// payments logs logfmt.
func payments(t trade) func(*rand.Rand, time.Time, string) string {
	return func(r *rand.Rand, at time.Time, level string) string {
		msg := map[string]string{"warn": "card declined", "error": "payment provider timed out"}[level]
		if msg == "" {
			msg = "payment captured"
		}
		return fmt.Sprintf("ts=%s level=%s msg=%q order=%s customer=%s amount=%.2f currency=EUR duration=%s",
			at.UTC().Format(time.RFC3339Nano), level, msg, order(r, t), customer(r, t),
			float64(r.IntN(9000)+300)/100, time.Duration(r.ExpFloat64()*float64(120*time.Millisecond)).Round(time.Millisecond))
	}
}

// worker logs sentences.
func worker(t trade) func(*rand.Rand, time.Time, string) string {
	return func(r *rand.Rand, at time.Time, level string) string {
		return fmt.Sprintf("%s %s [worker-%d] receipt for %s sent to %s", at.UTC().Format("2006-01-02 15:04:05.000"),
			strings.ToUpper(level), r.IntN(4), order(r, t), customer(r, t))
	}
}

func roast(r *rand.Rand, at time.Time, level string) string {
	return fmt.Sprintf("ts=%s level=%s msg=%q batch=%s-roast-%d beans=%q celsius=%.1f", at.UTC().Format(time.RFC3339Nano),
		level, "drum temperature", Alpha, r.IntN(90)+10, pick(r, coffee.goods), 180+r.Float64()*45)
}

func track(r *rand.Rand, at time.Time, level string) string {
	return fmt.Sprintf("ts=%s level=%s msg=%q bicycle=%s-bike-%d lat=%.5f lon=%.5f battery=%d%%", at.UTC().Format(time.RFC3339Nano),
		level, "position", Beta, r.IntN(900)+100, 53.5+r.Float64()/10, 9.9+r.Float64()/10, r.IntN(100))
}

func agent(r *rand.Rand, at time.Time, level string) string {
	return fmt.Sprintf("ts=%s level=%s msg=%q node=%s-node-%d", at.UTC().Format(time.RFC3339Nano), level,
		pick(r, []string{"image pulled", "volume mounted", "probe succeeded", "certificate renewed"}), Platform, r.IntN(5))
}

func order(r *rand.Rand, t trade) string { return fmt.Sprintf("%s-%d", t.tenant, r.IntN(90000)+10000) }

func customer(r *rand.Rand, t trade) string {
	return pick(r, []string{"ida", "jonas", "mei", "omar", "priya", "tomás"}) + "@" + t.tenant + ".example"
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
