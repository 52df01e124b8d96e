// Package demo runs everything that logfence stands between, for a first look and for tests: a real
// Loki with the logs of two tenants, and an OpenID Connect provider where their users sign in.
//
// Guarantee: what Start and StartLoki began, Close ends: no process, no port and no folder is left,
// and on Linux Loki dies with us even when we are killed. What Find calls a Loki is a whole and
// working Grafana Loki of 3.1 or newer.
//
// Not promised here: safety. Both listen on the loopback interface for anybody on this machine, and
// the issuer's tokens are printed, as the passwords are. Nothing of this belongs near real logs.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// tokenLifetime is long enough for the tokens to outlive the look around.
const tokenLifetime = 12 * time.Hour

// betaService is who the token of [Beta] alone belongs to; it cannot sign in.
const betaService = "beta-service"

// Options configure the demo.
type Options struct {
	// Loki is the path of the Loki to use; empty for what [Find] finds.
	Loki string
	// Progress gets a line for each step; nil: none.
	Progress io.Writer
	// Seed makes other logs than the usual ones.
	Seed uint64
}

// Demo is a real Loki with logs of two tenants, more of them each second, and an issuer of tokens.
type Demo struct {
	Loki   *Loki
	Issuer *Issuer
	// Tokens are valid tokens of [Users], by name, as they would get them by signing in; and one of a
	// service that is in [Beta] alone.
	Tokens map[string]string

	stop    context.CancelFunc
	trickle chan error // how the trickle ended
	failed  chan error // what ended unexpectedly
}

// Start finds or builds Loki, starts it, writes the logs of the past hour, and goes on writing until
// [Demo.Close], which the caller has to call. ctx bounds the start alone.
func Start(ctx context.Context, o Options) (*Demo, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	found, err := Find(ctx, FindOptions{Loki: o.Loki, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	d := &Demo{Tokens: map[string]string{}, failed: make(chan error, 1)}
	if err := d.start(ctx, found, o); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Demo) start(ctx context.Context, found Binaries, o Options) (err error) {
	say(o.Progress, "Starting Loki %s (%s).\n", found.Version, found.Loki)
	if d.Loki, err = StartLoki(ctx, LokiOptions{Binary: found.Loki}); err != nil {
		return err
	}
	now := time.Now()
	if err := d.Loki.Push(ctx, Logs(now.Add(-time.Hour), now, o.Seed)...); err != nil {
		return err
	}
	if d.Issuer, err = StartIssuer(ctx); err != nil {
		return err
	}
	for _, who := range Users {
		d.Tokens[who.Name], err = d.Issuer.Token(Claims{Subject: who.subject(), Tenant: who.tenantClaim(), Lifetime: tokenLifetime})
		if err != nil {
			return err
		}
	}
	if d.Tokens[betaService], err = d.Issuer.Token(Claims{Subject: betaService, Tenant: Beta, Lifetime: tokenLifetime}); err != nil {
		return err
	}
	d.keepWriting(ctx, now, o.Seed)
	return nil
}

// keepWriting starts the trickle, which ends at Close.
func (d *Demo) keepWriting(ctx context.Context, from time.Time, seed uint64) {
	ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx)) // ctx is the start's
	d.trickle = make(chan error, 1)
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		err := Trickle(ctx, d.Loki, from, seed, tick.C)
		if err != nil {
			d.failed <- err
		}
		d.trickle <- err
	}()
}

// Failed receives what ended the demo without [Demo.Close], such as Loki's death.
func (d *Demo) Failed() <-chan error { return d.failed }

// Close stops everything and removes what was written. The second call does nothing.
func (d *Demo) Close() error {
	var errs []error
	if d.trickle != nil {
		d.stop()
		<-d.trickle //nolint:errcheck // why it ended no longer matters
		d.trickle = nil
	}
	if d.Issuer != nil {
		errs = append(errs, d.Issuer.Close())
		d.Issuer = nil
	}
	if d.Loki != nil {
		errs = append(errs, d.Loki.Close())
		d.Loki = nil
	}
	return errors.Join(errs...)
}

// Instructions writes what to paste into a shell, given the URL at which logfence is reached: the tokens
// once, as environment variables, then short commands that use them.
func (d *Demo) Instructions(w io.Writer, publicURL string) error {
	publicURL = strings.TrimRight(publicURL, "/")
	const apps, query, checkout = "logs/labels/app/values", "logs/query", `query={app="checkout"}`
	// No comment has an apostrophe: in a shell that takes no comments at its prompt, such as zsh, it would open a string.
	var text strings.Builder
	say(&text, "# Log explorer: %s/explore\n# Sign in as %s (tenant %s) or as %s (tenants %s and %s). The password is the name.\n\n",
		strings.ReplaceAll(publicURL, "'", "%27"), Ana, Alpha, Ben, Alpha, Beta)
	say(&text, "# Paste once: the API, and tokens of tenant %s, of tenant %s and of both.\n", Alpha, Beta)
	say(&text, "export API=%s\nexport ALPHA=%s\nexport BETA=%s\nexport BOTH=%s\n\n",
		quote(publicURL+"/api/v1"), quote(d.Tokens[Ana]), quote(d.Tokens[betaService]), quote(d.Tokens[Ben]))
	say(&text, "# The values of the label app. Each tenant has an app that the other does not have; nobody sees the node-agent.\n%s\n%s\n\n",
		curl("ALPHA", "", apps), curl("BETA", "", apps))
	say(&text, "# The last lines of checkout: of %s, of both tenants, and of both narrowed to %s.\n%s\n%s\n%s\n\n", Alpha, Beta,
		curl("ALPHA", "", query, checkout, "limit=3"), curl("BOTH", "", query, checkout, "limit=3"), curl("BOTH", Beta, query, checkout, "limit=3"))
	say(&text, "# Queries of %s for the streams of %s, and for all streams but its own. Both results are empty.\n%s\n%s\n\n", Alpha, Beta,
		curl("ALPHA", "", query, `query={tenant_id="`+Beta+`"}`), curl("ALPHA", "", query, `query={tenant_id!="`+Alpha+`"}`))
	say(&text, "# A tenant that the token does not name: 403 tenant_not_yours.\n%s\n\n", curl("ALPHA", Beta, query, checkout))
	say(&text, "# Identity, tenants and limits of a token.\n%s\n\n", curl("BOTH", "", "me"))
	say(&text, "# To sign in from a client of your own (authorization code with PKCE): issuer %s,\n"+
		"# client ID %s, redirect URI http://127.0.0.1:PORT/callback.\n", d.issuerURL(), ClientID)
	_, err := io.WriteString(w, text.String())
	if err != nil {
		return fmt.Errorf("write instructions: %w", err)
	}
	return nil
}

func (d *Demo) issuerURL() string {
	if d.Issuer == nil {
		return ""
	}
	return d.Issuer.URL()
}

// curl is one command line for a POSIX shell, with the token of a variable, narrowed to a tenant unless that is empty.
func curl(token, tenant, path string, params ...string) string {
	words := []string{"curl", "-sSG", `"$API/` + path + `"`, "-H", `"Authorization: Bearer $` + token + `"`}
	if tenant != "" {
		words = append(words, "-H", quote("X-Logfence-Tenant: "+tenant))
	}
	for _, p := range params {
		words = append(words, "--data-urlencode", quote(p))
	}
	// Responses do not end with a newline, and the prompt would follow on their last line.
	return strings.Join(append(words, "-w", quote(`\n`)), " ")
}

// quote makes one word of any text for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
