package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/logfence/logfence/internal/refresh"
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
	web := newFetcher(ic, allowHTTP, rt)
	switch {
	case ic.KeysFile != "":
		return fileSource{path: ic.KeysFile, use: ic.keyUse()}
	case ic.JWKSURL != "":
		return jwksSource{web: web, url: ic.JWKSURL}
	default:
		return discoverySource{web: web, at: ic.discovery()}
	}
}

// newFetcher returns what fetches an issuer's documents, with the credentials of its settings.
func newFetcher(ic Issuer, allowHTTP bool, rt http.RoundTripper) *httpFetcher {
	web := &httpFetcher{allowHTTP: allowHTTP, use: ic.keyUse(), caFile: ic.CAFile, bearerFile: ic.BearerTokenFile, transport: rt}
	if u, err := url.Parse(ic.fetchedFrom()); err == nil {
		web.host = u.Host
	}
	return web
}

// fileSource is a file of keys. Reading it again is what rotates them: package refresh reports when it has
// changed, and a token of an unknown key has it read at once.
type fileSource struct{ path, use string }

func (s fileSource) fetch(context.Context) (*keySet, error) {
	content, err := refresh.ReadFile(s.path, maxDocument)
	if err != nil {
		return nil, err
	}
	set, err := parseKeysFile(content, s.use)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
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
	web *httpFetcher
	at  discovery
}

func (s discoverySource) fetch(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	metadata, err := s.web.discover(ctx, s.at)
	if err != nil {
		return nil, err
	}
	jwksURI, _ := metadata["jwks_uri"].(string)
	if problem := checkKeysURL(jwksURI, s.web.allowHTTP); problem != "" {
		return nil, fmt.Errorf("discovery: jwks_uri %s", problem)
	}
	return s.web.keys(ctx, jwksURI)
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

func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
