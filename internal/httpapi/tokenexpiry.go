package httpapi

import (
	"context"
	"errors"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/limits"
)

// whileTokenValid runs an operation whose context ends when its token has expired, leeway and grace included: an
// export can last for hours, in which its caller may have lost access. What has not been sent then is an error, and
// what has been sent in part is aborted. Tails end with their token by themselves, and other requests take no time.
func (s *Server) whileTokenValid(c echo.Context, op *operation, next func() error) error {
	if op.class != limits.ClassQuery && op.class != limits.ClassExport {
		return next()
	}
	r := c.Request()
	// Not a deadline, which would look like a timeout of Loki's.
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	expiry := time.AfterFunc(callerOf(c).Expiry.Add(s.leeway+s.inflightGrace).Sub(s.now()), func() { cancel(errTokenExpired) })
	defer expiry.Stop()
	c.SetRequest(r.WithContext(ctx))
	defer c.SetRequest(r) // after this, only the client's own end counts
	err := next()
	if err != nil && errors.Is(context.Cause(ctx), errTokenExpired) {
		return tokenExpired()
	}
	return err
}

// tokenExpired is the response to a request whose token has expired while it was in flight.
func tokenExpired() *problem {
	return codeUnauthorized.problem(errTokenExpired, "The token has expired. Get a new one from your identity provider.").
		with(echo.HeaderWWWAuthenticate, `Bearer realm="logfence", error="invalid_token"`)
}
