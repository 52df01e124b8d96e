package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tail"
)

// ofRefused is the response to a query that Loki rejects: its message where that is known, and a sentence of ours where
// it is not, since Loki's errors can print the fenced selector and the organization.
func ofRefused(err error, query string) *problem {
	var refused *loki.RefusedError
	if !errors.As(err, &refused) {
		return nil
	}
	c := codeLokiRefused
	if refused.Mistake() {
		c = codeQueryFailed
	}
	message, known := refused.Public(query)
	if !known {
		message = "Loki refused the query. Its reason is in the server's log, under the request id: ask your administrator."
	}
	return c.problem(err, "%s", message)
}

func ofLoki(err error) *problem {
	var dense *pages.DenseError
	switch {
	case errors.As(err, &dense):
		return codeTooDense.problem(err, "At %s there are %d lines or more of the same nanosecond, more than Loki returns at once. Narrow the query.",
			dense.Time().UTC().Format(lineTime), dense.Lines)
	case errors.Is(err, loki.ErrOrgID):
		return codeNoTenant.problem(err, "The tenant in the token is not a name that Loki accepts. Ask your administrator.")
	case errors.Is(err, loki.ErrParameter): // such as the first minute of 1970, which Loki misreads
		return codeParameterInvalid.problem(err, "A time or another parameter is out of the range that Loki accepts.")
	case errors.Is(err, loki.ErrUnavailable):
		return codeLokiUnavailable.problem(err, "Loki is not available at present. Try again shortly.").
			with(echo.HeaderRetryAfter, retryAfter(err))
	case errors.Is(err, tail.ErrTooManyPolled):
		return codeTooManyTails.problem(err, "Loki takes no more live tails at present, and too many different queries of the tenant are followed live. Close one.").
			with(echo.HeaderRetryAfter, retryLater)
	case errors.Is(err, loki.ErrRateLimited):
		return codeRateLimited.problem(err, "Loki accepts no more queries at present. Try again shortly.").
			inLoki("too many outstanding requests").
			with(echo.HeaderRetryAfter, retryLater)
	case errors.Is(err, loki.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return codeLokiTimeout.problem(err, "Loki did not respond in time. Request less data: a shorter time range, a narrower selector.").
			inLoki("timeout: " + lokiTimedOut)
	case errors.Is(err, loki.ErrNotEnabled):
		p := codeNotEnabled.problem(err, "This Loki does not have the feature, or has it disabled. Ask your administrator.").inLoki("not found")
		p.lokiStatus = http.StatusNotFound
		return p
	case errors.Is(err, loki.ErrTooLongForURL):
		return codeQueryTooLong.problem(err, "The query is too long for a live tail: it is sent to Loki in a URL, and a reverse proxy in front of Loki does not take one of this length. Shorten the query, or ask your administrator.").
			inLoki(lokiTooLong)
	case errors.Is(err, loki.ErrTooLong):
		return codeQueryTooLong.problem(err, "The query is too long for a reverse proxy in front of Loki. Shorten it, or ask your administrator.").
			inLoki(lokiTooLong)
	case errors.Is(err, loki.ErrDenied):
		return codeLokiDenied.problem(err, "Loki does not give this server access. Ask your administrator.")
	case errors.Is(err, loki.ErrNoUpgrade):
		return codeWebSocketBlocked.problem(err, "A reverse proxy in front of Loki does not pass on WebSockets, which live tails need. Ask your administrator.")
	case errors.Is(err, loki.ErrUnreachable):
		return codeLokiUnreachable.problem(err, "Loki cannot be reached at present. Try again shortly.")
	case errors.Is(err, loki.ErrFailed):
		return codeLokiFailed.problem(err, "Loki failed to process the request. Try again shortly.")
	}
	return nil
}

// lokiTooLong is what Loki reports of a query that its parser does not take for its length.
const lokiTooLong = "parse error : input size too long"

// lokiTimedOut is what Loki 3.7.8 reports of a query that timed out (ErrDeadlineExceeded in its pkg/util/server). Clients
// split a query, or retry it, where the text has "timeout" or "timed out".
const lokiTimedOut = "request timed out, decrease the duration of the request or add more label matchers (prefer exact match over regex match) to reduce the amount of data processed"

// retryAfter returns the time until the next health check of Loki, in seconds, rounded up.
func retryAfter(err error) string {
	var e *loki.Error
	if !errors.As(err, &e) || e.RetryAfter <= 0 {
		return retryLater
	}
	return strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds())))
}
