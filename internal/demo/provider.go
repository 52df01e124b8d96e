package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// ClientID is the one client that may sign users in: a public one, so with PKCE, on any loopback
// port. It is for the explorer, for command lines, and for tests.
const ClientID = "logfence-demo"

// redirects are where users may be sent back to, on any port.
var redirects = []string{
	"http://127.0.0.1/callback", "http://localhost/callback",
	"http://127.0.0.1/explore", "http://localhost/explore",
	"http://127.0.0.1/explore/", "http://localhost/explore/",
	"http://127.0.0.1/portal/logs/explore", // of the tests below a path
}

const (
	signInTime  = 10 * time.Minute // from being sent to sign in until the code is exchanged
	maxSignIns  = 1000             // in progress at once; more is no human being
	maxPages    = 20
	keysPath    = "jwks.json"
	signInField = "request"
)

// newProvider is the OpenID Connect provider of an issuer, with authorization code and PKCE: zitadel's,
// which passes the conformance tests. Ours is only what it keeps, and the page to sign in.
func newProvider(i *Issuer) (http.Handler, error) {
	s := &signIns{issuer: i, byID: map[string]*signIn{}, byCode: map[string]string{}}
	config := &op.Config{CodeMethodS256: true, SupportedScopes: []string{oidc.ScopeOpenID, oidc.ScopeProfile}}
	if _, err := rand.Read(config.CryptoKey[:]); err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	p, err := op.NewProvider(config, s, op.StaticIssuer(i.url),
		op.WithAllowInsecure(), // http, on the loopback interface
		op.WithCustomKeysEndpoint(op.NewEndpoint(keysPath)),
		op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, fmt.Errorf("make the provider: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sign-in", s.showPage)
	mux.Handle("POST /sign-in", op.NewIssuerInterceptor(p.IssuerFromRequest).HandlerFunc(s.takePage(op.AuthCallbackURL(p))))
	mux.Handle("/", p)
	return mux, nil
}

// signIns is what the provider keeps: who is signing in at present. It implements op.Storage; what the
// one client does not do is refused there.
type signIns struct {
	issuer *Issuer

	mu     sync.Mutex
	byID   map[string]*signIn
	byCode map[string]string // the id
	// pages are where users were sent back to: pages on any port, and signing out leads to them as well.
	pages []string
}

var _ op.Storage = (*signIns)(nil)

// signIn is one authorization request. Copies are handed out: the original is changed under the lock.
type signIn struct {
	id        string
	began     time.Time
	requested oidc.AuthRequest
	person    Person
	done      bool
	proofed   time.Time
}

var errNoSignIn = errors.New("no such sign-in; it may have taken too long")

func (s *signIn) GetID() string                      { return s.id }
func (s *signIn) GetACR() string                     { return "" }
func (s *signIn) GetAudience() []string              { return []string{Audience, ClientID} }
func (s *signIn) GetAuthTime() time.Time             { return s.proofed }
func (s *signIn) GetClientID() string                { return s.requested.ClientID }
func (s *signIn) GetNonce() string                   { return s.requested.Nonce }
func (s *signIn) GetRedirectURI() string             { return s.requested.RedirectURI }
func (s *signIn) GetScopes() []string                { return s.requested.Scopes }
func (s *signIn) GetState() string                   { return s.requested.State }
func (s *signIn) GetSubject() string                 { return s.person.subject() }
func (s *signIn) Done() bool                         { return s.done }
func (s *signIn) GetAMR() []string                   { return []string{"pwd"} }
func (s *signIn) GetResponseType() oidc.ResponseType { return s.requested.ResponseType }
func (s *signIn) GetResponseMode() oidc.ResponseMode { return s.requested.ResponseMode }
func (s *signIn) GetCodeChallenge() *oidc.CodeChallenge {
	if s.requested.CodeChallenge == "" {
		return nil
	}
	return &oidc.CodeChallenge{Challenge: s.requested.CodeChallenge, Method: s.requested.CodeChallengeMethod}
}

// CreateAuthRequest begins a sign-in.
func (s *signIns) CreateAuthRequest(_ context.Context, requested *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	if slices.Contains(requested.Prompt, oidc.PromptNone) {
		return nil, oidc.ErrLoginRequired() // nobody stays signed in
	}
	if requested.CodeChallenge == "" || requested.CodeChallengeMethod != oidc.CodeChallengeMethodS256 {
		return nil, oidc.ErrInvalidRequest().WithDescription("send a code_challenge of the method S256")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetOld()
	if len(s.byID) >= maxSignIns {
		return nil, oidc.ErrServerError().WithDescription("too many sign-ins are in progress")
	}
	in := &signIn{id: rand.Text(), began: time.Now(), requested: *requested}
	s.byID[in.id] = in
	if !slices.Contains(s.pages, requested.RedirectURI) {
		s.pages = append(s.pages, requested.RedirectURI)
		s.pages = s.pages[max(0, len(s.pages)-maxPages):]
	}
	handed := *in
	return &handed, nil
}

// forgetOld forgets sign-ins that took too long; the caller holds the lock.
func (s *signIns) forgetOld() {
	for id, in := range s.byID {
		if time.Since(in.began) > signInTime {
			delete(s.byID, id)
		}
	}
	for code, id := range s.byCode {
		if s.byID[id] == nil {
			delete(s.byCode, code)
		}
	}
}

// AuthRequestByID is a sign-in that is in progress.
func (s *signIns) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	in, err := s.get(id)
	if err != nil {
		return nil, err
	}
	return in, nil
}

func (s *signIns) get(id string) (*signIn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetOld()
	in, ok := s.byID[id]
	if !ok {
		return nil, errNoSignIn
	}
	handed := *in
	return &handed, nil
}

// finish sets the user of a sign-in.
func (s *signIns) finish(id string, who Person) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetOld()
	in, ok := s.byID[id]
	if !ok || in.done {
		return errNoSignIn
	}
	in.person, in.done, in.proofed = who, true, time.Now()
	return nil
}

// AuthRequestByCode is the sign-in that a code was given for. A code is good for one try.
func (s *signIns) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	id, ok := s.byCode[code]
	delete(s.byCode, code)
	s.mu.Unlock()
	if !ok {
		return nil, errNoSignIn
	}
	return s.AuthRequestByID(ctx, id)
}

// SaveAuthCode remembers the code of a sign-in.
func (s *signIns) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byCode[code] = id
	return nil
}

// DeleteAuthRequest ends a sign-in.
func (s *signIns) DeleteAuthRequest(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
	return nil
}

// CreateAccessToken says how long a token is valid; the provider makes and signs it.
func (s *signIns) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	return rand.Text(), time.Now().Add(tokenLifetime), nil
}

// GetPrivateClaimsFromScopes are the claims of an access token that logfence looks for.
func (s *signIns) GetPrivateClaimsFromScopes(_ context.Context, subject, _ string, _ []string) (map[string]any, error) {
	who, ok := personBy(func(p Person) bool { return p.subject() == subject })
	if !ok {
		return nil, errors.New("nobody by that name")
	}
	return map[string]any{tenantClaim: who.tenantClaim()}, nil
}

// SigningKey is the issuer's key of the moment.
func (s *signIns) SigningKey(context.Context) (op.SigningKey, error) {
	return s.issuer.currentKey(), nil
}

// SignatureAlgorithms are those that tokens are signed with.
func (s *signIns) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}

// KeySet is what the provider publishes.
func (s *signIns) KeySet(context.Context) ([]op.Key, error) {
	s.issuer.mu.Lock()
	defer s.issuer.mu.Unlock()
	keys := []op.Key{publicKey{signingKey{s.issuer.key}}}
	for _, old := range s.issuer.old {
		keys = append(keys, publicKey{signingKey{old}})
	}
	return keys, nil
}

// currentKey is the issuer's key in the provider's terms.
func (i *Issuer) currentKey() signingKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return signingKey{i.key}
}

// signingKey and publicKey are the two halves of a key.
type signingKey struct{ jwk jwk.Key }

func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k signingKey) ID() string                                  { return k.jwk.KeyID() }
func (k signingKey) Key() any                                    { return raw(k.jwk.Raw) }

type publicKey struct{ signingKey }

func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any {
	public, err := k.jwk.PublicKey()
	if err != nil {
		return nil // what is nil cannot be published: the provider fails
	}
	return raw(public.Raw)
}

func raw(read func(any) error) any {
	var key any
	if err := read(&key); err != nil {
		return nil
	}
	return key
}

// GetClientByClientID is the one client.
func (s *signIns) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != ClientID {
		return nil, errors.New("no such client")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return client{pages: slices.Clone(s.pages)}, nil
}

// client is ClientID.
type client struct{ pages []string }

func (client) GetID() string                       { return ClientID }
func (client) RedirectURIs() []string              { return redirects }
func (c client) PostLogoutRedirectURIs() []string  { return c.pages }
func (client) ApplicationType() op.ApplicationType { return op.ApplicationTypeNative } // loopback, any port (RFC 8252 section 7.3)

func (client) AuthMethod() oidc.AuthMethod { return oidc.AuthMethodNone }

func (client) ResponseTypes() []oidc.ResponseType { return []oidc.ResponseType{oidc.ResponseTypeCode} }

func (client) GrantTypes() []oidc.GrantType { return []oidc.GrantType{oidc.GrantTypeCode} }

func (client) LoginURL(id string) string { return "/sign-in?" + signInField + "=" + id }

func (client) AccessTokenType() op.AccessTokenType                          { return op.AccessTokenTypeJWT }
func (client) IDTokenLifetime() time.Duration                               { return time.Hour }
func (client) DevMode() bool                                                { return false }
func (client) IsScopeAllowed(string) bool                                   { return false }
func (client) IDTokenUserinfoClaimsAssertion() bool                         { return false }
func (client) ClockSkew() time.Duration                                     { return 0 }
func (client) RestrictAdditionalIdTokenScopes() func([]string) []string     { return all }
func (client) RestrictAdditionalAccessTokenScopes() func([]string) []string { return all }

func all(scopes []string) []string { return scopes }

// What follows is of grants that the client does not have.

var errNotOffered = errors.New("not offered by the demo")

// CreateAccessAndRefreshTokens refuses: there are no refresh tokens.
func (s *signIns) CreateAccessAndRefreshTokens(context.Context, op.TokenRequest, string) (string, string, time.Time, error) {
	return "", "", time.Time{}, errNotOffered
}

// TokenRequestByRefreshToken refuses.
func (s *signIns) TokenRequestByRefreshToken(context.Context, string) (op.RefreshTokenRequest, error) {
	return nil, op.ErrInvalidRefreshToken
}

// GetRefreshTokenInfo refuses.
func (s *signIns) GetRefreshTokenInfo(context.Context, string, string) (string, string, error) {
	return "", "", op.ErrInvalidRefreshToken
}

// TerminateSession has nothing to end: nobody stays signed in.
func (s *signIns) TerminateSession(context.Context, string, string) error { return nil }

// RevokeToken refuses: tokens are valid until they expire.
func (s *signIns) RevokeToken(context.Context, string, string, string) *oidc.Error {
	return oidc.ErrInvalidRequest().WithParent(errNotOffered)
}

// AuthorizeClientIDSecret refuses: the client has no secret.
func (s *signIns) AuthorizeClientIDSecret(context.Context, string, string) error {
	return errNotOffered
}

// SetUserinfoFromScopes sets the name, for the ID token.
func (s *signIns) SetUserinfoFromScopes(_ context.Context, info *oidc.UserInfo, subject, _ string, _ []string) error {
	who, ok := personBy(func(p Person) bool { return p.subject() == subject })
	if !ok {
		return errors.New("nobody by that name")
	}
	info.Subject, info.PreferredUsername = subject, who.Name
	return nil
}

// SetUserinfoFromToken sets it at the provider's userinfo endpoint.
func (s *signIns) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, _, subject, _ string) error {
	return s.SetUserinfoFromScopes(ctx, info, subject, "", nil)
}

// SetIntrospectionFromToken refuses.
func (s *signIns) SetIntrospectionFromToken(context.Context, *oidc.IntrospectionResponse, string, string, string) error {
	return errNotOffered
}

// GetKeyByIDAndClientID refuses: the client has no keys.
func (s *signIns) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errNotOffered
}

// ValidateJWTProfileScopes refuses.
func (s *signIns) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errNotOffered
}

// Health succeeds as long as the process is running.
func (s *signIns) Health(context.Context) error { return nil }
