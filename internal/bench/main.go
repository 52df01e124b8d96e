// Command bench measures what logfence costs in front of upstreams that users have.
//
// Guarantee: every response through logfence is compared byte for byte with the one through a plain
// httputil.ReverseProxy before anything is measured. Contestants are processes of their own and take turns
// in short rounds; a ratio is formed within a round, so that whatever else the machine does weighs on all
// alike. Cost is the processor time that the kernel books on the contestant's process.
//
// Not promised here: absolute figures. They are the machine's as much as the program's.
//
// The load is vegeta's, the statistics are benchstat's (golang.org/x/perf/benchmath).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// options are the command line's.
type options struct {
	logfence, before, loki string
	rounds                 int
	only                   []string // parts of the run; all if empty
}

func (o options) wants(part string) bool { return len(o.only) == 0 || slices.Contains(o.only, part) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1) // there is nothing left to stop
	}
}

func run(ctx context.Context) error {
	var o options
	role := flag.String("role", "", "what this process is: upstream or proxy; empty runs the bench")
	target := flag.String("upstream", "", "of a proxy: the upstream's URL")
	ca := flag.String("ca", "", "of a proxy: CA certificates (PEM file) of the upstream")
	only := flag.String("only", "", "comma-separated parts to run: nginx, memory, growth, chunks, tails, gzip, http2, loki, fence")
	profile := flag.String("profile", "", "write a CPU profile of logfence under load (-size) in front of nginx to this file, and measure nothing")
	size := flag.String("size", "200KB", "response size for -profile: 2KB, 200KB or 100MB")
	check := flag.Bool("check", false, "fail if a budget is exceeded, and keep no figures")
	to := flag.String("to", "internal/bench/README.md", "where a complete run writes its tables")
	flag.StringVar(&o.logfence, "logfence", "bin/logfence", "the binary to measure")
	flag.StringVar(&o.before, "before", "", "an earlier binary to measure beside it")
	flag.StringVar(&o.loki, "loki", "", "a Loki binary, for the part loki")
	flag.IntVar(&o.rounds, "rounds", 3, "measured rounds of each contestant; six or more give confidence intervals")
	flag.Parse()
	switch {
	case *role == "upstream":
		return serveUpstream(ctx)
	case *role == "proxy":
		return serveProxy(ctx, *target, *ca)
	case *role != "":
		return fmt.Errorf("unknown role %q", *role)
	case o.rounds < 1:
		return fmt.Errorf("-rounds must be at least 1 (got %d)", o.rounds)
	case *only != "":
		o.only = strings.Split(*only, ",")
	case *check:
		o.only = []string{"nginx", "memory", "growth", "tails", "fence"} // the parts that have budgets
	}
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	if *profile != "" {
		return b.profile(ctx, *size, *profile)
	}
	r, err := b.measure(ctx)
	if err != nil {
		return err
	}
	verdicts, ok := r.budgetTable()
	fmt.Println(verdicts)
	switch {
	case *check && !ok:
		return errors.New("a budget is exceeded or was not measured")
	case *check || len(o.only) > 0:
		return nil // a part is not kept
	default:
		return r.write(*to)
	}
}
