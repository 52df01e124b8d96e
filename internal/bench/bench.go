package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/perf/benchmath"
)

// The names of contestants in the tables.
const (
	nameDirect   = "upstream"
	nameProxy    = "ReverseProxy"
	nameBefore   = "logfence before"
	nameLogfence = "logfence"
)

// bench is what all parts of a run share.
type bench struct {
	options
	self, dir, keysFile string
	tokens              []string
	now                 time.Time
	started             int // processes, to name their files
}

func newBench(o options) (*bench, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "logfence-bench-")
	if err != nil {
		return nil, fmt.Errorf("create a folder: %w", err)
	}
	b := &bench{options: o, self: self, dir: dir, keysFile: filepath.Join(dir, "keys.json"), now: time.Now()}
	if b.tokens, err = signTokens(b.keysFile, mostTenants); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

// logFile names a new file for the next process.
func (b *bench) logFile() string {
	b.started++
	return filepath.Join(b.dir, fmt.Sprintf("%d.log", b.started))
}

// A part is one upstream and what is measured in front of it.
type part struct {
	name, title string
	start       func(ctx context.Context) (*upstream, error)
	workloads   []workload
}

func (b *bench) parts() []part {
	loki := workload{name: "1 caller", query: `{%sapp="checkout"} |= "error"`, callers: 1, requests: 60, latency: true}
	loki32 := loki
	loki32.name, loki32.callers, loki32.requests = "32 callers", 32, 192
	compressed := sized("200 KB, compressed", "gzip", 8, 200)
	compressed.gzip = true
	one := sized("2 KB, 1 caller", "2KB", 1, 200)
	one.latency = true
	return []part{
		{
			"nginx", "nginx, Content-Length", func(ctx context.Context) (*upstream, error) { return b.startNginx(ctx, false) },
			[]workload{one, sized("2 KB", "2KB", 16, 1000), sized("200 KB", "200KB", 8, 200), sized("100 MB", "100MB", 2, 2)},
		},
		{
			"chunks", "a Go server, 200 KB in chunks", b.startGo,
			[]workload{sized("of 4 KB", "4KB", 8, 200), sized("of 16 KB", "16KB", 8, 200), sized("of 64 KB", "64KB", 8, 200)},
		},
		{"gzip", "a Go server, gzip passed through", b.startGo, []workload{compressed}},
		{
			"http2", "nginx, HTTP/2 with TLS", func(ctx context.Context) (*upstream, error) { return b.startNginx(ctx, true) },
			[]workload{sized("2 KB", "2KB", 16, 500), sized("200 KB", "200KB", 8, 100), sized("100 MB", "100MB", 2, 2)},
		},
		{"loki", "Loki, 200 lines of an hour", b.startLoki, []workload{loki, loki32}},
	}
}

// field is an upstream and the contestants in front of it, in the order of the tables.
func (b *bench) field(ctx context.Context, startUpstream func(context.Context) (*upstream, error)) (all []*contestant, stop func(), err error) {
	u, err := startUpstream(ctx)
	if err != nil {
		return nil, nil, err
	}
	all = []*contestant{{name: nameDirect, url: u.url, caFile: u.caFile}}
	stop = func() {
		for _, c := range all[1:] {
			c.process.stop()
		}
		u.stop()
	}
	proxies := []*contestant{{name: nameProxy, again: func() (*process, error) {
		return start(ctx, b.logFile(), "", nil, b.self, "-role", "proxy", "-upstream", u.url, "-ca", u.caFile)
	}}}
	for _, binary := range []struct{ name, path string }{{nameBefore, b.before}, {nameLogfence, b.logfence}} {
		if binary.path != "" {
			proxies = append(proxies, &contestant{name: binary.name, fences: true, again: func() (*process, error) {
				return b.startLogfence(ctx, binary.path, u)
			}})
		}
	}
	for _, c := range proxies {
		if c.process, err = c.again(); err != nil {
			stop()
			return nil, nil, err
		}
		c.url = "http://" + c.process.addr
		all = append(all, c)
	}
	return all, stop, nil
}

// startLogfence starts one with everything on, an audit log included. Its limits are counted, but set so
// wide that no request is refused.
func (b *bench) startLogfence(ctx context.Context, binary string, u *upstream) (*process, error) {
	log := b.logFile()
	env := []string{
		"LOGFENCE_LOKI_URL=" + u.url, "LOGFENCE_ADDR=127.0.0.1:0", "LOGFENCE_ADMIN_ADDR=127.0.0.1:0",
		"LOGFENCE_JWT_ISSUER=" + issuer, "LOGFENCE_JWT_AUDIENCE=" + audience, "LOGFENCE_JWT_KEYS_FILE=" + b.keysFile,
		"LOGFENCE_AUDIT_LOG=" + strings.TrimSuffix(log, ".log") + ".audit.jsonl",
		"LOGFENCE_TENANT_RATE=100000000", "LOGFENCE_TENANT_BURST=100000000",
		"LOGFENCE_TENANT_MAX_TAILS=20000", "LOGFENCE_TENANT_QUERIES=20000", "LOGFENCE_QUERIES_AT_ONCE=20000", "LOGFENCE_PPROF=true",
	}
	if u.caFile != "" {
		env = append(env, "LOGFENCE_LOKI_CA_FILE="+u.caFile)
	}
	return start(ctx, log, "", env, binary, "serve")
}

// results are all figures of a run.
type results struct {
	names     []string                      // of the contestants
	parts     []part                        // as far as they were measured
	rounds    map[string]map[string][]round // by part and workload, by contestant
	memory    map[string]footprint          // by contestant
	firstByte map[string]float64            // milliseconds later than the upstream's, by contestant
	tenants   []point
	callers   []point
	delivery  float64 // processor microseconds of a line of a live tail
	fence     *fenceCosts
}

// measure runs the parts that are wanted, and prints the tables of each when it is done.
func (b *bench) measure(ctx context.Context) (*results, error) {
	r := &results{rounds: map[string]map[string][]round{}, memory: map[string]footprint{}, firstByte: map[string]float64{}, fence: &fenceCosts{}}
	for _, p := range b.parts() {
		// Memory and growth are measured in front of nginx, the first byte and tails in front of the Go server.
		besides := b.wants("memory") && (p.name == "nginx" || p.name == "chunks") || b.wants("growth") && p.name == "nginx" || b.wants("tails") && p.name == "chunks"
		if !b.wants(p.name) && !besides {
			continue
		}
		if p.name == "loki" && b.loki == "" {
			fmt.Println("No Loki is given (-loki): that part is left out.")
			continue
		}
		if err := b.measurePart(ctx, p, r); err != nil {
			return nil, err
		}
	}
	if len(r.firstByte) > 0 {
		fmt.Println(r.memoryTable())
	}
	if b.wants("fence") {
		var err error
		if r.fence, err = measureFence(ctx); err != nil {
			return nil, err
		}
		fmt.Println(r.fence.tables())
	}
	return r, nil
}

func (b *bench) measurePart(ctx context.Context, p part, r *results) error {
	all, stop, err := b.field(ctx, p.start)
	if err != nil {
		return err
	}
	defer stop()
	r.names = nil
	for _, c := range all {
		r.names = append(r.names, c.name)
	}
	if b.wants(p.name) {
		for _, w := range p.workloads {
			if err := b.sameBytes(ctx, all, w); err != nil {
				return err
			}
			if r.rounds[p.name+w.name], err = b.compare(ctx, all, w); err != nil {
				return err
			}
		}
		r.parts = append(r.parts, p)
		fmt.Println(r.partTable(p))
	}
	for _, c := range all[1:] {
		switch {
		case p.name == "nginx" && b.wants("memory"):
			r.memory[c.name], err = b.measureMemory(ctx, c)
		case p.name == "chunks" && b.wants("memory"):
			r.firstByte[c.name], err = b.firstByte(ctx, all[0], c)
		}
		if err != nil {
			return err
		}
	}
	return b.measureOnly(ctx, p, all[len(all)-1], r)
}

// measureOnly measures what nothing else is compared with.
func (b *bench) measureOnly(ctx context.Context, p part, logfence *contestant, r *results) (err error) {
	switch {
	case p.name == "nginx" && b.wants("growth"):
		err = b.measureGrowth(ctx, logfence, r)
	case p.name == "chunks" && b.wants("tails"):
		if r.delivery, err = b.measureTails(ctx, logfence); err == nil {
			fmt.Printf("A line of a live tail takes %.2f µs of processor time for each of %d viewers.\n\n", r.delivery, benchViewers)
		}
	}
	return err
}

// compare lets the contestants take turns; each round begins with another of them, and the first is to
// warm up.
func (b *bench) compare(ctx context.Context, all []*contestant, w workload) (map[string][]round, error) {
	rounds := map[string][]round{}
	for i := range b.rounds + 1 {
		for j := range all {
			c := all[(i+j)%len(all)]
			r, err := b.load(ctx, c, w, b.tokens[:1])
			if err != nil {
				return nil, err
			}
			if i > 0 {
				rounds[c.name] = append(rounds[c.name], r)
			}
		}
	}
	return rounds, nil
}

// confidence is benchstat's. Fewer than six rounds have no interval of it.
const confidence = 0.95

// sample is a figure of each round, and against that of another contestant in the same round.
func sample(of, against []round, figure func(of, against round) float64) *benchmath.Sample {
	var values []float64
	for i := range min(len(of), len(against)) {
		values = append(values, figure(of[i], against[i]))
	}
	return benchmath.NewSample(values, &benchmath.DefaultThresholds)
}

func median(s *benchmath.Sample) benchmath.Summary {
	if len(s.Values) == 0 {
		return benchmath.Summary{}
	}
	return benchmath.AssumeNothing.Summary(s, confidence)
}
