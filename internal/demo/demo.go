// Package demo runs everything that logfence stands between, for a first look and for tests: a real
// Loki with the logs of two tenants, and an OpenID Connect provider where people of theirs sign in.
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

// Options say how to start the demo.
type Options struct {
	// Loki is the path of the Loki to use; empty for what [Find] finds.
	Loki string
	// Progress is told what is being done; nil for nobody.
	Progress io.Writer
	// Seed makes other logs than the usual ones.
	Seed uint64
}

// Demo is a real Loki with logs of two tenants, more of them each second, and an issuer of tokens.
type Demo struct {
	Loki   *Loki
	Issuer *Issuer
	// Tokens are valid tokens of [People], by name, as they would get them by signing in.
	Tokens map[string]string

	stop    context.CancelFunc
	trickle chan error // how the trickle ended
	failed  chan error // what ended without being told to
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
	for _, who := range People {
		d.Tokens[who.Name], err = d.Issuer.Token(Claims{Subject: who.subject(), Tenant: who.tenantClaim(), Lifetime: tokenLifetime})
		if err != nil {
			return err
		}
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

// Instructions writes what to paste into a shell, given the URL at which logfence is reached.
func (d *Demo) Instructions(w io.Writer, publicURL string) error {
	api := strings.TrimRight(publicURL, "/") + "/api/v1/"
	query, apps := api+"logs/query", api+"logs/labels/app/values"
	// Without an apostrophe in any remark: pasted into a shell that knows no comments at its prompt, such
	// as zsh, it would open a string.
	var text strings.Builder
	say(&text, "# Two tenants share this Loki. To look at logs in a browser, open\n#\n#     %s/explore\n#\n"+
		"# and sign in as %s, who sees %s, or as %s, who sees %s and %s too. The password is the name.\n\n",
		strings.ReplaceAll(strings.TrimRight(publicURL, "/"), "'", "%27"), Ana, Alpha, Ben, Beta, Alpha)
	say(&text, "# By the API: the last lines of checkout, as %s of %s sees them:\n%s\n\n", Ana, Alpha,
		d.curl(Ana, "", query, `query={app="checkout"}`, "limit=3"))
	say(&text, "# The same request of %s, who is in both:\n%s\n\n", Ben,
		d.curl(Ben, "", query, `query={app="checkout"}`, "limit=3"))
	say(&text, "# %s, narrowed to %s:\n%s\n\n", Ben, Beta, d.curl(Ben, Beta, query, `query={app="checkout"}`, "limit=3"))
	say(&text, "# %s asks for the lines of %s, and for those of everybody but %s. Both are empty:\n%s\n%s\n", Ana, Beta, Alpha,
		d.curl(Ana, "", query, `query={tenant_id="`+Beta+`"}`),
		d.curl(Ana, "", query, `query={tenant_id!="`+Alpha+`"}`))
	say(&text, "# And %s cannot narrow to what is not hers:\n%s\n\n", Ana, d.curl(Ana, Beta, query, `query={app="checkout"}`))
	say(&text, "# Which apps are there? Each tenant has one that the other has not, and nobody sees the node-agent:\n%s\n%s\n\n",
		d.curl(Ana, "", apps), d.curl(Ben, Beta, apps))
	say(&text, "# What logfence knows of %s:\n%s\n\n", Ben, d.curl(Ben, "", api+"me"))
	say(&text, "# A client of your own may have people sign in, too (authorization code with PKCE): issuer %s,\n"+
		"# client %s, back to http://127.0.0.1:PORT/callback.\n", d.issuerURL(), ClientID)
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

// curl is one command line for a POSIX shell, as a person, narrowed to a tenant unless that is empty.
func (d *Demo) curl(person, tenant, url string, params ...string) string {
	words := []string{"curl", "-sS", "-G", quote(url), "-H", quote("Authorization: Bearer " + d.Tokens[person])}
	if tenant != "" {
		words = append(words, "-H", quote("X-Logfence-Tenant: "+tenant))
	}
	for _, p := range params {
		words = append(words, "--data-urlencode", quote(p))
	}
	// The answers do not end with a newline, and the prompt would stick to them.
	return strings.Join(append(words, "-w", quote(`\n`)), " ")
}

// quote makes one word of any text for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
