// Package httpapi serves openapi.yaml: it implements the generated interface, natively and as Loki's
// own API, with one implementation behind both.
//
// Guarantee: only what the spec describes is served; every operation is authenticated, its parameters
// are read once and held against the spec, and what carries LogQL goes to package loki as a fenced
// value of the caller's scope. Any error on the way is an answer without data. One
// [audit.AccessRecord] is recorded for each request.
//
// Not promised here: that a token is genuine (package auth), that a fenced value is confined (package
// tenancy), or what Loki answers (package loki).
//
// Clients have a deadline for each piece that is written to them, which no library sets: net/http's WriteTimeout
// and Echo's timeout middleware bound the complete response, and a tail or an export has no such bound.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jub0bs/cors"
	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
)

// Config is what a [Server] is made of. All but the optional fields are required.
type Config struct {
	Verifier Verifier
	Fence    *tenancy.Fence
	Loki     *loki.Client
	// Parsing lets so many queries be parsed at once: the most expensive thing that a request costs.
	Parsing *limits.ParseSlots
	// Limits bound what each tenant may ask for.
	Limits   *limits.Limiter
	Recorder *telemetry.Recorder
	Log      *slog.Logger
	// Metrics is served to operators at /metrics; nil serves none.
	Metrics http.Handler
	// Profiles serves those of the process to operators, under /debug/pprof/.
	Profiles bool

	// Compat serves Loki's own paths beside the native ones.
	Compat bool
	// BasicToken takes a token also as the password of HTTP Basic.
	BasicToken bool
	// CORSOrigins are the origins, exactly, whose pages may read answers; none by default.
	CORSOrigins []string
	// TrustedProxies are those whose word counts about where a request came from; none by default.
	TrustedProxies audit.TrustedProxies
	// Explore has the log page served, and says how people sign in to it; nil: it is not served.
	Explore *Explore
	// Heartbeat is how long an open tail says nothing; 0 is DefaultHeartbeat.
	Heartbeat time.Duration
	// Stall is how long a client may take to take one piece of an answer, or to send a form; 0 is
	// DefaultStall.
	Stall time.Duration
	// MaxBody is the largest form or JSON body taken, in bytes; 0 is DefaultMaxBody.
	MaxBody int
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Server answers requests. It is made once and safe for use by many goroutines.
type Server struct {
	verifier   Verifier
	fence      *tenancy.Fence
	loki       *loki.Client
	parsing    *limits.ParseSlots
	limits     *limits.Limiter
	maxBody    int64
	recorder   *telemetry.Recorder
	log        *slog.Logger
	basicToken bool
	proxies    audit.TrustedProxies
	now        func() time.Time
	origins    []string
	live       *live
	stall      time.Duration
	stopping   atomic.Bool // what /readyz says
	lastPolicy atomic.Pointer[policy]

	contract contract
	public   http.Handler
	admin    http.Handler
}

// The generated interface, held by the compiler: an operation that the spec gains is missing here.
var _ api.ServerInterface = (*Server)(nil)

// New makes a server, or says what is wrong with the spec that is built in or with c.
func New(c Config) (*Server, error) {
	spec, err := theSpec()
	if err != nil {
		return nil, fmt.Errorf("read the embedded spec: %w", err)
	}
	prepared, err := newContract(spec)
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	s := &Server{
		verifier: c.Verifier, fence: c.Fence, loki: c.Loki, parsing: c.Parsing, limits: c.Limits,
		recorder: c.Recorder, log: c.Log, basicToken: c.BasicToken, proxies: c.TrustedProxies, now: c.Now, contract: prepared,
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.stall = c.Stall
	if s.stall == 0 {
		s.stall = DefaultStall
	}
	s.maxBody = int64(c.MaxBody)
	if s.maxBody == 0 {
		s.maxBody = DefaultMaxBody
	}
	s.origins, s.live = c.CORSOrigins, newLive(c)
	if s.public, err = s.newPublic(c); err != nil {
		return nil, err
	}
	s.admin = s.newAdmin(c.Metrics, c.Profiles)
	return s, nil
}

// Public is what callers reach.
func (s *Server) Public() http.Handler { return s.public }

// Admin is what operators reach: health, readiness, metrics and profiles. It belongs on a listener of its own.
func (s *Server) Admin() http.Handler { return s.admin }

func (s *Server) newPublic(c Config) (http.Handler, error) {
	e := echo.New()
	e.HTTPErrorHandler = func(err error, _ echo.Context) {
		// observed has answered by then; what arrives here is the loss of the connection.
		s.log.Debug("answer not sent", "error", err)
	}
	e.Pre(s.observed, exactPath)
	e.Use(noOptions)
	r := &registrar{server: s, echo: e, compat: c.Compat}
	api.RegisterHandlers(r, s)
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	if err := registerPages(e, c.Explore); err != nil {
		return nil, err
	}
	h := http.Handler(e)
	if len(c.CORSOrigins) > 0 {
		var err error
		if h, err = withCORS(e, c.CORSOrigins); err != nil {
			return nil, err
		}
	}
	return withReadDeadlines(withWriteDeadlines(h, s.stall), s.stall), nil
}

// withCORS lets pages of just these origins read answers. Tokens travel in a header that pages set
// themselves, so credentials of the browser's own (cookies) are not allowed.
func withCORS(h http.Handler, origins []string) (http.Handler, error) {
	mw, err := cors.NewMiddleware(cors.Config{
		Origins: origins,
		Methods: []string{http.MethodGet, http.MethodPost},
		RequestHeaders: []string{
			echo.HeaderAuthorization, echo.HeaderContentType, audit.HeaderRequestID, headerTenant, headerEncodingFlags,
			"Last-Event-ID", "Traceparent", "Tracestate",
		},
		ResponseHeaders: []string{
			audit.HeaderRequestID, echo.HeaderRetryAfter, headerRateLimit, headerRateLimitPolicy, echo.HeaderWWWAuthenticate, echo.HeaderContentDisposition,
		},
		MaxAgeInSeconds: 600,
	})
	if err != nil {
		return nil, fmt.Errorf("CORSOrigins: %w", err)
	}
	return mw.Wrap(h), nil
}

// registrar registers the generated routes, each behind the guard of its operation. A route that the
// contract does not know has no guard, and is an error rather than open.
type registrar struct {
	api.EchoRouter // of its methods only the two that the spec uses are meant to be called

	server *Server
	echo   *echo.Echo
	compat bool
	errs   []error
}

func (r *registrar) add(method, path string, h echo.HandlerFunc) *echo.Route {
	op, ok := r.server.contract[method+" "+path]
	if !ok {
		r.errs = append(r.errs, fmt.Errorf("%s %s is not in the spec", method, path))
		return nil
	}
	if !r.compat && strings.HasPrefix(path, compatPrefix) {
		return nil
	}
	return r.echo.Add(method, path, r.server.guarded(op, h))
}

// GET registers an operation.
func (r *registrar) GET(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodGet, path, h)
}

// POST registers an operation.
func (r *registrar) POST(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodPost, path, h)
}

// guarded is the way to every operation's handler: who asks, how much they have asked for of late, then
// what they ask, each refused at the first doubt. Who comes first, so that strangers learn nothing about
// parameters, and are no tenant's burden; then how much, so that a flood costs nothing more.
func (s *Server) guarded(op *operation, h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := exchangeOf(c)
		d := &x.decision
		s.recorder.Route(c.Request().Context(), op.id, op.route.Path)
		who, err := s.identify(c.Request())
		d.Tenants, d.Subject, d.Issuer = who.Tenants, who.Subject, who.Issuer
		if err != nil {
			return err
		}
		who.limits = s.limits.Of(who.Tenants)
		x.who = who
		ticket, err := s.admit(c, op)
		if err != nil {
			return err
		}
		defer ticket.Release()
		values, err := s.read(c, op)
		if err != nil {
			return err
		}
		// Before a query is parsed, never while it is: a request that waits for the one holds no slot of the other.
		if err := ticket.Acquire(c.Request().Context()); err != nil {
			return err
		}
		return h(&understood{Context: c, values: values})
	}
}

// understood is a request whose parameters are what was understood of them, wherever they came from, so
// that the generated binding of the GET operation serves the form as well, and nothing reads them again.
type understood struct {
	echo.Context

	values url.Values
}

// QueryParams is what the generated binding reads.
func (u *understood) QueryParams() url.Values { return u.values }

// read reads a request's parameters, and holds them against the spec.
func (s *Server) read(c echo.Context, op *operation) (url.Values, error) {
	r := c.Request()
	if err := refuseOverrides(r.Header); err != nil {
		return nil, err
	}
	for _, name := range op.headers {
		if n := len(r.Header.Values(name)); n > 1 {
			return nil, parameterInvalid(name, "The header %s is given %d times; one is taken.", name, n)
		}
	}
	values, err := op.readParameters(r, s.maxBody)
	if err != nil {
		return nil, err
	}
	path := map[string]string{}
	for i, name := range c.ParamNames() {
		path[name] = c.ParamValues()[i]
	}
	return values, op.validate(r.Context(), r, path, values)
}

// overrides are canonical names of headers by which some servers take a request for another.
var overrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url"}

func refuseOverrides(h http.Header) error {
	for _, name := range overrides {
		if len(h[name]) > 0 {
			return parameterInvalid("", "The header %s is not taken.", name)
		}
	}
	return nil
}

// fenced parses a text under a slot of the caller's tenants, so that one tenant's flood of expensive texts leaves
// the others' alone. The tenants are all of the token's: a header that names one of them would choose the share.
func (s *Server) fenced(ctx context.Context, who *caller, parse func() error) (err error) {
	ctx, span := s.recorder.Span(ctx, "fence")
	defer func() { span.End(err) }()
	asked := time.Now()
	release, err := s.parsing.Acquire(ctx, who.own)
	if err != nil {
		return fmt.Errorf("wait to parse: %w", err)
	}
	defer release()
	began := time.Now()
	err = parse()
	s.recorder.Fenced(began.Sub(asked), time.Since(began))
	return err
}

// query fences a query of the caller's.
func (s *Server) query(c echo.Context, text string) (tenancy.Query, error) {
	who, d := callerOf(c), decisionOf(c)
	d.Requested = append(d.Requested, text)
	if err := who.limits.CheckQuery(len(text)); err != nil {
		return tenancy.Query{}, err
	}
	q, ok := who.scope.Recall(text)
	if ok {
		s.recorder.FenceCacheHit()
	} else {
		var err error
		if q, err = s.newQuery(c.Request().Context(), who, text); err != nil {
			return tenancy.Query{}, err
		}
	}
	if err := who.checkShape(q.Shape()); err != nil {
		return tenancy.Query{}, err
	}
	d.Fenced = append(d.Fenced, q.LogQL())
	return q, nil
}

// newQuery fences a query that was not fenced lately.
func (s *Server) newQuery(ctx context.Context, who *caller, text string) (q tenancy.Query, err error) {
	err = s.fenced(ctx, who, func() (err error) {
		q, err = who.scope.Query(text)
		return err
	})
	return q, err
}

// selector fences a selector of the caller's; none is the scope's own.
func (s *Server) selector(c echo.Context, text *string) (tenancy.Selector, error) {
	var texts []string
	if text != nil {
		texts = []string{*text}
	}
	selectors, err := s.selectors(c, texts)
	if err != nil {
		return tenancy.Selector{}, err
	}
	return selectors[0], nil
}

// selectors fences the selectors of a request; none at all, or an empty one, is the scope's own.
func (s *Server) selectors(c echo.Context, texts []string) (selectors []tenancy.Selector, err error) {
	who, d := callerOf(c), decisionOf(c)
	if len(texts) == 0 || len(texts) == 1 && texts[0] == "" {
		selectors = []tenancy.Selector{who.scope.All()}
	} else {
		d.Requested = append(d.Requested, texts...)
		if err := checkSelectors(who.limits, texts); err != nil {
			return nil, err
		}
		err = s.fenced(c.Request().Context(), who, func() (err error) {
			selectors, err = who.scope.Selectors(texts)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	for _, sel := range selectors {
		d.Fenced = append(d.Fenced, sel.LogQL())
	}
	return selectors, nil
}

// checkSelectors holds the selectors of a request to the limits on a query of as many.
func checkSelectors(l *limits.Effective, texts []string) error {
	length := 0
	for _, text := range texts {
		length += len(text)
	}
	if err := l.CheckQuery(length); err != nil {
		return err
	}
	return l.CheckShape(1, len(texts), 0)
}
