package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/refresh"
	"github.com/logfence/logfence/internal/strictjson"
)

const (
	// fetchTimeout bounds a complete fetch, discovery included.
	fetchTimeout = 10 * time.Second
	// maxDocument is the largest document read, unpacked. Real ones have a few kilobytes.
	maxDocument  = 1 << 20
	maxRedirects = 3
)

// A source is where an issuer's keys come from. Its errors hold no URL, which may have a secret in it.
type source interface {
	fetch(ctx context.Context) (*keySet, error)
}

func newSource(ic Issuer, allowHTTP bool, rt http.RoundTripper) source {
	web := &httpFetcher{allowHTTP: allowHTTP, client: &http.Client{Transport: rt, CheckRedirect: sameOrigin}}
	switch {
	case ic.KeysFile != "":
		return fileSource(ic.KeysFile)
	case ic.JWKSURL != "":
		return jwksSource{web: web, url: ic.JWKSURL}
	default:
		return discoverySource{web: web, issuer: ic.URL}
	}
}

// fileSource is a file of keys. Reading it again is what rotates them: package refresh says when it has
// changed, and a token of an unknown key has it read at once.
type fileSource string

func (path fileSource) fetch(context.Context) (*keySet, error) {
	content, err := refresh.ReadFile(string(path), maxDocument)
	if err != nil {
		return nil, err
	}
	set, err := parseKeysFile(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", string(path), err)
	}
	return set, nil
}

// jwksSource is a URL of a JWKS.
type jwksSource struct {
	web *httpFetcher
	url string
}

func (s jwksSource) fetch(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return s.web.keys(ctx, s.url)
}

// discoverySource finds the JWKS by OpenID Connect Discovery 1.0, anew each time: where the keys are
// may change as the keys do.
type discoverySource struct {
	web    *httpFetcher
	issuer string
}

func (s discoverySource) fetch(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	metadata, err := s.web.discover(ctx, s.issuer)
	if err != nil {
		return nil, err
	}
	jwksURI, _ := metadata["jwks_uri"].(string)
	if problem := checkKeysURL(jwksURI, s.web.allowHTTP); problem != "" {
		return nil, fmt.Errorf("discovery: jwks_uri %s", problem)
	}
	return s.web.keys(ctx, jwksURI)
}

// discover reads the issuer's discovery document.
func (w *httpFetcher) discover(ctx context.Context, issuer string) (map[string]any, error) {
	// One slash at the end is not doubled: section 4.1.
	document, err := w.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	metadata, err := strictjson.Object(document)
	if err != nil {
		return nil, fmt.Errorf("discovery: document: %w", err)
	}
	// Exactly, slash included (section 4.3): the keys of another issuer must not become this one's.
	if name, _ := metadata["issuer"].(string); name != issuer {
		return nil, fmt.Errorf("discovery: the document is of issuer %s", shorten(name))
	}
	return metadata, nil
}

// httpFetcher fetches documents with bounds on time, size and redirects.
type httpFetcher struct {
	client    *http.Client
	allowHTTP bool
}

func (w *httpFetcher) keys(ctx context.Context, from string) (*keySet, error) {
	document, err := w.get(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return parseJWKS(document)
}

func (w *httpFetcher) get(ctx context.Context, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	req.Header.Set("User-Agent", "logfence")
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the provider returned status %d", resp.StatusCode)
	}
	return readLimited(resp.Body)
}

func readLimited(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxDocument {
		return nil, fmt.Errorf("more than %d bytes", maxDocument)
	}
	return content, nil
}

// sameOrigin follows redirects within the provider only: another host must come from the configuration
// or the discovery document.
func sameOrigin(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if from := via[0].URL; req.URL.Scheme != from.Scheme || req.URL.Host != from.Host {
		return errors.New("the provider redirects to another host; configure the URL that it redirects to")
	}
	return nil
}

func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// defaultTransport keeps no connections: a fetch every five minutes would only find them dead.
func defaultTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout:  fetchTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
		ForceAttemptHTTP2:      true,
	}
}
