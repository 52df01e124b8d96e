package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/hint"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/tenancy"
)

// problem is an error response: RFC 9457, with a stable code. It is an error, so that handlers can return one; every
// other error is turned into one by [problemOf].
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id,omitempty"`
	// Parameter names the parameter at fault; Line and Column the place in the query, from 1.
	Parameter string `json:"parameter,omitempty"`
	Line      int    `json:"line,omitempty"`
	Column    int    `json:"column,omitempty"`
	// Hint is a common slip that the request probably has, and what to write instead.
	Hint string `json:"hint,omitempty"`
	// Grants are the names of the caller's grants, where it has to choose one.
	Grants []string `json:"grants,omitempty"`

	// loki is the text on Loki's surface, where it differs from the detail, and lokiStatus the status there.
	loki       string
	lokiStatus int

	// header is sent beside it; cause is for the log alone.
	header map[string]string
	cause  error
}

// Error returns the problem with its cause, for the log.
func (p *problem) Error() string {
	if p.cause == nil {
		return p.Code + ": " + p.Detail
	}
	return p.Code + ": " + p.Detail + " (" + p.cause.Error() + ")"
}

func (p *problem) Unwrap() error { return p.cause }

// code is a stable code with its status and title. A code is never reused for something else.
type code struct {
	name   string
	status int
	title  string
}

// The codes of the API.
var (
	codeQueryInvalid         = code{"query_invalid", http.StatusBadRequest, "Query is not valid LogQL"}
	codeQueryUnsupported     = code{"query_unsupported", http.StatusBadRequest, "Query is not supported"}
	codeKindWrong            = code{"kind_wrong", http.StatusBadRequest, "Query is of the wrong kind"}
	codeParameterInvalid     = code{"parameter_invalid", http.StatusBadRequest, "Parameter is not valid"}
	codeCursorInvalid        = code{"cursor_invalid", http.StatusBadRequest, "Cursor is not valid"}
	codeLokiRefused          = code{"loki_refused", http.StatusBadRequest, "Loki refused the query"}
	codeUnauthorized         = code{"unauthorized", http.StatusUnauthorized, "Token is missing or not valid"}
	codeGrantAmbiguous       = code{"grant_ambiguous", http.StatusForbidden, "Several grants apply"}
	codeGrantNotYours        = code{"grant_not_yours", http.StatusForbidden, "Grant is not the caller's"}
	codeGroupsLeftOut        = code{"groups_left_out", http.StatusForbidden, "Token has no groups"}
	codeTooManyTenants       = code{"too_many_tenants", http.StatusForbidden, "Too many tenants"}
	codeAccessChanged        = code{"access_changed", http.StatusForbidden, "Access has changed"}
	codeNoTenant             = code{"no_tenant", http.StatusForbidden, "Token names no tenant"}
	codeTenantNotYours       = code{"tenant_not_yours", http.StatusForbidden, "Tenant is not the caller's"}
	codeInsufficientScope    = code{"insufficient_scope", http.StatusForbidden, "Token lacks a scope"}
	codeNotFound             = code{"not_found", http.StatusNotFound, "No such resource"}
	codeMethodNotAllowed     = code{"method_not_allowed", http.StatusMethodNotAllowed, "Method is not allowed here"}
	codeNotAcceptable        = code{"not_acceptable", http.StatusNotAcceptable, "No acceptable media type"}
	codeBodyTooLarge         = code{"body_too_large", http.StatusRequestEntityTooLarge, "Body is too large"}
	codeMediaTypeUnsupported = code{"media_type_unsupported", http.StatusUnsupportedMediaType, "Media type is not supported"}
	codeQueryTooLong         = code{"query_too_long", http.StatusUnprocessableEntity, "Query is too long"}
	codeQueryTooComplex      = code{"query_too_complex", http.StatusUnprocessableEntity, "Query is too complex"}
	codeQueryTooWide         = code{"query_too_wide", http.StatusUnprocessableEntity, "Query covers too much time"}
	codeTooManyPoints        = code{"too_many_points", http.StatusUnprocessableEntity, "Query has too many points"}
	codeTooManyLines         = code{"too_many_lines", http.StatusUnprocessableEntity, "Query requests too many lines"}
	codeTooDense             = code{"too_dense", http.StatusUnprocessableEntity, "Too many lines share a nanosecond"}
	codeAnswerTooLarge       = code{"answer_too_large", http.StatusUnprocessableEntity, "Response is too large"}
	codeQueryReadsTooMuch    = code{"query_reads_too_much", http.StatusUnprocessableEntity, "Query reads too much"}
	codeQueryFailed          = code{"query_failed", http.StatusUnprocessableEntity, "Query cannot be evaluated"}
	codeUpgradeRequired      = code{"upgrade_required", http.StatusUpgradeRequired, "Not a WebSocket"}
	codeTooManyQueries       = code{"too_many_queries", http.StatusTooManyRequests, "Too many queries at once"}
	codeTooManyExports       = code{"too_many_exports", http.StatusTooManyRequests, "Too many exports at once"}
	codeTooManyTails         = code{"too_many_tails", http.StatusTooManyRequests, "Too many tails are open"}
	codeTooManyStreams       = code{"too_many_streams", http.StatusTooManyRequests, "Too many streams at once"}
	codeOriginForbidden      = code{"origin_forbidden", http.StatusForbidden, "Origin is not allowed"}
	codeRateLimited          = code{"rate_limited", http.StatusTooManyRequests, "Too many requests"}
	codeInternal             = code{"internal", http.StatusInternalServerError, "Internal error"}
	codeNotEnabled           = code{"not_enabled", http.StatusNotImplemented, "Feature is not enabled"}
	codeLokiUnreachable      = code{"loki_unreachable", http.StatusBadGateway, "Loki cannot be reached"}
	codeLokiFailed           = code{"loki_failed", http.StatusBadGateway, "Loki failed"}
	codeLokiDenied           = code{"loki_denied", http.StatusBadGateway, "Loki denies access"}
	codeWebSocketBlocked     = code{"websocket_blocked", http.StatusBadGateway, "Live tails of Loki are blocked"}
	codeOverloaded           = code{"overloaded", http.StatusServiceUnavailable, "Server is overloaded"}
	codeLokiUnavailable      = code{"loki_unavailable", http.StatusServiceUnavailable, "Loki is not available"}
	codeKeysUnavailable      = code{"keys_unavailable", http.StatusServiceUnavailable, "Tokens cannot be verified"}
	codeAuditUnavailable     = code{"audit_unavailable", http.StatusServiceUnavailable, "Request cannot be recorded"}
	codeLokiTimeout          = code{"loki_timeout", http.StatusGatewayTimeout, "Loki took too long"}
)

// problemsPath is the page that explains the codes.
const problemsPath = "/docs/problems"

func (c code) problem(cause error, format string, args ...any) *problem {
	return &problem{
		Type: problemsPath + "#" + c.name, Title: c.title, Status: c.status, Code: c.name,
		Detail: fmt.Sprintf(format, args...), cause: cause,
	}
}

func (p *problem) with(header, value string) *problem {
	if p.header == nil {
		p.header = map[string]string{}
	}
	p.header[header] = value
	return p
}

// inLoki sets the text on Loki's surface: Loki's own words, by which its clients decide.
func (p *problem) inLoki(text string) *problem {
	p.loki = text
	return p
}

// at adds the place in the query, from 1; 0 is none.
func (p *problem) at(line, column int) *problem {
	p.Line, p.Column = line, column
	return p
}

// hinted sets the hint; empty: there is none.
func (p *problem) hinted(hint string) *problem {
	p.Hint = hint
	return p
}

// withHint adds the hint to a query that is not valid. The queries are those of the request: of several, the error does not say
// which one it is about.
func (p *problem) withHint(queries ...string) *problem {
	if p.Code == codeQueryInvalid.name && len(queries) == 1 {
		p.Hint = hint.Query(queries[0], p.Line, p.Column)
	}
	return p
}

func parameterInvalid(name, format string, args ...any) *problem {
	p := codeParameterInvalid.problem(nil, format, args...)
	p.Parameter = name
	return p
}

const retryLater = "1" // seconds

// problemOf is the only place that turns errors into responses. Unknown errors are faults of logfence, and their text
// is not sent: a detail that has not been reviewed may hold an address or another tenant's name. The queries are those of
// the request, of which Loki's errors may repeat parts.
func problemOf(err error, queries ...string) *problem {
	ofRefused := func(err error) *problem { return ofRefused(err, strings.Join(queries, "\n")) }
	for _, in := range []func(error) *problem{asProblem, ofGrants, ofToken, ofRecord, ofQuery, ofLimits, ofRefused, ofLoki, ofRouter} {
		if p := in(err); p != nil {
			return p.withHint(queries...)
		}
	}
	return codeInternal.problem(err, "The request could not be handled. Report it with its request id.")
}

func asProblem(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	return nil
}

func ofToken(err error) *problem {
	var claim *auth.ClaimError
	switch {
	case errors.Is(err, auth.ErrNoToken):
		// RFC 6750 section 3.1: the response to a request without a token has the scheme and no error.
		return codeUnauthorized.problem(err, "Send a bearer token in the Authorization header.").
			with(echo.HeaderWWWAuthenticate, `Bearer realm="logfence"`)
	case errors.Is(err, auth.ErrInvalidToken):
		return codeUnauthorized.problem(err, "The token is not valid. Get a new one from your identity provider.").
			with(echo.HeaderWWWAuthenticate, `Bearer realm="logfence", error="invalid_token"`)
	case errors.As(err, &claim):
		return codeNoTenant.problem(err, "%s. Ask your administrator.", sentence(claim.Error()))
	case errors.Is(err, auth.ErrNoTenant), errors.Is(err, tenancy.ErrTenant):
		return codeNoTenant.problem(err, "The token names no tenant whose logs it may read. Ask your administrator.")
	case errors.Is(err, auth.ErrInvalidSelectorClaim), errors.Is(err, tenancy.ErrExtra):
		return codeNoTenant.problem(err, "The selector in the token cannot be applied. Ask your administrator.")
	case errors.Is(err, auth.ErrInsufficientScope):
		return codeInsufficientScope.problem(err, "The token lacks the scope for reading logs.").
			with(echo.HeaderWWWAuthenticate, `Bearer realm="logfence", error="insufficient_scope"`)
	case errors.Is(err, auth.ErrKeysUnavailable):
		return codeKeysUnavailable.problem(err, "The identity provider's keys are not available at present. Try again shortly.").
			with(echo.HeaderRetryAfter, retryLater)
	}
	return nil
}

func ofRecord(err error) *problem {
	if errors.Is(err, audit.ErrNotRecorded) {
		return codeAuditUnavailable.problem(err, "The audit record of the request cannot be written at present. Try again shortly.").
			with(echo.HeaderRetryAfter, retryLater)
	}
	return nil
}

func ofQuery(err error) *problem {
	var (
		invalid     *tenancy.InvalidError
		complexity  *tenancy.TooComplexError
		unsupported *tenancy.UnsupportedError
	)
	switch {
	case errors.As(err, &invalid):
		return codeQueryInvalid.problem(err, "%s", invalid.Message).at(invalid.Line, invalid.Column)
	case errors.Is(err, tenancy.ErrNotSelector):
		return codeQueryInvalid.problem(err, "Only a stream selector is taken here, such as {app=\"api\"}, without a pipeline or function.").
			inLoki("only label matchers are supported")
	case errors.As(err, &complexity):
		return codeQueryTooComplex.problem(err, "%s.", sentence(complexity.Error())).at(complexity.Line, complexity.Column)
	case errors.As(err, &unsupported):
		return codeQueryUnsupported.problem(err, "%s.", sentence(unsupported.Reason)).at(unsupported.Line, unsupported.Column)
	case errors.Is(err, tenancy.ErrTooLong):
		return codeQueryTooLong.problem(err, "The query is longer than the server's setting allows. Shorten it, or ask your administrator to raise the setting.").
			inLoki(lokiTooLong)
	}
	return nil
}

// codesOfLimits are the codes that the table of limits names, by their names.
var codesOfLimits = func() map[string]code {
	codes := map[string]code{}
	for _, c := range []code{
		codeRateLimited, codeTooManyQueries, codeTooManyExports, codeTooManyTails, codeTooManyStreams, codeQueryTooLong,
		codeQueryTooComplex, codeQueryTooWide, codeTooManyPoints, codeTooManyLines, codeAnswerTooLarge, codeQueryReadsTooMuch,
	} {
		codes[c.name] = c
	}
	return codes
}()

func ofLimits(err error) *problem {
	var exceeded *limits.ExceededError
	switch {
	case errors.As(err, &exceeded):
		c, known := codesOfLimits[exceeded.Limit.Code()]
		if !known {
			return nil
		}
		p := c.problem(err, "%s", exceeded.Detail).inLoki(exceeded.InLoki)
		if exceeded.RetryAfter > 0 {
			p = p.with(echo.HeaderRetryAfter, strconv.Itoa(ceilSeconds(exceeded.RetryAfter)))
		}
		return p
	case errors.Is(err, limits.ErrNoMemory):
		return codeOverloaded.problem(err, "The server has no memory free for the request at present. Try again shortly.").
			with(echo.HeaderRetryAfter, retryLater)
	case errors.Is(err, limits.ErrOverloaded):
		return codeOverloaded.problem(err, "Too many queries are waiting. Try again shortly.").
			inLoki("too many outstanding requests").
			with(echo.HeaderRetryAfter, retryLater)
	}
	return nil
}

func ofRouter(err error) *problem {
	var he *echo.HTTPError
	if !errors.As(err, &he) {
		return nil
	}
	switch he.Code {
	case http.StatusNotFound:
		return codeNotFound.problem(err, "There is nothing here. The API reference lists what there is.")
	case http.StatusMethodNotAllowed:
		return codeMethodNotAllowed.problem(err, "This resource does not accept that method; the Allow header lists those that it accepts.")
	case http.StatusBadRequest: // the generated binding of parameters
		return codeParameterInvalid.problem(err, "A parameter is not valid.")
	}
	return nil
}

func sentence(s string) string {
	s = strings.TrimSuffix(s, ".")
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// send writes the problem: as RFC 9457 on logfence's own paths, as Loki writes its errors on Loki's,
// where Loki's clients look for plain text.
func (p *problem) send(c echo.Context) error {
	compat := isCompat(c.Request().URL.Path)
	if compat {
		p.Status = p.statusInLoki()
	}
	h := c.Response().Header()
	// Those of a response that failed before its first byte; Echo keeps an existing media type.
	h.Del(echo.HeaderContentEncoding)
	h.Del(echo.HeaderContentType)
	for name, value := range p.header {
		h.Set(name, value)
	}
	if compat {
		return c.Blob(p.Status, echo.MIMETextPlainCharsetUTF8, []byte(p.lokiText()))
	}
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode problem: %w", err)
	}
	return c.Blob(p.Status, "application/problem+json", body)
}

// lokiText is the problem in Loki's words: editors look for the position in a parse error's text.
func (p *problem) lokiText() string {
	if p.loki != "" {
		return p.loki
	}
	if p.Code != codeQueryInvalid.name {
		return p.Detail
	}
	if p.Line == 0 {
		return "parse error : " + p.Detail
	}
	return "parse error at line " + strconv.Itoa(p.Line) + ", col " + strconv.Itoa(p.Column) + ": " + p.Detail
}

// statusInLoki is the status on Loki's surface. Loki has no 422: a query beyond a limit, or one that it cannot evaluate,
// is a 400 there.
func (p *problem) statusInLoki() int {
	switch {
	case p.lokiStatus != 0:
		return p.lokiStatus
	case p.Status == http.StatusUnprocessableEntity:
		return http.StatusBadRequest
	default:
		return p.Status
	}
}
