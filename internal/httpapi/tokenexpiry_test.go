package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
)

// TestTokenExpiresInFlight guarantees that a query or an export which is still in flight when the grace after its token's
// expiry has passed, ends at that moment: with 401 before its first byte, and by an aborted connection after it, never
// as a response that looks complete. Before that moment, and for requests of other classes, nothing ends.
func TestTokenExpiresInFlight(t *testing.T) {
	t.Parallel()
	const leeway, grace = 30 * time.Second, 15 * time.Minute
	g := newGateway(t, func(c *Config, _ *loki.Config) { c.Leeway, c.InflightGrace = leeway, grace })
	const lasts = time.Hour + leeway + grace // everybody's tokens expire in an hour
	for _, tt := range []struct {
		class   limits.Class
		written bool
		takes   time.Duration
		status  int
		aborted bool
	}{
		{limits.ClassQuery, false, lasts - 1, http.StatusOK, false},
		{limits.ClassQuery, false, lasts + 1, http.StatusUnauthorized, false},
		{limits.ClassQuery, true, lasts - 1, http.StatusOK, false},
		{limits.ClassQuery, true, lasts + 1, http.StatusOK, true},
		{limits.ClassExport, false, lasts + 1, http.StatusUnauthorized, false},
		{limits.ClassExport, true, lasts + 1, http.StatusOK, true},
		{limits.ClassTail, true, 2 * lasts, http.StatusOK, false}, // ends by itself
		{limits.ClassRequest, false, 2 * lasts, http.StatusOK, false},
	} {
		t.Run(fmt.Sprintf("%s/written=%t/%s", tt.class, tt.written, tt.takes), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				recorder := httptest.NewRecorder()
				c := echo.New().NewContext(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/logs/export", nil), recorder)
				began := time.Now()
				handler := func(c echo.Context) error {
					return g.server.whileTokenValid(c, &operation{class: tt.class}, func() error { return lasting(c, tt.written, tt.takes) })
				}
				aborted := abortedBy(func() error {
					return g.server.accessLog(func(c echo.Context) error {
						requestStateOf(c).caller.Expiry = now.Add(time.Hour)
						return handler(c)
					})(c)
				})
				if recorder.Code != tt.status || aborted != tt.aborted {
					t.Errorf("status %d, aborted %t, want %d, %t", recorder.Code, aborted, tt.status, tt.aborted)
				}
				if got, want := time.Since(began), tt.takes; tt.status == http.StatusOK && !tt.aborted && got != want || got > want {
					t.Errorf("ended after %s", got)
				}
			})
		})
	}
}

// lasting responds after some time, as long as its context has not ended.
func lasting(c echo.Context, written bool, takes time.Duration) error {
	if written {
		if _, err := io.WriteString(c.Response(), "a first line\n"); err != nil {
			return err
		}
	}
	select {
	case <-time.After(takes):
		_, err := io.WriteString(c.Response(), "the last line\n")
		return err
	case <-c.Request().Context().Done():
		return c.Request().Context().Err()
	}
}

// abortedBy reports whether a handler aborts the connection.
func abortedBy(handle func() error) (aborted bool) {
	defer func() {
		err, _ := recover().(error)
		aborted = errors.Is(err, http.ErrAbortHandler)
	}()
	_ = handle()
	return false
}

// TestTokenWithoutGrace guarantees that a query and an export whose token's time has passed before Loki is sent anything get
// 401 as a response of the specification.
func TestTokenWithoutGrace(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *Config, _ *loki.Config) {
		who := everybody()
		p, _ := who[alphaToken].(auth.Principal)
		p.Expiry = now.Add(-time.Hour)
		who[alphaToken], c.Verifier = p, who
	})
	g.loki.Hang()
	for _, path := range []string{"/api/v1/logs/query", exportPath, "/loki/api/v1/query_range"} {
		if a := g.get(alphaToken, path, "query", `{app="api"}`); a.StatusCode != http.StatusUnauthorized || a.err != nil || a.Header.Get("Www-Authenticate") == "" {
			t.Errorf("%s: %d %s %v", path, a.StatusCode, a.text, a.err)
		}
	}
}

// TestClientLeavesInFlight guarantees that the end of the client is not taken for that of its token.
func TestClientLeavesInFlight(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	ctx, leave := context.WithCancel(t.Context())
	ctx = context.WithValue(ctx, requestStateKey{}, &requestState{caller: caller{Principal: auth.Principal{Expiry: now.Add(time.Hour)}}})
	c := echo.New().NewContext(httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/logs/query", nil), httptest.NewRecorder())
	err := g.server.whileTokenValid(c, &operation{class: limits.ClassQuery}, func() error {
		leave()
		<-c.Request().Context().Done()
		return c.Request().Context().Err()
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, errTokenExpired) {
		t.Errorf("got %v", err)
	}
}
