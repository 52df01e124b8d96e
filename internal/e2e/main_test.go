package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/logfence/logfence/internal/demo"
)

// stage is what the tests stand on. It is made once: two Lokis with hours of logs take a while.
type stage struct {
	calendar
	dir      string // temporary
	binary   string // logfence, as it is released
	binaries demo.Binaries
	// configuration is that of every Loki but alone, which others are compared with.
	configuration demo.Configuration
	issuer        *demo.Issuer
	alone         *demo.Loki // alpha's logs alone; queried directly
	mixed         *demo.Loki // alpha's and everybody else's
	gateway       *gateway   // before mixed
	contract      *contract
	metrics       []byte // mixed's, after the tests
}

// on is the stage, for every test; nothing writes to it but TestMain.
var on stage

// TestMain also guarantees that logfence ends in order, and that nothing is left running; see [afterwards] for more.
func TestMain(m *testing.M) {
	if load := os.Getenv(budgetLoadEnv); load != "" {
		if err := runBudgetLoad(load); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: load:", err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	inParallel(8)
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// inParallel runs more tests at once than there are cores, unless the caller has said how many: most
// of the time is spent waiting for Loki, whose parts wait for each other.
func inParallel(n int) {
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if f := flag.Lookup("test.parallel"); !said {
		_ = f.Value.Set(strconv.Itoa(n)) // a number is what it takes
	}
}

func run(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute) // a first build of Loki is long
	defer cancel()
	start := time.Now()
	if err := on.setUp(ctx); err != nil {
		return 1, errors.Join(err, on.tearDown())
	}
	if testing.Verbose() {
		fmt.Fprintf(os.Stderr, "e2e: set up in %s\n", time.Since(start).Round(time.Millisecond))
	}
	code = m.Run()
	_, on.metrics, err = get(context.Background(), on.mixed.URL()+"/metrics")
	err = errors.Join(err, on.tearDown())
	if !afterwards() {
		code = 1
	}
	return code, errors.Join(err, goleak.Find(toxiproxys()...))
}

// toxiproxys are goroutines that toxiproxy 2.12 leaves behind where a connection ends with bytes in flight:
// the tests' own, not logfence's, which is another process.
func toxiproxys() []goleak.Option {
	var all []goleak.Option
	for _, name := range []string{"toxics.(*NoopToxic).Pipe", "toxics.(*TimeoutToxic).Pipe", "toxics.(*LatencyToxic).Pipe", "toxics.(*LimitDataToxic).Pipe", "(*ToxicLink).read"} {
		all = append(all, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/"+name), goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2."+name))
	}
	return all
}

func (s *stage) setUp(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("", "logfence-e2e-"); err != nil {
		return err
	}
	if s.contract, err = loadContract(filepath.Join("..", "..", "openapi.yaml")); err != nil {
		return err
	}
	if s.configuration, err = demo.ConfigurationNamed(os.Getenv("LOGFENCE_TEST_LOKI_CONFIG")); err != nil {
		return err
	}
	if s.binaries, err = demo.Find(ctx, demo.FindOptions{Version: os.Getenv("LOGFENCE_TEST_LOKI_VERSION"), Logcli: true, Progress: os.Stderr}); err != nil {
		return err
	}
	if !s.configuration.In(s.binaries.Version) {
		return fmt.Errorf("the configuration %s is not in Loki %s", s.configuration.Name, s.binaries.Version)
	}
	if s.issuer, err = demo.StartIssuer(ctx); err != nil {
		return err
	}
	s.calendar = newCalendar(time.Now(), s.configuration.StoreOnly)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		s.binary, err = build(ctx, s.dir)
		return err
	})
	g.Go(func() error {
		return seeded(ctx, s.calendar, &s.alone, demo.LokiOptions{Binary: s.binaries.Loki, Args: lokiArgs}, alphas)
	})
	g.Go(func() error {
		o := demo.LokiOptions{Binary: s.binaries.Loki, Args: lokiArgs}
		return seeded(ctx, s.calendar, &s.mixed, s.configuration.Apply(o), alphas, others)
	})
	if err := g.Wait(); err != nil {
		return err
	}
	// On a busy machine, a query may wait longer for a slot than a user would.
	s.gateway, err = startGateway(context.WithoutCancel(ctx), s.binary, s.issuer, s.mixed.URL(), "LOGFENCE_MAX_RANGE=240h", "LOGFENCE_QUEUE_WAIT=1m")
	return err
}

// build builds logfence as the Makefile does; GOFLAGS come from there.
func build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "logfence")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/logfence/logfence/cmd/logfence")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build logfence: %w\n%s", err, out)
	}
	return path, nil
}

// lokiArgs let Loki serve queries that give a series for each line, and not from its caches: out of
// what it keeps of volumes and statistics it guesses those of other spans, differently each time.
var lokiArgs = []string{
	"-querier.max-query-series=5000",
	"-querier.cache-index-stats-results=false", "-querier.cache-volume-results=false",
	"-querier.cache-label-results=false", "-querier.cache-series-results=false",
}

// kind of logs: a function of the span.
type kind func(from, to time.Time) []demo.Stream

// startLoki starts a Loki of the configuration that is tested.
func (s *stage) startLoki(ctx context.Context, o demo.LokiOptions) (*demo.Loki, error) {
	o.Binary = s.binaries.Loki
	return demo.StartLoki(ctx, s.configuration.Apply(o))
}

// seeded starts a Loki and writes its logs. One that ends by itself meanwhile is replaced once: it is not Loki's
// start that is tested. What it said is printed.
func seeded(ctx context.Context, c calendar, l **demo.Loki, o demo.LokiOptions, kinds ...kind) (err error) {
	for range 2 {
		if *l, err = demo.StartLoki(ctx, o); err != nil {
			return err
		}
		if err = seedLoki(ctx, *l, c, kinds...); !errors.Is(err, demo.ErrEnded) {
			return err
		}
		fmt.Fprintln(os.Stderr, "e2e: a Loki is replaced:", err)
		err = errors.Join(err, (*l).Close())
	}
	return err
}

// seedLoki writes old logs that only its store has, and fresh ones that its ingester has.
func seedLoki(ctx context.Context, l *demo.Loki, c calendar, kinds ...kind) error {
	push := func(w window) error {
		for _, k := range kinds {
			if err := l.Push(ctx, w.logs(k)...); err != nil {
				return err
			}
		}
		return pushMistaken(ctx, l, w)
	}
	first, then := []window{c.old}, []window{c.fresh}
	if on.configuration.StoreOnly {
		first, then = append(first, then...), nil
	}
	for _, w := range first {
		if err := push(w); err != nil {
			return err
		}
	}
	if err := l.Flush(ctx); err != nil {
		return err
	}
	// Without the write-ahead log: Loki would read it at its start, and have the old logs in the
	// ingester again.
	l.Stop()
	if err := l.RemoveWAL(); err != nil {
		return err
	}
	if err := l.Restart(ctx); err != nil {
		return err
	}
	for _, w := range then {
		if err := push(w); err != nil {
			return err
		}
	}
	return nil
}

// pushMistaken writes streams that carry alpha's label by mistake into beta's organization, where each tenant has one: only the
// organization keeps them from alpha.
func pushMistaken(ctx context.Context, l *demo.Loki, w window) error {
	if on.configuration.OrgID != "{tenant}" || l == on.alone {
		return nil
	}
	var all []demo.Stream
	for _, s := range w.logs(oddities) {
		all = append(all, marked(s, demo.Alpha))
	}
	return l.PushAs(ctx, demo.Beta, all...)
}

func (s *stage) tearDown() error {
	var errs []error
	if s.gateway != nil {
		errs = append(errs, s.gateway.stop())
	}
	for _, l := range []*demo.Loki{s.alone, s.mixed} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	if s.issuer != nil {
		errs = append(errs, s.issuer.Close())
	}
	httpClient.CloseIdleConnections()
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}
