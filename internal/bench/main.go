// Command bench sets logfence beside the plainest proxy there is.
//
// Guarantee: every contestant is a process of its own and is asked the same, in short rounds that take
// turns; a figure is the median over the rounds of its ratio to the floor in the same round, so that
// whatever else the machine does weighs on all alike. What a contestant costs is the processor time that
// the kernel books on its process, not the time on the wall.
//
// Not promised here: absolute figures. They are the machine's as much as the program's.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1) //nolint:gocritic // there is nothing left to stop
	}
}

func run(ctx context.Context) error {
	o := options{out: os.Stdout}
	role := flag.String("role", "", "what this process is: upstream or floor; empty runs the comparison")
	upstream := flag.String("upstream", "", "of the floor: whom to ask")
	only := flag.String("only", "", "these parts alone, by commas: 2KB, 200KB, series, 100MB, memory, growth, go")
	profile := flag.String("profile", "", "write a processor profile of logfence under load to this file, and measure nothing")
	check := flag.Bool("check", false, "hold the figures against the budgets, and keep none")
	folder := flag.String("to", "internal/bench", "where figures are kept")
	flag.StringVar(&o.logfence, "logfence", "bin/logfence", "the binary to measure")
	flag.StringVar(&o.before, "before", "", "an earlier binary, to be set beside it")
	flag.IntVar(&o.rounds, "rounds", 9, "how often each contestant has its turn")
	flag.Parse()
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	switch {
	case *role == "upstream":
		return serveUpstream(ctx)
	case *role == "floor":
		return serveFloor(ctx, *upstream)
	case *role != "":
		return fmt.Errorf("unknown role %q", *role)
	case *profile != "":
		return writeProfile(ctx, o, *profile)
	}
	r, err := measure(ctx, o)
	switch {
	case err != nil:
		return err
	case *check:
		return r.check(*folder, os.Stdout)
	case len(o.only) > 0:
		return nil // a part is not kept
	default:
		return r.write(*folder)
	}
}
