// Command findloki makes sure that there is a real Loki for the demo and the tests, building it if
// need be, and prints where it is; with -version, one of the versions that `make test-lokis` tests. `make` runs it
// before the tests: go test hides what a test says while it runs, and counts a build of minutes against the time
// of the test.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/logfence/logfence/internal/demo"
)

func main() {
	version := flag.String("version", "", "the release of Loki; empty: the one of the demo and the tests, or what this machine has")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	found, err := demo.Find(ctx, demo.FindOptions{Version: *version, Logcli: true, Progress: os.Stderr})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "findloki:", err)
		os.Exit(1)
	}
	fmt.Println(found.Loki)
}
