package conformance

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// checksPerLane is how many requests each lane of TestHostileRequests sends, unless -rapid.checks sets
// otherwise: more than 5,000 in all.
const checksPerLane = 1500

// TestMain also guarantees that nothing is left running, and that a run prints the seed with which it can be run
// again.
func TestMain(m *testing.M) {
	flag.Parse()
	orElse("rapid.checks", strconv.Itoa(checksPerLane))
	orElse("rapid.seed", strconv.FormatUint(rand.Uint64N(1<<32)+1, 10))
	orElse("rapid.nofailfile", "true") // the seed suffices, and CI prints it
	fmt.Fprintf(os.Stderr, "conformance: -rapid.seed=%s\n", flag.Lookup("rapid.seed").Value)
	code := m.Run()
	sent.report(os.Stderr)
	if code == 0 {
		// net/http waits half a second before it closes a connection that it has given up.
		if err := goleak.Find(goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait")); err != nil {
			fmt.Fprintln(os.Stderr, "conformance:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// complete reports whether this is a complete run, and not a shorter one or a failure that is repeated.
func complete() bool {
	run := flag.Lookup("test.run").Value.String()
	checks, err := strconv.Atoi(flag.Lookup("rapid.checks").Value.String())
	return !testing.Short() && !strings.Contains(run, "/") && err == nil && checks >= checksPerLane
}

// orElse sets a flag that the caller has not set.
func orElse(name, value string) {
	isSet := false
	flag.Visit(func(f *flag.Flag) { isSet = isSet || f.Name == name })
	if !isSet {
		_ = flag.Set(name, value) // a value of the flag's own kind
	}
}
