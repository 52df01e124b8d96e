package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// Verifier verifies a token and returns its principal.
type Verifier interface {
	VerifyCredential(ctx context.Context, c auth.Credential) (auth.Principal, error)
	// Ready returns nil while tokens can be verified.
	Ready() error
	// Regrant returns the principal of a credential that has been accepted before, by the grants in force now.
	Regrant(c auth.Credential) (auth.Principal, error)
	// Unusable names the issuers whose tokens cannot be verified now, for operators; nil: none.
	Unusable() error
}

// caller is the authenticated caller of a request, and the scope of its data.
type caller struct {
	auth.Principal
	scope  tenancy.Scope
	limits *limits.Effective
	own    []tenant.Name // the tenants of the token, sorted, whichever of them the request is about

	// With grants: what the caller has chosen, and of it what the request is about.
	choice, granted access.Choice
	credential      auth.Credential
}

// checkShape refuses a query that is nested deeper, or larger, than the caller's limits allow.
func (c *caller) checkShape(s tenancy.Shape) error {
	return c.limits.CheckShape(s.Depth, s.Selectors, s.RangeVector)
}

// callerOf returns the caller of a request. The auth middleware sets it on every route of an operation.
// If it were missing, the zero caller's zero scope would refuse everything.
func callerOf(c echo.Context) *caller { return &requestStateOf(c).caller }

// headerTenant narrows a caller of several tenants to one of its own.
const headerTenant = "X-Logfence-Tenant"

// identify checks the token and makes the caller's scope.
func (s *Server) identify(r *http.Request) (caller, error) {
	credential, err := auth.ReadCredential(r.Header, s.tokenHeaders, s.basicToken)
	if err != nil {
		return caller{}, err
	}
	ctx, span := s.recorder.Span(r.Context(), "token")
	principal, err := s.verifier.VerifyCredential(ctx, credential)
	span.End(err)
	if err != nil {
		// Of a genuine token that is refused, the principal has issuer and subject for the record, and no tenants.
		return caller{Principal: principal}, err
	}
	if principal.Ambient && fromOtherSite(r.Header) {
		return caller{Principal: principal}, codeOriginForbidden.problem(nil, "Pages of other sites may not send requests with your sign-in.")
	}
	if s.rules != nil {
		who, err := s.withGrant(r.Header, principal)
		who.credential = credential
		return who, err
	}
	if len(r.Header[headerGrant]) > 0 {
		return caller{Principal: principal}, grantNotYours(access.ErrNotYours)
	}
	own := principal.Tenants
	if len(own) > 1 {
		own = slices.Compact(slices.Sorted(slices.Values(own)))
	}
	if principal.Tenants, err = selectedTenants(r.Header, principal.Tenants); err != nil {
		return caller{Principal: principal}, err
	}
	scope, err := s.fence.Scope(principal.Tenants, principal.Selector)
	if err != nil {
		return caller{Principal: principal}, err
	}
	return caller{Principal: principal, scope: scope, own: own}, nil
}

// fromOtherSite reports whether a browser says that a page of another site has caused the request
// (https://www.w3.org/TR/fetch-metadata/).
func fromOtherSite(h http.Header) bool {
	return slices.Contains(h["Sec-Fetch-Site"], "cross-site")
}

// selectedTenants returns the tenants of the request: all of the caller's own, or the one of them that the header
// names. Its error does not reveal whether a foreign tenant exists. With an error all of the caller's tenants are
// returned, for the record of the refused caller.
func selectedTenants(h http.Header, own []tenant.Name) ([]tenant.Name, error) {
	given := h.Values(headerTenant)
	switch {
	case len(given) == 0:
		return own, nil
	case len(given) > 1:
		return own, parameterInvalid(headerTenant, "The header %s is given %d times. Send it once.", headerTenant, len(given))
	case !slices.Contains(own, tenant.Name(given[0])):
		return own, codeTenantNotYours.problem(fmt.Errorf("requested the tenant %s", printable(given[0])),
			"The header %s names a tenant that is not in the token. Use one of the token's tenants, or leave the header out.", headerTenant)
	}
	return []tenant.Name{tenant.Name(given[0])}, nil
}
