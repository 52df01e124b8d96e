package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/httpapi"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
)

func (p process) serveCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API, between callers with tokens and Loki",
		Long: `Serve checks all settings, then serves the API on LOGFENCE_ADDR, and health for operators on
LOGFENCE_ADMIN_ADDR, until SIGINT or SIGTERM. Then /readyz says so, connections are taken for
LOGFENCE_DRAIN_DELAY yet, and answers under way have LOGFENCE_DRAIN_TIMEOUT to end; a second signal
ends it at once.

Settings are environment variables. A YAML file given by --config may hold the same keys
("LOGFENCE_LOKI_URL: http://loki:3100"), and the environment wins over it. A file may also hold
several issuers, in place of the JWT_ settings of the one:

  issuers:
    - issuer: https://id.example.com
      audience: logfence
      tenants: [acme, globex]
      # jwks_url: or keys_file:, if not by discovery; tenant_claim:, selector_claim:

With more than one issuer, each states which tenants its tokens may name: tenants: (a list of names),
tenant_pattern: (a regular expression that matches the complete name), or both; or any_tenant: true,
which check and serve warn about. A token that names another tenant is refused.

Durations are written as 30s, 5m or 720h, sizes in bytes or as 16KiB or 1MiB. Settings:

` + config.Help(),
		Example: "  LOGFENCE_LOKI_URL=http://loki:3100 LOGFENCE_JWT_ISSUER=https://id.example.com LOGFENCE_JWT_AUDIENCE=logfence logfence serve",
		Args:    exactly(0, "none"),
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := config.Load(p.env, file)
			if err != nil {
				return err
			}
			return p.serve(command.Context(), c)
		},
	}
	configFlag(c, &file)
	return c
}

// serve serves until the context ends.
func (p process) serve(ctx context.Context, c config.Config) error {
	g, err := newGateway(ctx, c, p.stderr)
	if err != nil {
		return err
	}
	defer g.life.end()
	redirectStandardLog(g.log)
	if ctx.Err() != nil {
		return nil // a signal while it started
	}
	l, err := listen(ctx, c.Addr, c.AdminAddr)
	if err != nil {
		return err
	}
	tuneCollector()
	g.log.InfoContext(ctx, "ready", "addr", l.public.Addr().String(), "admin_addr", l.admin.Addr().String(), "tls", c.TLSCertFile != "")
	return g.serve(ctx, l)
}

// gateway is everything that serves, before it has a port.
type gateway struct {
	log           *slog.Logger
	public, admin http.Handler
	tls           *tls.Config // nil: plain HTTP
	clients       clients
	drain         drain
	life          lifetime // of what newGateway has started
	metrics       *telemetry.Metrics
}

// clients are the bounds of connections that no handler sees.
type clients struct {
	header, idle time.Duration
	maxHeader    int
}

// newGateway wires the packages. stderr is where the log goes, and the audit if it is told to. Both write to it
// at the same time, a line with each call, so it takes calls from several goroutines, as an *os.File does.
func newGateway(ctx context.Context, c config.Config, stderr io.Writer) (_ *gateway, err error) {
	var life lifetime
	defer func() {
		if err != nil {
			life.end()
		}
	}()
	log, lines := openLog(c, stderr, &life) //nolint:contextcheck // the last lines are written after ctx has ended
	fence, err := tenancy.New(c.Tenancy)
	if err != nil {
		return nil, fmt.Errorf("make the fence: %w", err)
	}
	parsing, err := limits.NewFairSemaphore(c.Limits.Parsing)
	if err != nil {
		return nil, fmt.Errorf("make the limits: %w", err)
	}
	limiter, err := openLimits(c, log, &life) //nolint:contextcheck // what it starts lasts until life ends it
	if err != nil {
		return nil, err
	}
	seen, err := openTelemetry(ctx, c, log, stderr, &life)
	if err != nil {
		return nil, err
	}
	seen.metrics.Counter("logfence_log_lines_dropped_total", "Log lines that are in no log, since they came faster than stderr took them or it took none.", nil,
		func() float64 { return float64(lines.Dropped()) })
	addLimits(seen.metrics, limiter)
	client, err := loki.New(c.Loki, loki.WithTransport(seen.recorder.Transport), loki.WithLogger(log))
	if err != nil {
		return nil, fmt.Errorf("make the client of Loki: %w", err)
	}
	life.onEnd(client.Close)
	if len(c.Loki.Files()) > 0 {
		life.onHangup(func() { _ = client.Reload() }) // its log tells
	}
	for _, warning := range append(c.Loki.Warnings(), c.Auth.Warnings()...) {
		log.WarnContext(ctx, warning)
	}
	certificate, err := openCertificate(c, log, seen.metrics, &life)
	if err != nil {
		return nil, err
	}
	if err := checkLoki(ctx, client, log); err != nil {
		return nil, err
	}
	// Its own context: keys are needed until the last answer under way has ended.
	verifier, err := auth.New(context.WithoutCancel(ctx), c.Auth, auth.WithLogger(log))
	if err != nil {
		return nil, fmt.Errorf("make the verifier of tokens: %w", err)
	}
	life.onEnd(verifier.Close)
	server, err := httpapi.New(httpapi.Config{
		Verifier: verifier, Fence: fence, Loki: client, Parsing: parsing, Limits: limiter.Limiter,
		Recorder: seen.recorder, Log: log, Metrics: seen.metrics.Handler(), Profiles: c.PProf,
		Compat: c.LokiCompat, BasicToken: c.BasicToken, CORSOrigins: c.CORSOrigins, TrustedProxies: c.TrustedProxies,
		Explore: explorePage(c), MaxBody: c.MaxBodyBytes, Stall: c.ClientTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("make the server: %w", err)
	}
	seen.register(verifier, client, server)
	life.followHangups()
	return &gateway{
		log: log, public: server.Public(), admin: server.Admin(),
		tls:     certificate,
		clients: clients{header: c.HeaderTimeout, idle: c.IdleTimeout, maxHeader: c.MaxHeaderBytes},
		drain:   drain{delay: c.DrainDelay, timeout: c.DrainTimeout, announce: server.Stopping, endTails: server.Drain},
		life:    life, metrics: seen.metrics,
	}, nil
}

// listeners are the two ports.
type listeners struct {
	public, admin net.Listener
}

func listen(ctx context.Context, addr, adminAddr string) (l listeners, err error) {
	var lc net.ListenConfig
	if l.public, err = lc.Listen(ctx, "tcp", addr); err != nil {
		return listeners{}, fmt.Errorf("listen for the API: %w", err)
	}
	if l.admin, err = lc.Listen(ctx, "tcp", adminAddr); err != nil {
		return listeners{}, errors.Join(fmt.Errorf("listen for the admin handlers: %w", err), l.public.Close())
	}
	return l, nil
}

// serve serves on both ports until the context ends or one of them fails, and then ends in order (see
// drain), health last of all.
func (g *gateway) serve(ctx context.Context, l listeners) error {
	// Requests live on past the signal. What is still under way when they had their time ends with this.
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var leaving leaving
	public, admin := g.newServer(requests, leaving.handler(g.public)), g.newServer(requests, g.admin)

	servers, failed := errgroup.WithContext(ctx)
	servers.Go(func() error {
		if g.tls != nil {
			public.TLSConfig = g.tls
			return ended(public.ServeTLS(l.public, "", "")) // the certificate is in g.tls
		}
		return ended(public.Serve(l.public))
	})
	servers.Go(func() error { return ended(admin.Serve(l.admin)) })
	servers.Go(func() error {
		<-failed.Done()
		leaving.begin()
		g.drain.say()
		g.log.InfoContext(requests, "stopping", "delay", g.drain.delay.String(), "drain", g.drain.timeout.String())
		if ctx.Err() != nil { // a signal; after a listener that broke there is nothing to wait for
			g.drain.wait()
		}
		return errors.Join(g.drain.stop(requests, public, cut), admin.Close())
	})
	if err := servers.Wait(); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	g.log.InfoContext(requests, "stopped")
	return nil
}

func (g *gateway) newServer(ctx context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: g.clients.header, // none on a whole request: it would cut off answers that stream for longer
		IdleTimeout:       g.clients.idle,
		MaxHeaderBytes:    g.clients.maxHeader,
		// `OPTIONS *` is no operation of ours, and is answered as such.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(g.log.Handler(), slog.LevelWarn),
	}
}

// ended is nil for the end that was asked for.
func ended(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
