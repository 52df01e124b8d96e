package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"google.golang.org/grpc/test/bufconn"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
	"github.com/logfence/logfence/internal/testlog"
)

// now is the time of every test.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// principals is a verifier that knows the principal of a token by the token's text; other tokens are not valid.
type principals map[string]any // an auth.Principal or an error

func (p principals) VerifyCredential(_ context.Context, c auth.Credential) (auth.Principal, error) {
	switch who := p[c.Token].(type) {
	case auth.Principal:
		return who, nil
	case error:
		return auth.Principal{}, who
	default:
		return auth.Principal{}, auth.ErrInvalidToken
	}
}

// Regrant is for grants, which these principals do not have.
func (p principals) Regrant(auth.Credential) (auth.Principal, error) {
	return auth.Principal{}, auth.ErrNoTenant
}

func (p principals) Ready() error {
	err, _ := p["ready"].(error)
	return err
}

func (p principals) Unusable() error {
	err, _ := p["unusable"].(error)
	return err
}

// The tokens of the tests. They are long enough to be found where none may be.
const (
	alphaToken = "token-of-alpha-0123456789"
	betaToken  = "token-of-beta-0123456789"
)

func everybody() principals {
	principal := func(name tenant.Name) auth.Principal {
		return auth.Principal{Issuer: "https://id.example", Subject: "ann@" + string(name), Tenants: []tenant.Name{name}, Expiry: now.Add(time.Hour)}
	}
	return principals{
		alphaToken: principal("alpha"), betaToken: principal("beta"),
		"of-nobody": auth.ErrNoTenant, "of-little-scope": auth.ErrInsufficientScope,
		"of-no-keys": auth.ErrKeysUnavailable, "of-a-fault": errors.New("no such error: 10.0.0.1"),
	}
}

// gateway is a server before a fake Loki, and what it logged.
type gateway struct {
	*testing.T

	loki   *lokitest.Loki
	server *Server
	config Config // of the server
	url    string
	log    *testlog.Buffer
	// serve serves a handler, transport connects to it, and toLoki to Loki where that is not by its URL.
	serve     func(http.Handler) *httptest.Server
	transport func() *http.Transport
	toLoki    http.RoundTripper
	// finish stops the server, when all its requests have ended.
	finish func()

	held sync.Map // operations and statuses that validate has found to be as the spec says
}

// streams are those of two tenants, of one that looks like the first, and of none.
func streams() []lokitest.Stream {
	at := now.Add(-time.Minute)
	return []lokitest.Stream{
		lokitest.Lines(map[string]string{"tenant_id": "alpha", "app": "api", "env": "prod"}, at, `{"level":"info","msg":"alpha one"}`, `{"level":"warn","msg":"alpha two"}`),
		lokitest.Lines(map[string]string{"tenant_id": "alpha", "app": "web", "alphaonly": "x"}, at, `alpha three`),
		lokitest.Lines(map[string]string{"tenant_id": "beta", "app": "api", "betaonly": "betavalue"}, at, `{"level":"info","betafield":"beta one"}`),
		lokitest.Lines(map[string]string{"tenant_id": "alpha-2", "app": "api"}, at, `betalike lookalike`),
		lokitest.Lines(map[string]string{"app": "api", "nobodys": "betaless"}, at, `betaless line of no tenant`),
	}
}

type option func(*Config, *loki.Config)

func newGateway(t *testing.T, options ...option) *gateway {
	t.Helper()
	return startGateway(t, &gateway{loki: lokitest.New(t, streams()...), serve: httptest.NewServer}, options)
}

// inBubble runs a test in a bubble of testing/synctest, where synctest.Wait waits until everything that its requests
// caused has been done. All connections are in memory: real ones are not known to be idle there.
func inBubble(t *testing.T, test func(g *gateway), options ...option) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const buffered = 64 << 10
		atLoki, public := bufconn.Listen(buffered), bufconn.Listen(buffered)
		dial := func(l *bufconn.Listener) *http.Transport {
			transport := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.DialContext(ctx) }}
			t.Cleanup(transport.CloseIdleConnections)
			return transport
		}
		g := &gateway{loki: lokitest.NewOn(t, atLoki, streams()...), toLoki: dial(atLoki)}
		g.transport = func() *http.Transport { return dial(public) }
		g.serve = func(h http.Handler) *httptest.Server {
			server := &httptest.Server{Listener: public, Config: &http.Server{Handler: h}}
			server.Start()
			return server
		}
		test(startGateway(t, g, options))
	})
}

func startGateway(t *testing.T, g *gateway, options []option) *gateway {
	t.Helper()
	g.T, g.log = t, &testlog.Buffer{}
	if g.transport == nil {
		g.transport = func() *http.Transport { return &http.Transport{DisableCompression: true} }
	}
	g.loki.Now = func() time.Time { return now }
	log := telemetry.NewLogger(slog.LevelDebug, telemetry.FormatJSON, g.log)
	fence, err := tenancy.New(tenancy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	turns, err := limits.NewParseSlots(limits.FairSemaphoreConfig{AtOnce: 2, Queue: 64, QueuePerKey: 32}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Verifier: everybody(), Fence: fence, Parsing: turns, Limits: newLimiter(t, nil),
		Recorder: telemetry.NewRecorder(log), Log: log, Compat: true, Now: func() time.Time { return now },
		Heartbeat: 100 * time.Millisecond, DrainSpread: -1,
	}
	l := loki.Config{URL: g.loki.URL, Timeout: time.Minute}
	for _, o := range options {
		o(&c, &l)
	}
	around := func(real http.RoundTripper) http.RoundTripper {
		if g.toLoki != nil {
			real = g.toLoki
		}
		return c.Recorder.Transport(real)
	}
	if c.Loki, err = loki.New(l, loki.WithTransport(around)); err != nil {
		t.Fatal(err)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := g.serve(s.Public())
	t.Cleanup(server.Close)
	t.Cleanup(c.Loki.Close)
	t.Cleanup(func() { s.Drain(context.Background()) }) // what tails share would end later
	g.server, g.config, g.url, g.finish = s, c, server.URL, server.Close
	return g
}

// newLimiter makes limits that let the tests' requests pass, but for those that change sets.
func newLimiter(t testing.TB, change func(*limits.Config)) *limits.Limiter {
	t.Helper()
	c := limits.Config{Limits: limits.Defaults(), AtOnce: 64, Wait: time.Second, Parsing: limits.FairSemaphoreConfig{AtOnce: 1}}
	c.Rate, c.Burst, c.Queries, c.Queue, c.MaxTails, c.MaxLines, c.MaxExportLines = 10_000, 10_000, 64, 64, 4, 1000, 10_000
	c.MaxQueryBytesRead = limits.NoReadBudget // so that Loki gets a query's own requests alone
	if change != nil {
		change(&c)
	}
	l, err := limits.New(c, limits.WithClock(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// withLimits changes the limits of a test's gateway.
func withLimits(t *testing.T, change func(*limits.Config)) option {
	return func(c *Config, _ *loki.Config) { c.Limits = newLimiter(t, change) }
}

// apiResponse is a response, read to its end.
type apiResponse struct {
	*http.Response

	text string
	err  error // of reading the body
}

// send sends a request as the holder of a token, and validates the response against the spec.
func (g *gateway) send(token string, r *http.Request) apiResponse {
	g.Helper()
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	transport := g.transport()
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		g.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer response.Body.Close()
	body, err := readResponse(response)
	a := apiResponse{Response: response, text: string(body), err: err}
	if err == nil {
		g.validate(r, a)
	}
	return a
}

// readResponse reads a response to its end. A tail has none: it is read until it pauses or ends, and a
// WebSocket not at all.
func readResponse(r *http.Response) ([]byte, error) {
	switch {
	case r.StatusCode == http.StatusSwitchingProtocols:
		return []byte("{\"streams\":[]}"), nil
	case r.Header.Get("Content-Type") != "text/event-stream":
		return io.ReadAll(r.Body)
	}
	var text []byte
	for events := bufio.NewReader(r.Body); ; {
		line, err := events.ReadBytes('\n')
		text = append(text, line...)
		if err != nil || bytes.HasPrefix(line, []byte("event: end")) || bytes.HasPrefix(line, []byte(":")) && len(text) > len(line) {
			return text, err
		}
	}
}

// asWebSocket makes a request a handshake.
func asWebSocket(r *http.Request) {
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
}

func (g *gateway) get(token, path string, params ...string) apiResponse {
	g.Helper()
	return g.send(token, g.request(http.MethodGet, path, params...))
}

// request makes a request; params are names and values in turn, in the URL or, for a POST, in a form.
func (g *gateway) request(method, path string, params ...string) *http.Request {
	g.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		values.Add(params[i], params[i+1])
	}
	target, body := g.url+path, io.Reader(http.NoBody)
	if method == http.MethodPost {
		body = strings.NewReader(values.Encode())
	} else if len(values) > 0 {
		target += "?" + values.Encode()
	}
	r, err := http.NewRequestWithContext(g.Context(), method, target, body)
	if err != nil {
		g.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func init() {
	for _, media := range []string{"application/x-ndjson", "text/event-stream", "text/csv"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.RegisteredBodyDecoder("text/plain"))
	}
}

var specRouter = sync.OnceValues(func() (routers.Router, error) {
	spec, err := api.GetSpec()
	if err != nil {
		return nil, err
	}
	spec.Servers = nil
	return gorillamux.NewRouter(spec)
})

// validate validates a response against what the spec declares for its operation and status.
func (g *gateway) validate(r *http.Request, a apiResponse) {
	g.Helper()
	router, err := specRouter()
	if err != nil {
		g.Fatal(err)
	}
	route, path, err := router.FindRoute(r)
	if err != nil {
		return // not of the spec: 404 and 405 are tested by themselves
	}
	if a.StatusCode == http.StatusSwitchingProtocols {
		g.held.Store(metAs(route.Operation, a.StatusCode), true) // its frames are no body
		return
	}
	if a.Header.Get("Content-Encoding") != "" || a.StatusCode == http.StatusNotFound && route.Operation.Responses.Value("404") == nil || a.StatusCode == http.StatusMethodNotAllowed {
		return
	}
	err = openapi3filter.ValidateResponse(g.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: path, Route: route},
		Status:                 a.StatusCode, Header: a.Header, Body: io.NopCloser(strings.NewReader(a.text)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		g.Errorf("%s %s: %d %.300s\nwhich is not as openapi.yaml declares: %.1000s", r.Method, r.URL, a.StatusCode, a.text, err.Error())
		return
	}
	g.held.Store(metAs(route.Operation, a.StatusCode), true)
}

func metAs(op *openapi3.Operation, status int) string {
	return op.OperationID + " " + strconv.Itoa(status)
}

// cancelable is a request whose sender can leave.
func cancelable(r *http.Request) (*http.Request, context.CancelFunc) {
	ctx, leave := context.WithCancel(r.Context())
	return r.WithContext(ctx), leave
}

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

func newProbe(t *testing.T, path string) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
}
