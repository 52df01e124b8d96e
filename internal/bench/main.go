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
	var o options
	role := flag.String("role", "", "what this process is: upstream or floor; empty runs the comparison")
	upstream := flag.String("upstream", "", "of the floor: whom to ask")
	flag.StringVar(&o.logfence, "logfence", "bin/logfence", "the binary to measure")
	flag.StringVar(&o.before, "before", "", "an earlier binary, to be set beside it")
	flag.IntVar(&o.rounds, "rounds", 9, "how often each contestant has its turn")
	flag.StringVar(&o.only, "only", "", "one workload alone: 2KB, 200KB, 100MB, memory")
	profile := flag.String("profile", "", "write a processor profile of logfence under load to this file, and compare nothing")
	flag.Parse()
	if *profile != "" {
		return writeProfile(ctx, o, *profile)
	}
	switch *role {
	case "":
		return compare(ctx, o)
	case "upstream":
		return serveUpstream(ctx)
	case "floor":
		return serveFloor(ctx, *upstream)
	default:
		return fmt.Errorf("unknown role %q", *role)
	}
}
