package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/config"
)

// checkIssuers fetches the keys of every issuer and shows what came.
func (p process) checkIssuers(ctx context.Context, c config.Config) error {
	failed := 0
	for _, r := range c.Auth.FetchIssuers(ctx) {
		if r.Err != nil {
			failed++
			_, _ = fmt.Fprintf(p.stdout, "issuer %s: FAILED: %v\n", r.Issuer, r.Err)
			continue
		}
		_, _ = fmt.Fprintf(p.stdout, "issuer %s: ok, keys: %d\n", r.Issuer, len(r.Keys))
		for _, key := range r.Keys {
			_, _ = fmt.Fprintf(p.stdout, "  key %s\n", key)
		}
		for _, reason := range r.Ignored {
			_, _ = fmt.Fprintf(p.stdout, "  ignored: %s\n", reason)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d issuers have no usable keys", failed, len(c.Auth.Issuers))
	}
	return nil
}

// checkToken makes every check of a token in a file, and shows each. The token itself is not shown.
func (p process) checkToken(ctx context.Context, c config.Config, path string) error {
	token, err := p.readToken(path)
	if err != nil {
		return err
	}
	verifier, err := auth.New(ctx, c.Auth)
	if err != nil {
		return fmt.Errorf("make the verifier of tokens: %w", err)
	}
	defer verifier.Close()
	failed := 0
	for _, check := range verifier.Inspect(ctx, token) {
		if check.Err != nil {
			failed++
			_, _ = fmt.Fprintf(p.stdout, "%-22s FAILED: %v\n", check.Name, check.Err)
		} else {
			_, _ = fmt.Fprintf(p.stdout, "%-22s ok: %s\n", check.Name, check.Found)
		}
	}
	if failed > 0 {
		return errors.New("the token would be refused")
	}
	return nil
}

// readToken reads the token that is alone in a file, or in standard input for "-". A scheme in front of it is removed.
func (p process) readToken(path string) (string, error) {
	in := p.stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		defer file.Close() //nolint:errcheck // only read
		in = file
	}
	const most = 2 * auth.MaxTokenBytes // longer ones are reported as such
	content, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	text := strings.TrimSpace(string(content))
	if scheme, token, ok := strings.Cut(text, " "); ok && strings.EqualFold(scheme, "bearer") {
		text = strings.TrimSpace(token)
	}
	return text, nil
}
