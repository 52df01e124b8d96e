package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/tenant"
)

// headerGrant chooses one of the caller's grants.
const headerGrant = "X-Logfence-Grant"

// withGrant makes the caller of a token with grants: what it has chosen, narrowed to the tenant that it names. With an
// error it is the refused caller, for the record.
func (s *Server) withGrant(h http.Header, p auth.Principal) (caller, error) {
	choice, granted, err := chosen(h, p)
	who := caller{Principal: p, choice: choice, granted: granted}
	if who.Tenants = slices.Clone(granted.Tenants); granted.Any {
		who.Tenants = []tenant.Name{tenant.Any}
	}
	if who.own = choice.Tenants; choice.Any {
		who.own = []tenant.Name{tenant.Any}
	}
	switch {
	case err != nil:
		return who, err
	case granted.Any && s.loki.OrgPerTenant():
		return who, parameterInvalid(headerTenant, "Your grant covers every tenant, and here each has an organization of its own in Loki. Name one with the header %s.", headerTenant)
	case granted.Any:
		who.scope, err = s.fence.AnyTenant(granted.Selector.String(), p.Selector)
	default:
		who.scope, err = s.fence.Scope(granted.Tenants, granted.Selector.String(), p.Selector)
	}
	return who, err
}

// chosen returns what the headers choose of a token's grants, and what of it the request is about. With an error the
// record gets the choice as far as it was made.
func chosen(h http.Header, p auth.Principal) (choice, granted access.Choice, err error) {
	given := h[headerGrant]
	if len(given) > 1 {
		return choice, granted, parameterInvalid(headerGrant, "The header %s is given %d times. Send it once.", headerGrant, len(given))
	}
	choice, err = p.Grants.Choose(strings.Join(given, ""), len(given) == 1)
	if err != nil {
		return access.Choice{}, granted, err
	}
	granted = choice
	if !choice.Any {
		granted.Tenants, err = selectedTenants(h, choice.Tenants)
		return choice, granted, err
	}
	if names := h.Values(headerTenant); len(names) == 1 && tenant.Name(names[0]).Valid() {
		granted.Any, granted.Tenants = false, []tenant.Name{tenant.Name(names[0])}
		return choice, granted, nil
	}
	_, err = selectedTenants(h, nil) // no header, or one that is refused
	return choice, granted, err
}

// limitsOf are the limits of the caller's request: those of its tenants, or of the class that its grant names. Access
// to every tenant counts under a name of its own, whichever tenant the request is about: a tenant does not pay for it.
func (s *Server) limitsOf(who *caller) (*limits.Effective, error) {
	names := who.Tenants
	if who.choice.Any {
		names = who.own
	}
	if who.choice.Limits == "" {
		return s.limits.Of(names), nil
	}
	l, err := s.limits.OfClass(names, who.choice.Limits)
	if err != nil {
		return nil, fmt.Errorf("grant %s: %w", strings.Join(who.choice.Names, ", "), err)
	}
	return l, nil
}

// ofGrants is the response to a token whose grants give it nothing, or not what it has chosen.
func ofGrants(err error) *problem {
	var (
		ambiguous *access.AmbiguousError
		tooMany   *access.TooManyError
	)
	switch {
	case errors.As(err, &ambiguous):
		p := codeGrantAmbiguous.problem(err, "Several grants apply to your token. Choose one with the header %s: %s.", headerGrant, someNames(ambiguous.Names))
		p.Grants = ambiguous.Names
		return p
	case errors.Is(err, access.ErrNotYours):
		return grantNotYours(err)
	case errors.Is(err, access.ErrLeftOut):
		return codeGroupsLeftOut.problem(err, "Your identity provider has left your groups out of the token, since there are too many. Ask your administrator.")
	case errors.As(err, &tooMany):
		return codeTooManyTenants.problem(err, "Your token is given %d %s; at most %d are accepted. Ask your administrator.", tooMany.Count, tooMany.What, tooMany.Limit)
	default:
		return nil
	}
}

func grantNotYours(err error) *problem {
	return codeGrantNotYours.problem(err, "The header %s names a grant that is not yours. Use one that GET /api/v1/me lists, or leave the header out.", headerGrant)
}

// someNames lists names, as many as a sentence has room for.
func someNames(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), len(names)-most)
}

// myGrants lists what a caller may choose, for GET /api/v1/me; nil without grants.
func myGrants(who *caller) *[]api.MyGrant {
	if who.Grants.IsZero() {
		return nil
	}
	all := []api.MyGrant{}
	for _, c := range who.Grants.All() {
		g := api.MyGrant{
			Names: c.Names, Tenants: tenant.Texts(c.Tenants), AnyTenant: c.Any, Selector: stringOrNil(c.Selector.String()),
			Default: c.Default, Chosen: slices.Equal(c.Names, who.choice.Names),
		}
		if g.Tenants == nil {
			g.Tenants = []string{}
		}
		all = append(all, g)
	}
	return &all
}

// grantedRequests are the requests in flight that read streams, to be checked again when the grants change.
type grantedRequests struct {
	mu   sync.Mutex
	open map[*grantedRequest]struct{}
}

type grantedRequest struct {
	header http.Header
	who    *caller
	end    context.CancelCauseFunc
}

// whileGranted runs an operation whose context ends when the grants change so that they no longer give what it reads.
// What has not been sent then is a problem, and what has been sent in part is aborted.
func (s *Server) whileGranted(c echo.Context, op *operation, next func() error) error {
	if s.rules == nil || op.class == limits.ClassRequest {
		return next()
	}
	r := c.Request()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	g := &grantedRequest{header: r.Header, who: callerOf(c), end: cancel}
	s.granted.add(g)
	defer s.granted.remove(g)
	if s.rules().Generation() != g.who.Grants.Generation() { // they have changed since the token was read
		s.checkAgain(g)
	}
	c.SetRequest(r.WithContext(ctx))
	defer c.SetRequest(r)
	return accessChanged(ctx, next())
}

func (l *grantedRequests) add(g *grantedRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[*grantedRequest]struct{}{}
	}
	l.open[g] = struct{}{}
}

func (l *grantedRequests) remove(g *grantedRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, g)
}

// AccessChanged checks the requests in flight against the grants that are in force now, and ends those that no longer
// may read what they read. It is called after they have changed.
func (s *Server) AccessChanged() {
	s.granted.mu.Lock()
	open := make([]*grantedRequest, 0, len(s.granted.open))
	for g := range s.granted.open {
		open = append(open, g)
	}
	s.granted.mu.Unlock()
	for _, g := range open {
		s.checkAgain(g)
	}
}

// checkAgain ends the request unless the same choice of the same token still gives all that it reads.
func (s *Server) checkAgain(g *grantedRequest) {
	principal, err := s.verifier.Regrant(g.who.credential)
	if err == nil {
		var granted access.Choice
		if _, granted, err = chosen(g.header, principal); err == nil && granted.Contains(g.who.granted) {
			return
		}
	}
	g.end(errAccessChanged)
}

// accessChanged is the error of a request that was ended since the grants have changed; any other is left as it is.
func accessChanged(ctx context.Context, err error) error {
	if err == nil || !errors.Is(context.Cause(ctx), errAccessChanged) {
		return err
	}
	return accessChangedProblem()
}

func accessChangedProblem() *problem {
	return codeAccessChanged.problem(errAccessChanged, "What your token may read has changed while the request was in flight. Repeat it.")
}
