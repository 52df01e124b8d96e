package deploy

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/gateway"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/poll"
	"github.com/logfence/logfence/internal/testlog"
)

// proxied is logfence behind a reverse proxy: the gateway runs in this process, the proxy is the real program with the
// configuration of deploy/proxies.
type proxied struct {
	loki    *lokitest.Loki
	token   string
	log     *testlog.Buffer
	url     string
	clients map[string]*http.Client // by protocol; they connect from 127.0.0.2
}

// replica is one logfence.
type replica struct {
	public, admin string // host:port
	stop          context.CancelFunc
	ended         <-chan error
}

// startReplica starts a gateway; extra are settings.
func startReplica(t *testing.T, issuer *demo.Issuer, loki string, log io.Writer, extra ...string) replica {
	t.Helper()
	c, err := config.Load(append([]string{
		"LOGFENCE_ADDR=127.0.0.1:0", "LOGFENCE_ADMIN_ADDR=127.0.0.1:0", "LOGFENCE_LOKI_URL=" + loki,
		"LOGFENCE_JWT_ISSUER=" + issuer.URL(), "LOGFENCE_JWT_JWKS_URL=" + issuer.JWKSURL(),
		"LOGFENCE_JWT_AUDIENCE=" + demo.Audience, "LOGFENCE_DANGEROUSLY_ALLOW_HTTP_JWKS=true",
		"LOGFENCE_TENANT_RATE=100000", "LOGFENCE_TENANT_BURST=100000", "LOGFENCE_TRUSTED_PROXIES=127.0.0.1/32",
	}, extra...), "")
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(t.Context(), c, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	if err := g.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx) }()
	r := replica{strings.TrimSuffix(strings.TrimPrefix(g.PublicURL(), "http://"), c.BasePath), strings.TrimPrefix(g.AdminURL(), "http://"), stop, ended}
	t.Cleanup(stop)
	poll.Wait(t, "logfence is ready", func() bool {
		response, err := http.Get("http://" + r.admin + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return r
}

// proxyProgram is how a proxy is started in front of replicas.
type proxyProgram struct {
	name, binary string
	// configure writes the configuration for the upstreams and a free port, and returns the arguments.
	configure func(t *testing.T, dir, listen string, upstreams []replica) []string
	// trailers are passed on.
	trailers bool
	// hidesDeath and hidesCut are the protocols of a client over which a response whose upstream died, or cut it off, looks
	// complete but for its last record or trailer. docs/proxies.md names them.
	hidesDeath, hidesCut []string
}

var (
	nginx = proxyProgram{name: "nginx", binary: "nginx", configure: func(t *testing.T, dir, listen string, u []replica) []string {
		return nginxArgs(t, dir, listen, nginxServer(t, u))
	}}
	nginxPlain = proxyProgram{name: "nginx with proxy_pass alone", binary: "nginx", hidesDeath: []string{"HTTP/1.1", "HTTP/2"}, configure: func(t *testing.T, dir, listen string, u []replica) []string {
		return nginxArgs(t, dir, listen, "server { listen 443 ssl http2; ssl_certificate /etc/nginx/tls/logs.crt; "+
			"ssl_certificate_key /etc/nginx/tls/logs.key; location / { proxy_pass http://"+u[0].public+"; } }")
	}}
	haproxy = proxyProgram{
		name: "haproxy", binary: "haproxy", trailers: true, hidesDeath: []string{"HTTP/2"}, hidesCut: []string{"HTTP/2"},
		configure: func(t *testing.T, dir, listen string, u []replica) []string { return haproxyArgs(t, dir, listen, u) },
	}
)

// nginxServer is the documented configuration, with further texts replaced.
func nginxServer(t *testing.T, u []replica, more ...string) string {
	t.Helper()
	return replaced(t, "proxies/nginx.conf", append([]string{"server logfence:8080;", "server " + u[0].public + ";"}, more...)...)
}

func nginxArgs(t *testing.T, dir, listen, server string) []string {
	t.Helper()
	server = strings.NewReplacer("listen 443", "listen "+listen,
		"/etc/nginx/tls/logs.crt", filepath.Join(dir, "tls.pem"), "/etc/nginx/tls/logs.key", filepath.Join(dir, "tls.pem")).Replace(server)
	temporary := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temporary += fmt.Sprintf("%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	conf := fmt.Sprintf("daemon off; worker_processes 1; pid %s; error_log stderr;\nevents {}\nhttp { access_log off;\n%s%s\n}\n",
		filepath.Join(dir, "pid"), temporary, server)
	return []string{"-e", "stderr", "-p", dir, "-c", written(t, dir, "nginx.conf", conf)}
}

// haproxyArgs has the documented configuration, with further texts replaced.
func haproxyArgs(t *testing.T, dir, listen string, u []replica, more ...string) []string {
	t.Helper()
	pairs := append([]string{"bind :443", "bind " + listen, "/etc/haproxy/tls/logs.pem", filepath.Join(dir, "tls.pem"), "check port 9090", "check"}, more...)
	for i := range 2 {
		n := u[min(i, len(u)-1)]
		_, port, err := net.SplitHostPort(n.admin)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, fmt.Sprintf("server logfence-%d logfence-%d:8080", i+1, i+1), fmt.Sprintf("server logfence-%d %s port %s", i+1, n.public, port))
	}
	return []string{"-db", "-f", written(t, dir, "haproxy.cfg", replaced(t, "proxies/haproxy.cfg", pairs...))}
}

// replaced is a file with texts replaced; each must be in it.
func replaced(t *testing.T, path string, pairs ...string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(content, []byte(pairs[i])) {
			t.Fatalf("%s does not contain %q", path, pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(string(content))
}

func written(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startProxy runs the program until the test ends, and returns its address. Without the program, the test is skipped.
func startProxy(t *testing.T, p proxyProgram, upstreams ...replica) (listen string, roots *x509.CertPool) {
	t.Helper()
	binary := lookUp(p.binary)
	if binary == "" {
		t.Skipf("%s is not installed: `make proxies` installs it", p.binary)
	}
	dir := t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen = free.Addr().String()
	free.Close()
	roots = certificate(t, filepath.Join(dir, "tls.pem"))
	output := &testlog.Buffer{}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, p.configure(t, dir, listen, upstreams)...)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // it is interrupted
		if t.Failed() {
			t.Logf("%s: %s", p.name, output)
		}
	})
	poll.Wait(t, p.name+" listens", func() bool {
		conn, err := net.Dial("tcp", listen)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return listen, roots
}

// lookUp finds a program of Debian's in sbin as well, which is not in everybody's PATH.
func lookUp(name string) string {
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	return ""
}

// certificate writes a key and a certificate of logs.example.com, and returns it as the root of a client.
func certificate(t *testing.T, path string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "logs.example.com"}, DNSNames: []string{"logs.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	content := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	written(t, filepath.Dir(path), filepath.Base(path), string(content))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(content)
	return roots
}

// behind starts logfence behind a proxy. The relay, if it is not nil, stands between them. extra are settings.
func behind(t *testing.T, p proxyProgram, relayed func(upstream string) (listen string), extra ...string) *proxied {
	t.Helper()
	issuer, err := demo.StartIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = issuer.Close() })
	x := &proxied{log: &testlog.Buffer{}, loki: lokitest.New(t, stream("alpha"), stream("beta"))}
	if x.token, err = issuer.Token(demo.Claims{Subject: "ana", Tenant: "alpha"}); err != nil {
		t.Fatal(err)
	}
	r := startReplica(t, issuer, x.loki.URL, x.log, extra...)
	if relayed != nil {
		r.public = relayed(r.public)
	}
	listen, roots := startProxy(t, p, r)
	x.url = "https://logs.example.com"
	x.clients = map[string]*http.Client{"HTTP/1.1": client(t, listen, roots, false), "HTTP/2": client(t, listen, roots, true)}
	return x
}

// stream is a hundred lines of a tenant.
func stream(tenant string) lokitest.Stream {
	lines := make([]string, 100)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d of %s", i, tenant)
	}
	return lokitest.Lines(map[string]string{"tenant_id": tenant, "app": "shop"}, time.Now().Add(-time.Minute), lines...)
}

// client connects to the proxy from 127.0.0.2, which no proxy has.
func client(t *testing.T, listen string, roots *x509.CertPool, http2 bool) *http.Client {
	t.Helper()
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: protocols, DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, listen)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// get sends a request; params are names and values in turn.
func (x *proxied) get(t *testing.T, protocol, path string, header http.Header, params ...string) (*http.Response, error) {
	t.Helper()
	values := url.Values{}
	for i := 0; i < len(params); i += 2 {
		values.Set(params[i], params[i+1])
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, x.url+path+"?"+values.Encode(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header[name] = value
	}
	r.Header.Set("Authorization", "Bearer "+x.token)
	response, err := x.clients[protocol].Do(r)
	if err == nil {
		t.Cleanup(func() { _ = response.Body.Close() })
	}
	return response, err
}

// read is the complete response with its trailer, or how it was cut off.
func (x *proxied) read(t *testing.T, protocol, path string, params ...string) (text, trailer string, err error) {
	t.Helper()
	response, err := x.get(t, protocol, path, nil, params...)
	if err != nil {
		return "", "", err
	}
	body, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s %s: %d %s", protocol, path, response.StatusCode, body)
	}
	return string(body), response.Trailer.Get("X-Logfence-Lines"), err
}

// each runs a test for every protocol of the client.
func (x *proxied) each(t *testing.T, name string, test func(t *testing.T, protocol string)) {
	for protocol := range x.clients {
		t.Run(name+" over "+protocol, func(t *testing.T) { test(t, protocol) })
	}
}

const exportPath = "/api/v1/logs/export"

// TestBehindProxies guarantees for the documented configuration of each proxy what users see: queries, long URLs, responses
// that are not held back, live tails both ways, complete exports, and the client's address however it is forged.
func TestBehindProxies(t *testing.T) {
	t.Parallel()
	for _, p := range []proxyProgram{nginx, haproxy} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			x := behind(t, p, nil)
			x.each(t, "query", x.testQuery)
			x.each(t, "pieces arrive as they are sent", x.testPieces)
			x.each(t, "50 MB", x.testLarge)
			x.each(t, "server-sent events", x.testEvents)
			x.each(t, "client address", x.testAddress)
			x.each(t, "export", func(t *testing.T, protocol string) { x.testExport(t, protocol, p.trailers) })
			t.Run("WebSocket", x.testWebSocket)
		})
	}
}

// TestCutBehindProxies guarantees that a client sees when an export or a query was cut off because Loki failed, whichever
// proxy passed it on, and when logfence itself died: the response is cut off, or the last record and the trailer of a
// complete export are missing. It also guarantees that what is said of each proxy is still so.
func TestCutBehindProxies(t *testing.T) {
	t.Parallel()
	for _, p := range []proxyProgram{nginx, nginxPlain, haproxy} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			var r relay
			x := behind(t, p, r.start(t))
			x.each(t, "Loki cut", func(t *testing.T, protocol string) {
				x.testLokiCut(t, protocol, slices.Contains(p.hidesCut, protocol))
			})
			x.each(t, "logfence dead", func(t *testing.T, protocol string) {
				x.testDead(t, protocol, &r, slices.Contains(p.hidesDeath, protocol))
			})
		})
	}
}
