// Package loki is the only client of Loki: fenced values in, streamed responses out.
//
// Guarantee: LogQL reaches Loki only as a [tenancy.Query] or a [tenancy.Selector], and the zero value of
// either is refused before anything is sent; no function here takes LogQL as a string. Every request is
// built afresh from what is passed in: nothing of a caller's own request can travel along.
//
// Not promised here: that a fenced value is confined (package tenancy), what a query may cost (package
// limits), or that the response is valid: it is passed on unread, except by [Client.Entries] and [Client.Tail],
// which decode lines and return an error for anything else.
//
// Tenants' queries travel in these requests, so there is one path to Loki, the configured one:
// redirects are not followed, and the proxies of the environment (HTTP_PROXY, HTTPS_PROXY) are not used.
// Those are set for reaching an identity provider outside; a forgotten NO_PROXY would send every tenant's
// logs through a third machine.
package loki

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/logfence/logfence/internal/cpuslots"
)

// Client sends requests to one Loki. It is created once and safe for concurrent use.
type Client struct {
	pool              *pool
	org               orgID
	timeout           time.Duration
	disableKeepAlives bool
	cpuSlots          cpuslots.Slots
	storedPatterns    bool          // Config.DangerouslyStoredPatterns
	actorLevels       *atomic.Int64 // lowered when Loki refuses as many
	requiredLabel     string        // sent in X-Loki-Query-Limits, where ProbeWalls has found that Loki honours it; written before any request
	policyLabel       string        // the tenants' label, where ProbeWalls has found that Loki honours X-Prom-Label-Policy; as requiredLabel
	tls               *fileValue[*tls.Config]
	credential        *fileValue[string] // Authorization header; "": the URL's credentials
	transport         *http.Transport    // used unwrapped by health checks, which are no caller's requests
	roundTripper      http.RoundTripper  // transport, wrapped by WithTransport
	wrap              func(http.RoundTripper) http.RoundTripper
	log               *slog.Logger
}

// Option configures a Client.
type Option func(*Client)

// WithTransport wraps the transport of every request, tails' handshakes included, for example to measure
// them. It may add headers about the origin of a request (traceparent), and none about its content.
func WithTransport(around func(http.RoundTripper) http.RoundTripper) Option {
	return func(c *Client) { c.wrap = around }
}

// WithLogger logs when Loki is down and when it is back, by its URL without credentials.
func WithLogger(log *slog.Logger) Option { return func(c *Client) { c.log = log } }

// New returns a client, or every mistake in c. It sends nothing. The caller closes the client.
func New(c Config, options ...Option) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	upstreams, err := parseURLs(c.URL)
	if err != nil {
		return nil, err
	}
	client := &Client{
		org:               orgID(c.OrgID),
		timeout:           c.Timeout,
		disableKeepAlives: c.DisableKeepAlives,
		cpuSlots:          cpuslots.New(),
		storedPatterns:    c.DangerouslyStoredPatterns,
		actorLevels:       &atomic.Int64{},
		wrap:              func(t http.RoundTripper) http.RoundTripper { return t },
		log:               slog.New(slog.DiscardHandler),
	}
	client.actorLevels.Store(int64(c.ActorLevels))
	for _, option := range options {
		option(client)
	}
	if client.timeout == 0 {
		client.timeout = DefaultTimeout
	}
	client.transport = client.newTransport(protocolHTTP2, protocolHTTP1)
	if err := client.readFiles(c); err != nil {
		return nil, err
	}
	client.roundTripper = client.wrap(wholeTransport{client.transport})
	client.pool = newPool(upstreams, client.probe, client.log)
	// Otherwise each idle connection would fail one request when Loki is back.
	client.pool.onDown = client.CloseIdleConnections
	return client, nil
}

// readFiles reads certificates and credentials, and reloads them when they change.
func (c *Client) readFiles(config Config) (err error) {
	if c.tls, err = newFileValue(config.tlsFiles(), config.tlsConfig, c.filesChanged("certificates for Loki")); err != nil {
		return fmt.Errorf("read certificates: %w", err)
	}
	if c.credential, err = config.readCredential(c.filesChanged("credentials for Loki")); err != nil {
		c.tls.close()
		return fmt.Errorf("read credentials: %w", err)
	}
	return nil
}

// filesChanged logs that files have changed.
func (c *Client) filesChanged(what string) func(error) {
	return func(err error) {
		if err != nil {
			c.log.Error(what+" have changed and cannot be used; the previous ones stay in use", "error", err)
			return
		}
		c.log.Info(what + " have been reloaded")
		c.CloseIdleConnections() // those were made with the old ones
	}
}

// CPUSlots are those in which responses are decoded. Other work on many entries takes them as well.
func (c *Client) CPUSlots() cpuslots.Slots { return c.cpuSlots }

// Reload reads the certificate and credential files now. Errors are logged as well.
func (c *Client) Reload() error { return errors.Join(c.tls.reload(), c.credential.reload()) }

// CloseIdleConnections closes the connections that no request uses.
func (c *Client) CloseIdleConnections() { c.transport.CloseIdleConnections() }

// Close stops the client's own goroutines. Responses and tails in flight continue; no new request is sent.
func (c *Client) Close() {
	c.pool.close()
	c.tls.close()
	c.credential.close()
	c.CloseIdleConnections()
}

// withDeadline bounds one request, from connecting to the last byte of its response. The context's cause is
// [ErrTimeout] when the time has passed; cancel is called when the response has been read.
func (c *Client) withDeadline(ctx context.Context, options RequestOptions) (_ context.Context, cancel context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.timeoutOf(options), ErrTimeout)
}

// timeoutOf is how long a request may take.
func (c *Client) timeoutOf(options RequestOptions) time.Duration {
	if options.Timeout > 0 {
		return options.Timeout
	}
	return c.timeout
}
