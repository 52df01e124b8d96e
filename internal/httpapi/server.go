// Package httpapi serves openapi.yaml: it implements the generated interface, natively and as Loki's
// own API, with one implementation behind both.
//
// Guarantee: only what the spec describes is served; every operation is authenticated, its parameters
// are read once and validated against the spec, and LogQL reaches package loki only as a fenced value of the
// caller's scope. Any error before that is a response without data. One [audit.AccessRecord] is recorded for each
// request.
//
// Not promised here: that a token is genuine (package auth), that a fenced value is confined (package
// tenancy), or the content of Loki's responses (package loki).
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
	"slices"
	"sync/atomic"
	"time"

	"github.com/jub0bs/cors"
	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/cpuslots"
	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
)

// Server handles requests. It is made once and safe for use by many goroutines.
type Server struct {
	verifier      Verifier
	fence         *tenancy.Fence
	loki          *loki.Client
	cpuSlots      cpuslots.Slots
	parsing       *limits.ParseSlots
	limits        *limits.Limiter
	maxBody       int64
	recorder      *telemetry.Recorder
	log           *slog.Logger
	basicToken    bool
	tokenHeaders  []string // at least one
	proxies       audit.TrustedProxies
	now           func() time.Time
	origins       []string
	tails         *tailRegistry
	estimates     *estimator
	lokiWarning   string
	lokiWalls     map[string]string // never changed
	leeway        time.Duration
	inflightGrace time.Duration
	rules         func() *access.Rules // nil: without grants
	rulesErr      func() error         // nil: there is none
	granted       grantedRequests
	clientTimeout time.Duration
	stopping      atomic.Bool // reported by /readyz
	lastPolicy    atomic.Pointer[policy]

	operations operationTable
	redirects  operationTable // those to whose paths redirectOf redirects
	// pageRedirects are the addresses of pages by the paths that are redirected to them.
	pageRedirects map[string]string
	base          basePath
	public        http.Handler
	admin         http.Handler
}

// The generated interface, enforced by the compiler: an operation that is added to the spec is missing here.
var _ api.ServerInterface = (*Server)(nil)

// New makes a server. An error names what is wrong with c, or with the embedded spec.
func New(c Config) (*Server, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("server configuration: %w", err)
	}
	spec, err := loadSpec()
	if err != nil {
		return nil, fmt.Errorf("read the embedded spec: %w", err)
	}
	prepared, err := newOperationTable(spec)
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	s := &Server{
		verifier: c.Verifier, fence: c.Fence, loki: c.Loki, cpuSlots: c.Loki.CPUSlots(), parsing: c.Parsing, limits: c.Limits,
		recorder: c.Recorder, log: c.Log, basicToken: c.BasicToken, proxies: c.TrustedProxies, now: c.Now, operations: prepared,
	}
	if s.tokenHeaders = c.TokenHeaders; len(s.tokenHeaders) == 0 {
		s.tokenHeaders = []string{echo.HeaderAuthorization}
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.clientTimeout = c.ClientTimeout
	if s.clientTimeout == 0 {
		s.clientTimeout = DefaultClientTimeout
	}
	s.maxBody = int64(c.MaxBody)
	if s.maxBody == 0 {
		s.maxBody = DefaultMaxBody
	}
	s.lokiWarning, s.lokiWalls = c.LokiWarning, c.LokiWalls
	if s.estimates, err = newEstimator(s.loki, s.now); err != nil {
		return nil, err
	}
	if err := s.bodiesFit(); err != nil {
		return nil, err
	}
	s.origins, s.tails, s.leeway, s.inflightGrace = c.CORSOrigins, newTailRegistry(c), c.Leeway, c.InflightGrace
	s.rules, s.rulesErr = c.Rules, c.RulesErr
	s.base, s.pageRedirects = basePath{path: c.BasePath, stripped: c.BasePathStripped}, pageRedirects(c.Explore != nil)
	if s.public, err = s.newPublic(c); err != nil {
		return nil, err
	}
	s.admin = s.newAdmin(c.Metrics, c.Profiles)
	return s, nil
}

// Public returns the handler for callers.
func (s *Server) Public() http.Handler { return s.public }

// Admin returns the handler for operators: health, readiness, metrics and profiles. It belongs on a separate listener.
func (s *Server) Admin() http.Handler { return s.admin }

func (s *Server) newPublic(c Config) (http.Handler, error) {
	e := echo.New()
	e.HTTPErrorHandler = func(err error, _ echo.Context) {
		// accessLog has already written the response; errors that arrive here are those of a lost connection.
		s.log.Debug("response not sent", "error", err)
	}
	e.Pre(s.accessLog, s.base.strip, s.exactPath)
	e.Use(noOptions)
	r := &registrar{server: s, echo: e, compat: c.Compat}
	api.RegisterHandlers(r, s)
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	if c.Compat {
		s.redirects = s.operations
		e.GET(lokiReadyPath, s.lokiReady)
	}
	if err := registerPages(e, c.Explore, c.BasePath); err != nil {
		return nil, err
	}
	h := http.Handler(e)
	if len(c.CORSOrigins) > 0 {
		var err error
		if h, err = withCORS(e, c.CORSOrigins, s.tokenHeaders); err != nil {
			return nil, err
		}
	}
	return withReadDeadlines(withWriteDeadlines(h, s.clientTimeout), s.clientTimeout), nil
}

// withCORS lets pages of exactly these origins read responses. Tokens are sent in a header that pages set
// themselves, so the browser's own credentials (cookies) are not allowed.
func withCORS(h http.Handler, origins, tokenHeaders []string) (http.Handler, error) {
	allowed := []string{
		echo.HeaderAuthorization, echo.HeaderContentType, audit.HeaderRequestID, headerTenant, headerGrant, headerEncodingFlags,
		"Last-Event-ID", "Traceparent", "Tracestate", "Baggage", "X-Requested-With",
	}
	for _, name := range tokenHeaders {
		if !slices.Contains(allowed, name) {
			allowed = append(allowed, name)
		}
	}
	mw, err := cors.NewMiddleware(cors.Config{
		Origins:        origins,
		Methods:        []string{http.MethodGet, http.MethodPost},
		RequestHeaders: allowed,
		ResponseHeaders: []string{
			audit.HeaderRequestID, echo.HeaderRetryAfter, headerRateLimit, headerRateLimitPolicy, echo.HeaderWWWAuthenticate, echo.HeaderContentDisposition,
		},
		MaxAgeInSeconds: 600,
	})
	if err != nil {
		return nil, fielderror.New("CORSOrigins", "%w", err)
	}
	return mw.Wrap(h), nil
}

// registrar registers the generated routes, each behind the auth middleware of its operation. A route that is not in
// the operation table has no such middleware, and is an error rather than open.
type registrar struct {
	api.EchoRouter // only the two methods that the spec uses are called

	server *Server
	echo   *echo.Echo
	compat bool
	errs   []error
}

func (r *registrar) add(method, path string, h echo.HandlerFunc) *echo.Route {
	op, ok := r.server.operations[method+" "+path]
	if !ok {
		r.errs = append(r.errs, fmt.Errorf("%s %s is not in the spec", method, path))
		return nil
	}
	if !r.compat && isCompat(path) {
		return nil
	}
	return r.echo.Add(method, path, r.server.authenticated(op, h))
}

// GET registers an operation.
func (r *registrar) GET(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodGet, path, h)
}

// POST registers an operation.
func (r *registrar) POST(path string, h echo.HandlerFunc, _ ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodPost, path, h)
}

// authenticated is the middleware of every operation: authentication, then admission, then parameters, each refusing
// in case of doubt. Authentication comes first, so that callers without a token learn nothing about parameters and
// are not counted as a tenant's; then admission, so that a flood costs nothing more.
func (s *Server) authenticated(op *operation, h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := requestStateOf(c)
		d := &x.record
		s.recorder.Route(c.Request().Context(), op.id, op.route.Path)
		if s.rules != nil {
			c.Response().Header()[echo.HeaderVary] = append(c.Response().Header()[echo.HeaderVary], headerGrant)
		}
		who, err := s.identify(c.Request())
		d.Tenants, d.Subject, d.Issuer = who.Tenants, who.Subject, who.Issuer
		d.Grants, d.Generation, d.AnyTenant = who.choice.Names, who.Grants.Generation(), who.choice.Any
		if err != nil {
			return err
		}
		if who.limits, err = s.limitsOf(&who); err != nil {
			return err
		}
		x.caller = who
		ticket, err := s.admit(c, op)
		if err != nil {
			return err
		}
		defer ticket.Release()
		x.ticket = ticket
		if op.classOf(c) != limits.ClassQuery {
			// Exports, tails and streams have a place or are refused, so this waits for nothing. A query waits for its slot when it
			// is about to be sent to Loki.
			if err := x.Acquire(c.Request().Context()); err != nil {
				return err
			}
		}
		body, err := s.reserveBody(c)
		if err != nil {
			return err
		}
		defer body.release()
		values, err := s.read(c, op)
		if err != nil {
			return err
		}
		body.read()
		return s.whileGranted(c, op, func() error {
			return s.whileTokenValid(c, op, func() error { return h(&validatedRequest{Context: c, values: values}) })
		})
	}
}

// validatedRequest is a request whose parameters have been read and validated, from the URL or the form, so that
// the generated binding of the GET operation serves the form as well, and nothing reads them again.
type validatedRequest struct {
	echo.Context

	values url.Values
}

// QueryParams returns the validated parameters to the generated binding.
func (u *validatedRequest) QueryParams() url.Values { return u.values }

// read reads a request's parameters, and validates them against the spec.
func (s *Server) read(c echo.Context, op *operation) (url.Values, error) {
	r := c.Request()
	if err := refuseOverrides(r.Header); err != nil {
		return nil, err
	}
	for _, name := range op.headers {
		if n := len(r.Header.Values(name)); n > 1 {
			return nil, parameterInvalid(name, "The header %s is given %d times. Send it once.", name, n)
		}
	}
	if op.ignoresUnknown {
		encodingFlags(r.Header)
	}
	values, err := op.readParameters(r, s.maxBody)
	if err != nil {
		return nil, err
	}
	path := map[string]string{}
	for i, name := range c.ParamNames() {
		path[name] = c.ParamValues()[i]
	}
	if err := op.validate(r.Context(), r, path, values); err != nil || op.ignoresUnknown {
		return values, err
	}
	return values, checkTimes(values)
}

// overrides are canonical names of headers that make some servers treat a request as a different one.
var overrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url"}

func refuseOverrides(h http.Header) error {
	for _, name := range overrides {
		if len(h[name]) > 0 {
			return parameterInvalid("", "The header %s is not accepted. Remove it.", name)
		}
	}
	return nil
}

// withParserSlot parses a query in a slot of the caller's tenants, so that one tenant's flood of expensive queries does
// not delay the others'. The tenants are all of the token's: a header that names one of them would choose the share.
func (s *Server) withParserSlot(ctx context.Context, who *caller, parse func() error) (err error) {
	ctx, span := s.recorder.Span(ctx, "fence")
	defer func() { span.End(err) }()
	queued := time.Now()
	release, err := s.parsing.Acquire(ctx, who.own)
	if err != nil {
		return fmt.Errorf("wait to parse: %w", err)
	}
	defer release()
	began := time.Now()
	err = parse()
	s.recorder.Fenced(began.Sub(queued), time.Since(began))
	return err
}

// query fences a query of the caller's.
func (s *Server) query(c echo.Context, text string) (tenancy.Query, error) {
	who, d := callerOf(c), recordOf(c)
	d.Requested = append(d.Requested, text)
	if err := who.limits.CheckQuery(len(text)); err != nil {
		return tenancy.Query{}, err
	}
	q, ok := who.scope.Cached(text)
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

// newQuery fences a query that is not in the cache.
func (s *Server) newQuery(ctx context.Context, who *caller, text string) (q tenancy.Query, err error) {
	err = s.withParserSlot(ctx, who, func() (err error) {
		q, err = who.scope.Query(text)
		return err
	})
	return q, err
}

// selector fences a selector of the caller's. None means all of the scope.
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

// selectors fences the selectors of a request. None, or a single empty one, means all of the scope.
func (s *Server) selectors(c echo.Context, texts []string) (selectors []tenancy.Selector, err error) {
	who, d := callerOf(c), recordOf(c)
	if len(texts) == 0 || len(texts) == 1 && texts[0] == "" {
		selectors = []tenancy.Selector{who.scope.All()}
	} else {
		d.Requested = append(d.Requested, texts...)
		if err := checkSelectors(who.limits, texts); err != nil {
			return nil, err
		}
		err = s.withParserSlot(c.Request().Context(), who, func() (err error) {
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

// checkSelectors checks the selectors of a request against the limits on a query with as many.
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
