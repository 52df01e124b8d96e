package auth

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/refresh"
	"github.com/logfence/logfence/internal/strictjson"
)

// discovery is where a discovery document is, and of whom it has to be.
type discovery struct {
	url    string
	issuer string // the document's `issuer`
	// accessTokens lets `access_token_issuer` be the issuer instead: AD FS names its issuer of access tokens there.
	accessTokens bool
}

// discovery is where the issuer's document is: OpenID Connect Discovery 1.0, section 4, unless the configuration says
// where. Entra ID has one for all directories.
func (iss Issuer) discovery() discovery {
	d := discovery{issuer: iss.URL, url: iss.DiscoveryURL, accessTokens: iss.DiscoveryURL != "" && iss.DiscoveryIssuer == ""}
	if iss.DiscoveryIssuer != "" {
		d.issuer = iss.DiscoveryIssuer
	}
	if d.url == "" {
		// One slash at the end is not doubled: section 4.1.
		d.url = strings.TrimSuffix(inDirectory(iss.URL, "common"), "/") + "/.well-known/openid-configuration"
	}
	return d
}

// discover reads an issuer's discovery document.
func (w *httpFetcher) discover(ctx context.Context, at discovery) (map[string]any, error) {
	document, err := w.get(ctx, at.url)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	metadata, err := strictjson.Object(bytes.TrimPrefix(document, byteOrderMark))
	if err != nil {
		return nil, fmt.Errorf("discovery: document: %w", err)
	}
	// Exactly, slash included (section 4.3): the keys of another issuer must not become this one's.
	name, _ := metadata["issuer"].(string)
	if access, _ := metadata["access_token_issuer"].(string); name != at.issuer && (!at.accessTokens || access != at.issuer) {
		return nil, fmt.Errorf("discovery: the document is of issuer %s, expected %s; write the issuer as the tokens' iss has it%s",
			shorten(name), shorten(at.issuer), discoveryHint(name))
	}
	return metadata, nil
}

// httpFetcher fetches documents with bounds on time, size and redirects, and with the credentials of one issuer.
type httpFetcher struct {
	transport  http.RoundTripper // where caFile is empty
	caFile     string            // read for each fetch; empty: the system's authorities
	bearerFile string            // read for each fetch; empty: no token is sent
	host       string            // the only one that the token is sent to
	use        string            // of the keys
	allowHTTP  bool
}

func (w *httpFetcher) keys(ctx context.Context, from string) (*keySet, error) {
	document, err := w.get(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return parseJWKS(document, w.use)
}

func (w *httpFetcher) get(ctx context.Context, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	req.Header.Set("User-Agent", "logfence")
	client := &http.Client{Transport: w.transport, CheckRedirect: sameOrigin}
	if w.bearerFile != "" && req.URL.Scheme == "https" && req.URL.Host == w.host {
		token, err := readBearer(w.bearerFile)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		client.CheckRedirect = noRedirect
	}
	if w.caFile != "" {
		roots, err := readAuthorities(w.caFile)
		if err != nil {
			return nil, err
		}
		client.Transport = newTransport(roots)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the provider returned status %d", resp.StatusCode)
	}
	return readLimited(resp.Body)
}

// readBearer reads a token that is alone in its file.
func readBearer(path string) (string, error) {
	content, err := refresh.ReadFile(path, maxDocument)
	if err != nil {
		return "", fmt.Errorf("bearer token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if !isB64Token(token) {
		return "", fmt.Errorf("bearer token: %s: not a token; write it alone on one line", path)
	}
	return token, nil
}

// readAuthorities reads certificates in PEM.
func readAuthorities(path string) (*x509.CertPool, error) {
	content, err := refresh.ReadFile(path, maxDocument)
	if err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("authorities: %s: no certificate in PEM", path)
	}
	return roots, nil
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

// noRedirect follows none: a bearer token goes where the operator has sent it.
func noRedirect(*http.Request, []*http.Request) error {
	return errors.New("the provider redirects, which is not followed with a bearer token; configure the URL that it redirects to")
}

// defaultTransport trusts the system's authorities.
func defaultTransport() http.RoundTripper { return newTransport(nil) }

// newTransport keeps no connections: a fetch every five minutes would only find them dead.
func newTransport(roots *x509.CertPool) http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ResponseHeaderTimeout:  fetchTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
		ForceAttemptHTTP2:      true,
	}
}
