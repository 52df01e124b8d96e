// Package gateway is the composition root of logfence: it makes every part from the settings, serves both ports,
// reloads what changes, and ends in order.
//
// Guarantee: a started [Gateway] is exactly what `logfence serve` is, and after [Gateway.Close] nothing of
// it is running. A request in flight when the end begins is completed, or cut off visibly.
//
// Not promised here: what a request may see (package tenancy), and what the settings mean (package config).
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/httpapi"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
)

// Run serves until ctx ends, and then ends in order: /readyz returns 503, requests in flight are completed, and what
// exceeds its time is cut off visibly. It is for a process of its own: it takes over the standard library's log
// and tunes the garbage collector. stderr is as for [New].
func Run(ctx context.Context, c config.Config, stderr io.Writer) error {
	g, err := New(ctx, c, stderr)
	if err != nil {
		return err
	}
	defer g.Close()
	redirectStandardLog(g.log)
	if ctx.Err() != nil {
		return nil // a signal while it started
	}
	if err := g.Listen(ctx); err != nil {
		return err
	}
	tuneCollector()
	g.log.InfoContext(ctx, "ready", "addr", g.listeners.public.Addr().String(), "admin_addr", g.listeners.admin.Addr().String(), "tls", c.TLSCertFile != "")
	defer g.managed(ctx)()
	return g.Serve(ctx)
}

// Gateway is everything that serves: [New] makes it, [Gateway.Listen] opens its ports, [Gateway.Serve] serves, and
// [Gateway.Close] ends what New has started.
type Gateway struct {
	log           *slog.Logger
	public, admin http.Handler
	tls           *tls.Config // nil: plain HTTP
	basePath      string      // below which the API is served; empty: the root
	addrs         addrs
	listeners     listeners // closed by Serve, or by Close if it never served
	clients       clients
	drain         drain
	life          *lifecycle // of what New has started
	metrics       *telemetry.Metrics
}

// clients are the bounds of connections that no handler sees.
type clients struct {
	header, idle time.Duration
	maxHeader    int
}

// addrs are the addresses to listen on.
type addrs struct{ public, admin string }

// New wires the packages by the settings, without a port. ctx bounds the start alone; the caller has to close
// what it returns. It fails where a file cannot be read or Loki is too old, not where Loki is away.
//
// stderr is where the log goes, and the audit log where it is configured so. Both write to it at the same time, complete lines with
// each call, so it takes calls from several goroutines, as an *os.File does.
func New(ctx context.Context, c config.Config, stderr io.Writer) (_ *Gateway, err error) {
	life := &lifecycle{}
	defer func() {
		if err != nil {
			life.close()
		}
	}()
	log, lines := openLog(c, stderr, life) //nolint:contextcheck // the last lines are written after ctx has ended
	fence, err := tenancy.New(c.Tenancy)
	if err != nil {
		return nil, fmt.Errorf("make the fence: %w", err)
	}
	parsing, err := limits.NewParseSlots(c.Limits.Parsing, c.Limits.Wait)
	if err != nil {
		return nil, fmt.Errorf("make the limits: %w", err)
	}
	limiter, err := openLimits(c, log, life) //nolint:contextcheck // what it starts lasts until life closes it
	if err != nil {
		return nil, err
	}
	seen, err := openTelemetry(ctx, c, log, stderr, life)
	if err != nil {
		return nil, err
	}
	seen.metrics.Counter("logfence_log_lines_dropped_total", "Log lines that were dropped because stderr did not accept them in time.", nil,
		func() float64 { return float64(lines.Dropped()) })
	addLimits(seen.metrics, limiter)
	client, err := loki.New(c.Loki, loki.WithTransport(seen.recorder.Transport), loki.WithLogger(log))
	if err != nil {
		return nil, fmt.Errorf("make the client of Loki: %w", err)
	}
	life.onCleanup(client.Close)
	if len(c.Loki.Files()) > 0 {
		life.onReload(func() { _ = client.Reload() }) // it logs the outcome
	}
	for _, warning := range c.Warnings() {
		log.WarnContext(ctx, warning)
	}
	certificate, err := openCertificate(c, log, seen.metrics, life)
	if err != nil {
		return nil, err
	}
	atStart, err := lookAtLoki(ctx, client, c, fence.Label(), seen.metrics, log)
	if err != nil {
		return nil, err
	}
	granted, err := openGrants(c, limiter, log, seen.metrics, life)
	if err != nil {
		return nil, err
	}
	limiter.grants.Store(granted)
	// Its own context: keys are needed until the last response in flight has ended.
	verifier, err := auth.New(context.WithoutCancel(ctx), c.Auth, auth.WithLogger(log), auth.WithRules(granted.rules()))
	if err != nil {
		return nil, fmt.Errorf("make the verifier of tokens: %w", err)
	}
	life.onCleanup(verifier.Close)
	if slices.ContainsFunc(c.Auth.Issuers, func(i auth.Issuer) bool { return i.KeysFile != "" }) {
		life.onReload(verifier.Reload)
	}
	server, err := httpapi.New(httpapi.Config{
		Verifier: verifier, Fence: fence, Loki: client, Parsing: parsing, Limits: limiter.Limiter,
		Rules: granted.rules(), RulesErr: granted.err(), Recorder: seen.recorder, Log: log, Metrics: seen.metrics.Handler(), Profiles: c.PProf,
		BasePath: c.BasePath, BasePathStripped: c.BasePathStripped, Compat: c.LokiCompat, BasicToken: c.BasicToken, TokenHeaders: c.Auth.TokenHeaders(), CORSOrigins: c.CORSOrigins, TrustedProxies: c.TrustedProxies,
		Explore: explorePage(c), MaxBody: c.MaxBodyBytes, LokiTails: c.LokiTails, ClientTimeout: c.ClientTimeout, Leeway: c.Auth.Leeway, InflightGrace: c.Auth.InflightGrace,
		LokiWarning: atStart.warning, LokiWalls: atStart.walls,
	})
	if err != nil {
		return nil, fmt.Errorf("make the server: %w", err)
	}
	granted.whenChanged(server.AccessChanged)
	seen.register(verifier, client, server)
	life.reloadOnHangup()
	servedBelow := c.BasePath
	if c.BasePathStripped {
		servedBelow = ""
	}
	return &Gateway{
		log: log, basePath: servedBelow, public: server.Public(), admin: server.Admin(),
		addrs:   addrs{public: c.Addr, admin: c.AdminAddr},
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

// Listen opens both ports.
func (g *Gateway) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", g.addrs.public)
	if err != nil {
		return fmt.Errorf("listen for the API: %w", err)
	}
	admin, err := lc.Listen(ctx, "tcp", g.addrs.admin)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for the admin handlers: %w", err), public.Close())
	}
	g.listeners = listeners{public: &unsentListener{Listener: public, log: g.log}, admin: admin}
	g.life.onCleanup(func() { // an error means that Serve has closed it
		_ = public.Close()
		_ = admin.Close()
	})
	return nil
}

// PublicURL is where this machine reaches the API, without a slash at its end. It is known after Listen.
func (g *Gateway) PublicURL() string {
	return localURL(g.listeners.public.Addr(), g.tls != nil) + g.basePath
}

// AdminURL is where this machine reaches health and metrics. It is known after Listen.
func (g *Gateway) AdminURL() string { return localURL(g.listeners.admin.Addr(), false) }

// localURL is the URL of a port on this machine.
func localURL(addr net.Addr, tls bool) string {
	scheme := "http"
	if tls {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return scheme + "://" + addr.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Close ends what New has started, after Serve: the last lines of log, audit and traces are written.
func (g *Gateway) Close() { g.life.close() }

// Serve serves on both ports until the context ends or one of them fails, and then ends in order (see
// drain), health last of all. Listen comes before it.
func (g *Gateway) Serve(ctx context.Context) error {
	// Requests continue after the signal. What is still in flight at the timeout ends with this.
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var leaving leaving
	public, admin := g.newServer(requests, leaving.handler(g.public)), g.newServer(requests, g.admin)

	servers, failed := errgroup.WithContext(ctx)
	servers.Go(func() error {
		if g.tls != nil {
			public.TLSConfig = g.tls
			return ended(public.ServeTLS(g.listeners.public, "", "")) // the certificate is in g.tls
		}
		return ended(public.Serve(g.listeners.public))
	})
	servers.Go(func() error { return ended(admin.Serve(g.listeners.admin)) })
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

func (g *Gateway) newServer(ctx context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: g.clients.header, // none on a whole request: it would cut off responses that stream for longer
		IdleTimeout:       g.clients.idle,
		MaxHeaderBytes:    g.clients.maxHeader,
		// `OPTIONS *` is none of our operations, and gets the response of one.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(g.log.Handler(), slog.LevelWarn),
	}
}

// ended is nil for the end that was requested.
func ended(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
