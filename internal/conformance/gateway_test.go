package conformance

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/httpapi"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// now is the time of every test: the examples of openapi.yaml lie in the hour before it.
var now = time.Date(2026, 11, 23, 13, 30, 0, 0, time.UTC)

// The tokens of the tests. They are long enough to be found where none may be.
const (
	alphaToken  = "token-of-alpha-0123456789"
	bothToken   = "token-of-alpha-and-gamma-0123456789"
	nobodyToken = "token-of-nobody-0123456789"
	scopeToken  = "token-of-little-scope-0123456789"
)

// verifier returns the principal of a token. Whether a token is genuine is package auth's to test.
type verifier struct{}

// Regrant is for grants, which these tokens do not have.
func (verifier) Regrant(auth.Credential) (auth.Principal, error) {
	return auth.Principal{}, auth.ErrNoTenant
}

func (verifier) VerifyCredential(_ context.Context, c auth.Credential) (auth.Principal, error) {
	p := auth.Principal{Issuer: "https://id.example", Subject: "ann", Expiry: now.Add(time.Hour)}
	switch c.Token {
	case alphaToken:
		p.Tenants = []tenant.Name{"alpha"}
	case bothToken:
		p.Tenants = []tenant.Name{"alpha", "gamma"}
	case nobodyToken:
		return auth.Principal{}, auth.ErrNoTenant
	case scopeToken:
		return auth.Principal{}, auth.ErrInsufficientScope
	default:
		return auth.Principal{}, auth.ErrInvalidToken
	}
	return p, nil
}

func (verifier) Ready() error { return nil }

func (verifier) Unusable() error { return nil }

// marks are in everything that a tenant's streams hold, and in nothing that a request does: where one
// shows, the tenant's logs do. The name of one tenant is its mark as well, for the places where names show.
var marks = map[string]string{
	"gamma": "qqgammaqq", "beta": "qqbetaqq", "alpha-2": "qqlookalikeqq", "qqomegaqq": "qqomegaqq", "": "qqnobodyqq",
}

// streams are those of every tenant, alike but for what marks them.
func streams() []lokitest.Stream {
	var all []lokitest.Stream
	for _, tenant := range []string{"alpha", "gamma", "beta", "alpha-2", "qqomegaqq", ""} {
		mark := marks[tenant]
		labels := func(app string, more ...string) map[string]string {
			set := map[string]string{"app": app, "env": "prod", "level": "error"}
			if tenant != "" {
				set["tenant_id"] = tenant
			}
			for _, name := range more {
				set[name] = "x" + mark
			}
			return set
		}
		entries := func(lines ...string) (es []lokitest.Entry) {
			for i, line := range lines {
				at := now.Add(time.Duration(i-10) * time.Minute)
				es = append(es, lokitest.Entry{Time: at, Line: line, Metadata: map[string]string{"trace": "t" + mark}})
			}
			return es
		}
		all = append(all,
			lokitest.Stream{Labels: labels("checkout"), Entries: entries(
				`{"msg":"declined `+mark+`","order":1119,"duration":"364ms","field`+mark+`":1,"tenant_id":"beta"}`,
				`{"msg":"paid {app=\"x\"} `+mark+`","order":1120,"duration":"1s"}`, "\x00\u202e<b>"+mark)},
			lokitest.Stream{Labels: labels("billing"+mark, "only"+mark), Entries: entries(
				`level=info msg="billed `+mark+`" took=12ms size=3KB ip=10.0.0.1 key`+mark+`=v`, `10.0.0.7 - - "GET / HTTP/1.1" 200 `+mark)},
		)
	}
	return all
}

// gateway is a server in front of a fake Loki. It handles one request at a time.
type gateway struct {
	loki     *lokitest.Loki
	config   httpapi.Config
	listener *pipes
	busy     sync.Mutex // held while a request is handled
	server   *httpapi.Server
	// may holds the tenants of each caller so far; number is that of the request being handled, counted from 1.
	may    [][]string
	number atomic.Int64
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{loki: lokitest.New(t, streams()...), listener: newPipes()}
	g.loki.Now = func() time.Time { return now }
	g.config = g.newConfig(t)
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.busy.Lock()
		defer g.busy.Unlock()
		g.server.Public().ServeHTTP(w, r)
	})
	s := &http.Server{
		Handler: handler, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(g.listener) }()
	t.Cleanup(func() {
		_ = s.Close() // Serve returns it
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		g.server.Drain(context.Background())
	})
	return g
}

func (g *gateway) start() (err error) {
	g.server, err = httpapi.New(g.config)
	return err
}

// endTails ends what tails share, which outlives their clients, and waits for it. A server takes no more tails then.
func (g *gateway) endTails() error {
	g.busy.Lock()
	defer g.busy.Unlock()
	g.server.Drain(context.Background())
	return g.start()
}

// numberHeader carries to Loki the number of the request that was being handled when this one was sent.
const numberHeader = "Test-Number"

// numbered numbers the requests to Loki: one that was given up may arrive during a later request.
func (g *gateway) numbered(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set(numberHeader, strconv.FormatInt(g.number.Load(), 10))
		return next.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (g *gateway) newConfig(t *testing.T) httpapi.Config {
	t.Helper()
	fence, err := tenancy.New(tenancy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	parsing, err := limits.NewParseSlots(limits.FairSemaphoreConfig{AtOnce: 2, Queue: 8, QueuePerKey: 4}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	own := limits.Defaults()
	// No time passes here, so what is drawn on the rate does not come back.
	own.Rate, own.Burst, own.Queries, own.Queue, own.MaxTails = 1, math.MaxInt32, 64, 64, 4
	own.MaxLines, own.MaxExportLines = 1000, 10_000
	limiter, err := limits.New(limits.Config{
		Limits: own, AtOnce: 64, Wait: time.Minute, Parsing: limits.FairSemaphoreConfig{AtOnce: 1},
	}, limits.WithClock(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	client, err := loki.New(loki.Config{URL: g.loki.URL, Timeout: time.Minute}, loki.WithTransport(g.numbered))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	log := slog.New(slog.DiscardHandler)
	return httpapi.Config{
		Verifier: verifier{}, Fence: fence, Loki: client, Parsing: parsing,
		Limits:   limiter,
		Recorder: telemetry.NewRecorder(log), Log: log, Compat: true, BasicToken: true,
		Heartbeat: 5 * time.Millisecond, DrainSpread: -1, Now: func() time.Time { return now },
	}
}

// pipes is a listener in memory: tens of thousands of connections would use up the ports of a machine.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "192.0.2.1:1" }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.dialed <- namedConn{server}
	return client
}

// namedConn has an address that can be parsed, as the servers of the world have.
type namedConn struct{ net.Conn }

func (namedConn) RemoteAddr() net.Addr { return pipeAddr{} }

// foreign is the mark of a tenant other than these that a text holds, if there is one.
func foreign(text string, may []string) string {
	for tenant, mark := range marks {
		own := false
		for _, m := range may {
			own = own || m == tenant
		}
		if !own && strings.Contains(text, mark) {
			return mark
		}
	}
	return ""
}
