// Command logfence-demo is logfence for a first look: a real Loki with the logs of two tenants, an OpenID Connect
// provider with two users to sign in as, and logfence in front of them. None of it is in the logfence binary.
//
// Exit status: 0 after Ctrl-C, 1 for failures, 2 for mistakes in the settings and on the command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/gateway"
	"github.com/logfence/logfence/internal/tenancy"
)

const usage = `Usage: logfence-demo [--loki path]

Starts a real Loki with the logs of two tenants, an OpenID Connect provider with two users to
sign in as, and logfence in front of them. It prints the address of the log explorer, and lines to
paste into a shell. Everything listens on this machine alone and is gone after Ctrl-C. Settings that
the demo does not make itself can be given as for logfence serve.

Loki is the one of --loki or of LOGFENCE_DEMO_LOKI, or the one on PATH, or it is built.

`

// Exit statuses, as logfence has them.
const (
	exitFailure = 1
	exitMistake = 2
)

func main() {
	os.Exit(status())
}

// status is apart from main, so that what it defers is done before the process ends.
func status() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal has its usual effect
	return run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("logfence-demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(flags.Output(), usage)
		flags.PrintDefaults()
	}
	loki := flags.String("loki", "", "`path` of the Loki to start")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return exitMistake // Parse has reported it
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "logfence-demo: %d arguments given; it takes none\n", flags.NArg())
		return exitMistake
	}
	err := serve(ctx, *loki, env, stdout, stderr)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "logfence-demo: %v\n", err)
	var settings *config.Error
	if errors.As(err, &settings) {
		return exitMistake
	}
	return exitFailure
}

// serve runs the demo until the context ends, or until a part of it fails.
func serve(ctx context.Context, loki string, env []string, stdout, stderr io.Writer) (err error) {
	d, err := demo.Start(ctx, demo.Options{Loki: loki, Progress: stderr})
	if err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C while it started
		}
		return fmt.Errorf("start the demo: %w", err)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	addr, adminAddr := freeAddress(ctx, "127.0.0.1:8080"), freeAddress(ctx, "127.0.0.1:9090")
	own := demoSettings{loki: d.Loki.URL(), issuer: d.Issuer.URL(), jwks: d.Issuer.JWKSURL()}
	c, err := config.Load(own.environment(env, addr, adminAddr), "")
	if err != nil {
		return err
	}
	g, err := gateway.New(ctx, c, stderr)
	if err != nil {
		return err
	}
	defer g.Close()
	if err := g.Listen(ctx); err != nil {
		return err
	}
	if err := d.Instructions(stdout, g.PublicURL()); err != nil {
		return err
	}
	return serveUntilFailure(ctx, g, d)
}

// serveUntilFailure ends when the demo ends, too.
func serveUntilFailure(ctx context.Context, g *gateway.Gateway, d *demo.Demo) error {
	running, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	running.Go(func() error {
		defer stop()
		return g.Serve(ctx)
	})
	running.Go(func() error {
		select {
		case err := <-d.Failed():
			return fmt.Errorf("the demo failed: %w", err)
		case <-ctx.Done():
			return nil
		}
	})
	return running.Wait()
}

// demoSettings are what the demo brings.
type demoSettings struct {
	loki, issuer, jwks string // URLs
}

// environment is the caller's with what the demo brings: over the caller's where it must be, under it
// where it may be otherwise.
func (d demoSettings) environment(env []string, addr, adminAddr string) []string {
	must := []string{
		"LOGFENCE_LOKI_URL=" + d.loki,
		"LOGFENCE_JWT_ISSUER=" + d.issuer,
		"LOGFENCE_JWT_JWKS_URL=" + d.jwks,
		"LOGFENCE_JWT_AUDIENCE=" + demo.Audience,
		"LOGFENCE_DANGEROUSLY_ALLOW_HTTP_JWKS=true", // it is plain HTTP on the loopback interface
		"LOGFENCE_TENANT_LABEL=" + tenancy.DefaultLabel,
		"LOGFENCE_TENANT_CLAIM=tenant_id",
		"LOGFENCE_UI=true",
		"LOGFENCE_UI_OIDC_CLIENT_ID=" + demo.ClientID,
	}
	may := []string{"LOGFENCE_ADDR=" + addr, "LOGFENCE_ADMIN_ADDR=" + adminAddr, "LOGFENCE_LOG_FORMAT=text"}
	merged := slices.Clone(env)
	for _, v := range must {
		merged = append(without(merged, v), v)
	}
	for _, v := range may {
		if len(without(merged, v)) == len(merged) {
			merged = append(merged, v)
		}
	}
	for _, name := range []string{"JWT_KEYS_FILE", "SELECTOR_CLAIM", "REQUIRED_SCOPE", "LOKI_ORG_ID", "UI_OIDC_SCOPES", "UI_OIDC_PARAMETERS"} {
		merged = without(merged, config.Prefix+name) // its tokens and its Loki have none of it
	}
	return merged
}

// without leaves out the variable that v sets.
func without(env []string, v string) []string {
	name, _, _ := strings.Cut(v, "=")
	return slices.DeleteFunc(slices.Clone(env), func(e string) bool { return strings.HasPrefix(e, name+"=") })
}

// freeAddress is the address, or one with any free port if that is taken: 9090 is Prometheus's, too.
func freeAddress(ctx context.Context, addr string) string {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return "127.0.0.1:0"
	}
	_ = l.Close() // nobody connected
	return addr
}
