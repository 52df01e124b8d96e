package loki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// authority makes certificates.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key = newKey(t)
	a.cert = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(c *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent := a.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// pair is a certificate for a name or address, and its key.
func (a *authority) pair(name string) tls.Certificate {
	a.t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	key := newKey(a.t)
	return tls.Certificate{Certificate: [][]byte{a.sign(template, key).Raw}, PrivateKey: key}
}

// write writes PEM files into a folder: the authority's certificate, and the pair.
func (a *authority) write(dir string, pair tls.Certificate) (ca, cert, key string) {
	a.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	ca, cert, key = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		ca:   {Type: "CERTIFICATE", Bytes: a.cert.Raw},
		cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		put(a.t, path, string(pem.EncodeToMemory(block)))
	}
	return ca, cert, key
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serveTLS passes on to the fake Loki what comes over TLS.
func serveTLS(t *testing.T, config *tls.Config, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = config
	server.EnableHTTP2 = true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// TestTLS guarantees who is taken for Loki, what is shown to it, and that HTTP/2 is spoken where it is offered.
func TestTLS(t *testing.T) {
	t.Parallel()
	trusted, other := newAuthority(t), newAuthority(t)
	ca, cert, key := trusted.write(t.TempDir(), trusted.pair("logfence"))
	otherCA, otherCert, otherKey := other.write(t.TempDir(), other.pair("logfence"))
	fake := twoTenants(t)
	behind := proxyTo(t, fake.URL)
	clients := x509.NewCertPool()
	clients.AddCert(trusted.cert)
	var protocol atomic.Int32
	noting := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol.Store(int32(r.ProtoMajor))
		behind(w, r)
	})
	plain := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{trusted.pair("127.0.0.1")}, MaxVersion: tls.VersionTLS12}, noting)
	named := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{trusted.pair("loki.internal")}}, noting)
	wary := serveTLS(t, &tls.Config{
		Certificates: []tls.Certificate{trusted.pair("127.0.0.1")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	}, noting)
	for _, tt := range []struct {
		name    string
		in      loki.Config
		refused bool
	}{
		{"an authority that is trusted", loki.Config{URL: plain.URL, CAFile: ca}, false},
		{"the system's authorities", loki.Config{URL: plain.URL}, true},
		{"another authority", loki.Config{URL: plain.URL, CAFile: otherCA}, true},
		{"too old a version", loki.Config{URL: plain.URL, CAFile: ca, TLSMinVersion: "1.3"}, true},
		{"another name", loki.Config{URL: named.URL, CAFile: ca}, true},
		{"another name that is expected", loki.Config{URL: named.URL, CAFile: ca, ServerName: "loki.internal", TLSMinVersion: "1.3"}, false},
		{"a certificate of ours", loki.Config{URL: wary.URL, CAFile: ca, CertFile: cert, KeyFile: key}, false},
		{"none", loki.Config{URL: wary.URL, CAFile: ca}, true},
		{"one that Loki does not trust", loki.Config{URL: wary.URL, CAFile: ca, CertFile: otherCert, KeyFile: otherKey}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := client(t, tt.in)
			err := request(t.Context(), t, c, loki.RequestOptions{})
			if !tt.refused && err == nil {
				if got := protocol.Load(); got != 2 {
					t.Errorf("over HTTP/%d", got)
				}
				return
			}
			if refused := errors.Is(err, loki.ErrUnreachable) || errors.Is(err, loki.ErrUnavailable); refused != tt.refused {
				t.Errorf("got %v", err)
			}
			if _, err := c.Tail(t.Context(), loki.RequestOptions{}, query(t, `{app="web"}`), loki.TailParams{}); err == nil {
				t.Error("a tail is opened")
			}
		})
	}
}

// TestRenewed guarantees that renewed certificates and credentials are used without a restart, that a
// half-renewed pair is not, and that no error shows a secret.
func TestRenewed(t *testing.T) {
	t.Parallel()
	before, after := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	ca, cert, key := before.write(dir, before.pair("logfence"))
	token := filepath.Join(dir, "token")
	put(t, token, "first-t0ken\n")
	var current atomic.Pointer[authority]
	current.Store(before)
	var seen atomic.Value
	fake := twoTenants(t)
	behind := proxyTo(t, fake.URL)
	server := serveTLS(t, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		clients := x509.NewCertPool()
		clients.AddCert(current.Load().cert)
		return &tls.Config{
			Certificates: []tls.Certificate{current.Load().pair("127.0.0.1")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
		}, nil
	}}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"))
		behind(w, r)
	}))
	c := client(t, loki.Config{URL: server.URL, CAFile: ca, CertFile: cert, KeyFile: key, BearerTokenFile: token})
	sends := func(header string) {
		t.Helper()
		if err := request(t.Context(), t, c, loki.RequestOptions{}); err != nil || seen.Load() != header {
			t.Errorf("%v, with %q; want %q", err, seen.Load(), header)
		}
	}
	sends("Bearer first-t0ken")

	current.Store(after)
	put(t, token, "second-t0ken")
	after.write(dir, after.pair("logfence"))
	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	sends("Bearer second-t0ken")

	_, _, strange := before.write(t.TempDir(), before.pair("logfence"))
	content, err := os.ReadFile(strange)
	if err != nil {
		t.Fatal(err)
	}
	put(t, key, string(content))
	put(t, token, "s3cret with spaces")
	err = c.Reload()
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), key) {
		t.Errorf("half renewed: %v", err)
	}
	c.CloseIdleConnections()
	sends("Bearer second-t0ken")
	if n := c.Stats().StaleFiles; n != 2 {
		t.Errorf("%d files are said to be stale", n)
	}
}

// TestCredentials guarantees what is sent as Authorization, and what is a mistake.
func TestCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		put(t, path, content)
		return path
	}
	token, pair := file("token", "abc.def-_~+/=\r\n"), file("pair", "me:s3:cret \n")
	fake := twoTenants(t)
	withUser := strings.Replace(fake.URL, "//", "//other:s3cret@", 1)
	for _, tt := range []struct {
		name string
		in   loki.Config
		want string // the header, or the mistake
	}{
		{"bearer", loki.Config{BearerTokenFile: token}, "Bearer abc.def-_~+/="},
		{"basic", loki.Config{BasicAuthFile: pair}, "Basic bWU6czM6Y3JldCA="},
		{"URL", loki.Config{URL: withUser}, "Basic b3RoZXI6czNjcmV0"},
		{"none", loki.Config{}, ""},
		{"both", loki.Config{BearerTokenFile: token, BasicAuthFile: pair}, "BasicAuthFile: given beside a file with a bearer token; one of them would not be sent, so leave one out"},
		{"beside the URL's", loki.Config{URL: withUser, BasicAuthFile: pair}, "BasicAuthFile: given beside credentials in Loki's URL, which would not be sent; leave one of the two out"},
		{"beside one URL's", loki.Config{URL: "http://one:3100," + withUser, BearerTokenFile: token}, "BearerTokenFile: given beside credentials in Loki's URL, which would not be sent; leave one of the two out"},
		{"no file", loki.Config{BearerTokenFile: filepath.Join(dir, "none")}, "BearerTokenFile: stat " + filepath.Join(dir, "none") + ": no such file or directory"},
		{"empty", loki.Config{BearerTokenFile: file("empty", "\n")}, "BearerTokenFile: " + filepath.Join(dir, "empty") + ": not a token; write it alone on one line, in ASCII"},
		{"two lines", loki.Config{BearerTokenFile: file("two", "a\ns3cret\n")}, "BearerTokenFile: " + filepath.Join(dir, "two") + ": not a token; write it alone on one line, in ASCII"},
		{"no colon", loki.Config{BasicAuthFile: file("one", "s3cret")}, "BasicAuthFile: " + filepath.Join(dir, "one") + ": not user:password; write both on one line, with a colon between"},
		{"no certificates", loki.Config{URL: "https://loki", CAFile: token}, "CAFile: " + token + ": no certificate of an authority in PEM"},
		{"without https", loki.Config{CAFile: token, ServerName: "loki"}, "CAFile: given, but Loki's URL is not https, so it would not be used; write https, or leave this out\n" +
			"ServerName: given, but Loki's URL is not https, so it would not be used; write https, or leave this out\nCAFile: " + token + ": no certificate of an authority in PEM"},
		{"no key", loki.Config{URL: "https://loki", CertFile: token}, "KeyFile: required beside the certificate; name the file of its private key"},
		{"no certificate", loki.Config{URL: "https://loki", KeyFile: token}, "CertFile: required beside the key; name the file of its certificate chain"},
		{"an old version", loki.Config{URL: "https://loki", TLSMinVersion: "1.1"}, `TLSMinVersion: "1.1" is not a version taken; write 1.2 or 1.3`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.in.URL == "" {
				tt.in.URL = fake.URL
			}
			if err := tt.in.Validate(); err != nil {
				if err.Error() != tt.want || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("got  %s\nwant %s", err, tt.want)
				}
				return
			}
			if err := request(t.Context(), t, client(t, tt.in), loki.RequestOptions{}); err != nil {
				t.Fatal(err)
			}
			requests := fake.Requests()
			if got := requests[len(requests)-1].Header.Get("Authorization"); got != tt.want {
				t.Errorf("sent %q, want %q", got, tt.want)
			}
		})
	}
}

// TestWarnings guarantees that credentials in plain text are warned of, and that the warning shows none.
func TestWarnings(t *testing.T) {
	for urls, want := range map[string]string{
		"http://me:s3cret@loki:3100":                                "credentials are sent to http://loki:3100 in plain text; use https",
		"https://me:s3cret@loki:3100":                               "",
		"http://loki:3100":                                          "",
		"http://me:s3cret@127.0.0.1:1,http://me:s3cret@[::1]":       "",
		"https://me:s3cret@a,http://me:s3cret@b,http://me:s3cret@c": "credentials are sent to http://b in plain text; use https\ncredentials are sent to http://c in plain text; use https",
	} {
		if got := strings.Join(loki.Config{URL: urls}.Warnings(), "\n"); got != want {
			t.Errorf("%s: got %q, want %q", urls, got, want)
		}
	}
	if got := (loki.Config{URL: "http://loki:3100", BearerTokenFile: "x"}).Warnings(); len(got) != 1 {
		t.Errorf("with a file: %q", got)
	}
}
