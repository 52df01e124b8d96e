package auth

import (
	"context"
	"net/url"
	"sync"
	"time"
)

// Endpoints finds a provider's token endpoint: some have it on another host than the issuer, and the log
// explorer must be allowed to connect to it. It is safe for concurrent use.
type Endpoints struct {
	web    *httpFetcher
	issuer string
	now    func() time.Time

	mu        sync.Mutex
	origin    string
	attempted time.Time
}

const (
	// A page request does not wait for long, and does not contact a provider that is down each time.
	endpointsTimeout = 3 * time.Second
	endpointsRetry   = 30 * time.Second
)

// NewEndpoints returns the Endpoints of an issuer. It sends no request yet.
func NewEndpoints(issuer string, allowHTTP bool) *Endpoints {
	return &Endpoints{
		web:    &httpFetcher{allowHTTP: allowHTTP, transport: defaultTransport()},
		issuer: issuer, now: time.Now,
	}
}

// TokenOrigin is the origin of the token endpoint, such as https://id.example.com, by the last
// successful discovery; empty if there was none. It waits for the provider for a few seconds at most, and only
// from time to time.
func (e *Endpoints) TokenOrigin(ctx context.Context) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	pause := endpointsRetry
	if e.origin != "" {
		pause = refreshInterval
	}
	if !e.attempted.IsZero() && e.now().Sub(e.attempted) < pause {
		return e.origin
	}
	e.attempted = e.now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endpointsTimeout)
	defer cancel()
	metadata, err := e.web.discover(ctx, Issuer{URL: e.issuer}.discovery())
	if err != nil {
		return e.origin // the previous origin is a better guess than none
	}
	endpoint, _ := metadata["token_endpoint"].(string)
	if origin, ok := originOf(endpoint, e.web.allowHTTP); ok {
		e.origin = origin
	}
	return e.origin
}

// originOf is a URL's scheme and host, as a policy takes them: nothing in it can end the directive.
func originOf(raw string, allowHTTP bool) (string, bool) {
	if checkKeysURL(raw, allowHTTP) != "" {
		return "", false
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", false
	}
	for _, r := range u.Host {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == ':', r == '[', r == ']':
		default:
			return "", false
		}
	}
	return u.Scheme + "://" + u.Host, true
}

// Origin is the issuer's own origin; empty if it is not a URL to connect to.
func (e *Endpoints) Origin() string {
	origin, _ := originOf(e.issuer, e.web.allowHTTP)
	return origin
}
