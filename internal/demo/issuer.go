package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

// Audience is the audience of the tokens that an [Issuer] signs by default.
const Audience = "logfence"

// tenantClaim is the claim of the tenants, by logfence's default.
const tenantClaim = "tenant_id"

// Issuer is a throwaway issuer of tokens: an OpenID Connect provider on a loopback port, where [Users]
// sign in for the client [ClientID], and which signs any other token for its owner (see
// [Issuer.Token]). Its keys are made at the start, ES256 because such tokens are short enough to paste.
type Issuer struct {
	url   string
	close func() error // stops the server and waits for it, once

	mu  sync.Mutex
	key jwk.Key
	old []jwk.Key // published still, and not signed with
	nth int
}

// StartIssuer starts an issuer; the caller has to close it. ctx bounds the start alone.
func StartIssuer(ctx context.Context) (*Issuer, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start issuer: %w", err)
	}
	i := &Issuer{url: "http://" + listener.Addr().String()}
	if err := i.Rotate(); err != nil {
		return nil, errors.Join(fmt.Errorf("start issuer: %w", err), listener.Close())
	}
	provider, err := newProvider(i)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start issuer: %w", err), listener.Close())
	}
	server := &http.Server{Handler: provider, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	i.close = sync.OnceValue(func() error {
		err := server.Close()
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
		return err
	})
	return i, nil
}

// URL is the issuer's name, the claim iss of its tokens.
func (i *Issuer) URL() string { return i.url }

// JWKSURL is where the issuer's public key is.
func (i *Issuer) JWKSURL() string { return i.url + "/" + keysPath }

// Close stops the issuer. The tokens it signed stay valid wherever its key is trusted.
func (i *Issuer) Close() error { return i.close() }

// Rotate makes a new key with a new key ID, and publishes it in place of the old ones: from now on
// nothing that they have signed is valid.
func (i *Issuer) Rotate() error { return i.rotate(false) }

// RotateGently does so as providers do, with the old keys still published: what they have signed stays
// valid.
func (i *Issuer) RotateGently() error { return i.rotate(true) }

func (i *Issuer) rotate(keep bool) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	key, err := jwk.FromRaw(private)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.nth++
	err = errors.Join(
		key.Set(jwk.KeyIDKey, fmt.Sprintf("demo-%d", i.nth)),
		key.Set(jwk.AlgorithmKey, jwa.ES256),
		key.Set(jwk.KeyUsageKey, "sig"),
	)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	if !keep {
		i.old = nil
	} else if i.key != nil {
		i.old = append(i.old, i.key)
	}
	i.key = key
	return nil
}

// Claims are those of a token. The zero value makes a valid token without a subject and a tenant.
type Claims struct {
	Subject string
	// Tenant is the claim tenant_id: a string, or whatever else is to be tried; nil leaves it out.
	Tenant any
	// Lifetime is how long the token is valid, an hour if zero; below zero it has expired already.
	Lifetime time.Duration
	// Extra sets any claim, those above included; nil as a value takes the claim out.
	Extra map[string]any
}

// Token signs a token with the current key.
func (i *Issuer) Token(c Claims) (string, error) {
	if c.Lifetime == 0 {
		c.Lifetime = time.Hour
	}
	now := time.Now()
	claims := map[string]any{
		jwt.IssuerKey: i.url, jwt.AudienceKey: Audience,
		jwt.IssuedAtKey: now.Unix(), jwt.ExpirationKey: now.Add(c.Lifetime).Unix(),
	}
	if c.Subject != "" {
		claims[jwt.SubjectKey] = c.Subject
	}
	claims[tenantClaim] = c.Tenant
	for name, value := range c.Extra {
		claims[name] = value
	}
	token := jwt.New()
	for name, value := range claims {
		if value == nil {
			continue
		}
		if err := token.Set(name, value); err != nil {
			return "", fmt.Errorf("set claim %s: %w", name, err)
		}
	}
	i.mu.Lock()
	key := i.key
	i.mu.Unlock()
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.ES256, key))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return string(signed), nil
}
