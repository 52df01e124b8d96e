// Command stack runs what the tests of the log explorer need around logfence: a real Loki with the logs of two
// tenants, and the demo's provider. Its first line has their addresses, as JSON. It ends with its input, so
// that nothing is left of it however the tests end.
//
// It also issues tokens that users would not get by signing in: POST /token with the claims.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
}

// run keeps everything up until the context or the input ends.
func run(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()
	found, err := demo.Find(ctx, demo.FindOptions{Progress: os.Stderr})
	if err != nil {
		return err
	}
	loki, err := demo.StartLoki(ctx, demo.LokiOptions{Binary: found.Loki})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loki.Close()) }()
	now := time.Now()
	if err := loki.Push(ctx, demo.Logs(now.Add(-time.Hour), now, 1)...); err != nil {
		return err
	}
	issuer, err := demo.StartIssuer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, issuer.Close()) }()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: tokens(issuer), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	err = json.NewEncoder(out).Encode(map[string]string{
		"loki": loki.URL(), "issuer": issuer.URL(), "jwks": issuer.JWKSURL(), "audience": demo.Audience,
		"client_id": demo.ClientID, "tokens": "http://" + l.Addr().String() + "/token",
	})
	if err != nil {
		return errors.Join(fmt.Errorf("print the addresses: %w", err), l.Close())
	}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve tokens: %w", err)
	}
	return nil
}

// tokens signs any claims.
func tokens(issuer *demo.Issuer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		var claims struct {
			Subject string `json:"subject"`
			Tenant  any    `json:"tenant"`
			Seconds int    `json:"seconds"`
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&claims); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		token, err := issuer.Token(demo.Claims{
			Subject: claims.Subject, Tenant: claims.Tenant, Lifetime: time.Duration(claims.Seconds) * time.Second,
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, token)
	})
	return mux
}
