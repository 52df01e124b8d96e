package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/telemetry"
)

// writePair writes a certificate of that name, signed by itself, and its key.
func writePair(t *testing.T, dir, name string) (certificate, key string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, certificate, "CERTIFICATE", der)
	writePEM(t, key, "PRIVATE KEY", keyDER)
	return certificate, key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// visitor is a client that keeps its connections.
type visitor struct {
	t   *testing.T
	url string
	http.Client
}

func newVisitor(t *testing.T, url string) *visitor {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: t, url: url, Client: http.Client{Transport: transport}}
}

// sees tells whose certificate is shown, and whether the connection was there before.
func (v *visitor) sees() (name string, reused bool) {
	v.t.Helper()
	ctx := httptrace.WithClientTrace(v.t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	response, err := v.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		v.t.Fatal(err)
	}
	if response.ProtoMajor != 2 {
		v.t.Errorf("over %s", response.Proto)
	}
	return response.TLS.PeerCertificates[0].Subject.CommonName, reused
}

// TestCertificateIsRenewed guarantees that a renewed certificate is shown to those who come after it, that
// nobody's connection is dropped for it, and that one without its key is not shown.
func TestCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	certificate, key := writePair(t, dir, "first")
	var life lifecycle
	defer life.close()
	log := slog.New(slog.DiscardHandler)
	metrics := telemetry.NewMetrics()
	stale := func() bool {
		w := httptest.NewRecorder()
		metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
		return strings.Contains(w.Body.String(), `logfence_stale_files{of="tls"} 1`)
	}
	served, err := openCertificate(config.Config{TLSCertFile: certificate, TLSKeyFile: key}, log, metrics, &life)
	if err != nil {
		t.Fatal(err)
	}
	reload := life.reload
	ctx, stop := context.WithCancel(t.Context())
	none := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	g := &Gateway{life: &lifecycle{}, log: log, public: none, admin: none, addrs: anyPorts, tls: served, drain: drain{timeout: time.Minute}}
	if err := g.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx) }()
	url := g.PublicURL()

	early := newVisitor(t, url)
	if name, _ := early.sees(); name != "first" {
		t.Errorf("at first %q is shown", name)
	}
	writePair(t, dir, "second")
	reload()
	if name, reused := early.sees(); name != "first" || !reused {
		t.Errorf("the connection from before shows %q, reused: %t", name, reused)
	}
	if name, _ := newVisitor(t, url).sees(); name != "second" {
		t.Errorf("after the renewal %q is shown", name)
	}
	if stale() {
		t.Error("the metric says that the certificate is stale")
	}
	_, strange := writePair(t, t.TempDir(), "third")
	content, err := os.ReadFile(strange)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, content, 0o600); err != nil {
		t.Fatal(err)
	}
	reload()
	if name, _ := newVisitor(t, url).sees(); name != "second" {
		t.Errorf("after half a renewal %q is shown", name)
	}
	if !stale() {
		t.Error("the metric does not say that the certificate is stale")
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}
	if conn, err := (&tls.Dialer{Config: old}).DialContext(t.Context(), "tcp", g.listeners.public.Addr().String()); err == nil {
		t.Error("TLS 1.1 is taken")
		conn.Close()
	}
	early.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
