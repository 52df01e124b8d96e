package loki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/logfence/logfence/internal/refresh"
)

// newTransport is tuned for one upstream that many callers share: http.DefaultTransport keeps two idle
// connections per host, so that a dashboard of twenty panels would open eighteen anew each time.
// Protocols are those offered over TLS.
//
// There is no MaxConnsPerHost: requests in flight are bounded by admission, where waiting is fair between
// tenants and counted. A second queue here would be neither, and health checks would wait in it.
func (c *Client) newTransport(protocols ...string) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:       nil, // see the package's documentation
		DialContext: dialer.DialContext,
		// By hand, since certificates are renewed: net/http would keep those that it began with. The
		// dialer's time-out holds for the handshake too.
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			config := c.tls.get().Clone()
			config.NextProtos = protocols
			return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2: true, // where it is among the protocols, and the server offers it
		// A connection that all requests share must not be found dead by each of them.
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		DisableKeepAlives:   c.disableKeepAlives,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 256,
		// Shorter than the idle timeouts in use in front of Loki (nginx 75 s, Loki's own 120 s), so that it is
		// mostly us who closes, and a request rarely meets a connection that is being closed.
		IdleConnTimeout: 60 * time.Second,
		// Compressed responses are passed on as they are: a transparent gzip reader would have them
		// decompressed here and compressed again for the caller.
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// dialTimeout is how long connecting may take, the TLS handshake included.
const dialTimeout = 5 * time.Second

// Protocols offered over TLS.
const (
	protocolHTTP2 = "h2"
	protocolHTTP1 = "http/1.1"
)

// fileValue is a value read from files that are reloaded when they change, or a fixed one.
type fileValue[T any] struct {
	fixed T
	files *refresh.Value[T]
}

func (f *fileValue[T]) get() T {
	if f.files == nil {
		return f.fixed
	}
	return f.files.Get()
}

// reload, stale and close are for values that have files.
func (f *fileValue[T]) reload() error {
	if f.files == nil {
		return nil
	}
	return f.files.Reload()
}

func (f *fileValue[T]) stale() bool { return f.files != nil && f.files.Err() != nil }

func (f *fileValue[T]) close() {
	if f.files != nil {
		f.files.Close()
	}
}

// newFileValue reads files and watches them, unless there are none.
func newFileValue[T any](paths []string, parse func([][]byte) (T, error), changed func(error)) (*fileValue[T], error) {
	if len(paths) == 0 {
		fixed, err := parse(nil)
		return &fileValue[T]{fixed: fixed}, err
	}
	files, err := refresh.Files(paths, parse, refresh.Options{OnChange: changed})
	if err != nil {
		return nil, err
	}
	return &fileValue[T]{files: files}, nil
}

// tlsFiles returns the files whose contents tlsConfig takes.
func (c Config) tlsFiles() []string {
	var paths []string
	if c.CAFile != "" {
		paths = append(paths, c.CAFile)
	}
	if c.CertFile != "" {
		paths = append(paths, c.CertFile, c.KeyFile)
	}
	return paths
}

// Files returns all files that are watched.
func (c Config) Files() []string {
	files := c.tlsFiles()
	if credential, _ := c.credentialFile(); credential != "" {
		files = append(files, credential)
	}
	return files
}

// tlsConfig returns the TLS configuration for Loki.
func (c Config) tlsConfig(contents [][]byte) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.TLSMinVersion == tls13 {
		config.MinVersion = tls.VersionTLS13
	}
	if c.CAFile != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(contents[0]) {
			return nil, errors.New("no certificate of an authority in PEM")
		}
		contents = contents[1:]
	}
	if c.CertFile != "" {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		if err != nil {
			return nil, fmt.Errorf("certificate and key cannot be used: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
