package httpapi

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/tenancy"
)

// Verifier tells whom a token speaks for.
type Verifier interface {
	Verify(ctx context.Context, token string) (auth.Principal, error)
	Ready() error
}

// caller is who asks, and what the answer may come from.
type caller struct {
	auth.Principal
	scope tenancy.Scope
}

const callerKey = "logfence.caller"

// callerOf is the caller of a request. The middleware has set it: a route without one does not exist.
// Were it missing after all, the zero caller's zero scope would refuse everything.
func callerOf(c echo.Context) caller {
	who, _ := c.Get(callerKey).(caller)
	return who
}

// identify checks the token and makes the caller's scope.
func (s *Server) identify(r *http.Request) (caller, error) {
	read := auth.BearerToken
	if s.basicToken {
		read = auth.BearerOrBasicToken
	}
	token, err := read(r.Header)
	if err != nil {
		return caller{}, err
	}
	principal, err := s.verifier.Verify(r.Context(), token)
	if err != nil {
		return caller{}, err
	}
	scope, err := s.fence.Scope(principal.Tenants, principal.Selector)
	if err != nil {
		return caller{Principal: principal}, err
	}
	return caller{Principal: principal, scope: scope}, nil
}
