package loki

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/fielderror"
)

// DefaultTimeout is how long a request may take where [Config] has none.
const DefaultTimeout = 60 * time.Second

// Config configures a [Client].
type Config struct {
	// URL is Loki's base URL, such as http://loki:3100, up to where its own paths (/loki/api/v1/…) begin;
	// a path in it is kept. It has no default: guessing could show one installation's logs to another's
	// tenants. User name and password in it are sent as basic authentication and never shown. Several URLs
	// of the same Loki, such as its query frontends, are separated by commas; one that fails is left out
	// until it is healthy again.
	URL string
	// Timeout is how long one request may take from connecting to the last byte of the response, without the time in which
	// nobody reads the response, of which there may be nine times as much; 0 is [DefaultTimeout]. Too short, and wide queries fail; too long, and slow ones pile up.
	Timeout time.Duration
	// DisableKeepAlives has each HTTP/1.1 request use a connection of its own, so that bytes which Loki, or
	// a proxy in front of it, sends beyond a response can never be read as the next one. Connections are
	// then opened for every request; HTTP/2, over https, does not need this.
	DisableKeepAlives bool
	// CAFile holds the CA certificates (PEM) that verify Loki's certificate, instead of the system's.
	CAFile string
	// CertFile and KeyFile are the client certificate and its key (PEM). These files and CAFile are reloaded
	// when they change, if they match each other.
	CertFile, KeyFile string
	// TLSMinVersion is "1.2", as "" is, or "1.3".
	TLSMinVersion string
	// ServerName is the name that Loki's certificate must have, if it is not the host of URL.
	ServerName string
	// BearerTokenFile holds a token that is sent to Loki, BasicAuthFile a line user:password. Either is read
	// again when it changes; there may be one of them, or credentials in URL.
	BearerTokenFile, BasicAuthFile string
	// OrgID is sent as X-Scope-OrgID, for a Loki that separates organizations (auth_enabled: true): a
	// fixed text (`logs`, or `a|b` for several), or a template that holds {tenant}. Empty sends none.
	// A template with several tenants needs multi_tenant_queries_enabled in Loki.
	OrgID string
	// DangerouslyStoredPatterns sends Logs Drilldown's tag with its requests for patterns too, so that Loki returns stored
	// patterns to it. Loki selects those by label values that it has stored unescaped: the label values of
	// one tenant can then make its patterns another's. It is safe only where collectors control all values of labels.
	DangerouslyStoredPatterns bool
	// ActorLevels is how many segments X-Loki-Actor-Path has, which Loki's scheduler queues requests by, so that
	// its queriers serve tenants (1), and users within a tenant (2), in turn; 0 sends none. A Loki whose
	// query_scheduler.max_queue_hierarchy_levels is lower refuses every query; then fewer are sent.
	ActorLevels int
}

// Validate reports every mistake as one error, with what to write instead.
func (c Config) Validate() error {
	var errs []error
	if _, err := parseURLs(c.URL); err != nil {
		errs = append(errs, err)
	}
	if c.Timeout < 0 {
		errs = append(errs, fielderror.New("Timeout", "%s is negative; write how long a response may take, such as 60s", c.Timeout))
	}
	if err := orgID(c.OrgID).validate(); err != nil {
		errs = append(errs, err)
	}
	if c.ActorLevels < 0 || c.ActorLevels > MaxActorLevels {
		errs = append(errs, fielderror.New("ActorLevels", "must be 0 to %d (got %d)", MaxActorLevels, c.ActorLevels))
	}
	errs = append(errs, c.validateTLS(), c.validateCredentials())
	return errors.Join(errs...)
}

const tls12, tls13 = "1.2", "1.3"

// validateTLS reads the files too: a missing file is an error at start, not at the first request.
func (c Config) validateTLS() error {
	var errs []error
	upstreams, err := parseURLs(c.URL)
	plain := err == nil && !slices.ContainsFunc(upstreams, func(e *upstream) bool { return e.base.Scheme == "https" })
	for _, field := range []struct{ name, value string }{
		{"CAFile", c.CAFile}, {"CertFile", c.CertFile}, {"KeyFile", c.KeyFile}, {"ServerName", c.ServerName},
	} {
		if field.value != "" && plain {
			errs = append(errs, fielderror.New(field.name, "given, but Loki's URL is not https, so it would not be used; write https, or leave this out"))
		}
	}
	if v := c.TLSMinVersion; v != "" && v != tls12 && v != tls13 {
		errs = append(errs, fielderror.New("TLSMinVersion", "%q is not a version taken; write %s or %s", v, tls12, tls13))
	}
	switch {
	case c.CertFile == "" && c.KeyFile != "":
		return errors.Join(append(errs, fielderror.New("CertFile", "required beside the key; name the file of its certificate chain"))...)
	case c.CertFile != "" && c.KeyFile == "":
		return errors.Join(append(errs, fielderror.New("KeyFile", "required beside the certificate; name the file of its private key"))...)
	}
	for _, part := range []struct {
		name string
		Config
	}{{"CAFile", Config{CAFile: c.CAFile}}, {"CertFile", Config{CertFile: c.CertFile, KeyFile: c.KeyFile}}} {
		if err := checkFiles(part.tlsFiles(), part.tlsConfig); err != nil {
			errs = append(errs, fielderror.New(part.name, "%w", err))
		}
	}
	return errors.Join(errs...)
}

func (c Config) validateCredentials() error {
	name := "BasicAuthFile"
	if c.BearerTokenFile != "" {
		name = "BearerTokenFile"
	}
	if c.BearerTokenFile != "" && c.BasicAuthFile != "" {
		return fielderror.New("BasicAuthFile", "given beside a file with a bearer token; one of them would not be sent, so leave one out")
	}
	file, _ := c.credentialFile()
	if file == "" {
		return nil
	}
	if upstreams, err := parseURLs(c.URL); err == nil && slices.ContainsFunc(upstreams, func(e *upstream) bool { return e.user != nil }) {
		return fielderror.New(name, "given beside credentials in Loki's URL, which would not be sent; leave one of the two out")
	}
	credential, err := c.readCredential(nil)
	if err != nil {
		return fielderror.New(name, "%w", err)
	}
	credential.close()
	return nil
}

// checkFiles reads files once.
func checkFiles[T any](paths []string, parse func([][]byte) (T, error)) error {
	value, err := newFileValue(paths, parse, nil)
	if err != nil {
		return err
	}
	value.close()
	return nil
}

// parseURLs parses one or several URLs and removes the credentials, so that no error that quotes a URL shows
// them.
func parseURLs(text string) ([]*upstream, error) {
	var upstreams []*upstream
	var errs []error
	for part := range strings.SplitSeq(text, ",") {
		u, err := parseURL(strings.TrimSpace(part))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		e := &upstream{base: u, user: u.User}
		u.User = nil
		for _, other := range upstreams {
			if other.name() == e.name() {
				errs = append(errs, fielderror.New("URL", "%q is given twice; write it once", e.name()))
			}
		}
		upstreams = append(upstreams, e)
	}
	return upstreams, errors.Join(errs...)
}

func parseURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, fielderror.New("URL", "required; write Loki's base URL, such as http://loki:3100")
	}
	u, err := url.Parse(text)
	// "loki:3100" is read as the scheme loki, "10.0.0.1:3100" as no URL at all, "loki" as a path.
	if err != nil || u.Host == "" {
		return nil, missingHostError(text)
	}
	shown := u.Redacted()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fielderror.New("URL", "%q has the scheme %q; write http or https", shown, u.Scheme)
	case u.Hostname() == "":
		return nil, fielderror.New("URL", "%q names no host; write Loki's, such as http://loki:3100", shown)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fielderror.New("URL", "%q has a query or fragment; write only the base, such as %q", shown, withoutAPIPath(u))
	case strings.Contains(u.Path, "/loki/api/"):
		return nil, fielderror.New("URL", "%q holds a path of Loki's API; write what is before it, such as %q", shown, withoutAPIPath(u))
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// missingHostError reports what is wrong with text that is not a URL, without a password in it: when the parser
// fails, it is unknown which part is the password.
func missingHostError(text string) error {
	if strings.Contains(text, "@") {
		return fielderror.New("URL", "not a URL; write one such as http://loki:3100 (what was read is not shown, since it may hold a password)")
	}
	if !strings.Contains(text, "://") {
		if u, err := url.Parse("http://" + text); err == nil && u.Hostname() != "" {
			return fielderror.New("URL", "%q has no scheme; did you mean %q?", text, "http://"+text)
		}
	}
	return fielderror.New("URL", "%q is not a URL; write one such as http://loki:3100", text)
}

func withoutAPIPath(u *url.URL) string {
	path, _, _ := strings.Cut(u.Path, "/loki/api/")
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}).String()
}
