package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/testlog"
)

// TestConnect guarantees for each URL of Loki that an attempt to use it reports whether it is reached, refuses, or is no Loki that logfence
// serves in front of, and that no credentials are shown.
func TestConnect(t *testing.T) {
	t.Parallel()
	good := lokitest.New(t)
	respond := func(h http.HandlerFunc) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	refusing := respond(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such user", http.StatusUnauthorized) })
	noOrganization := respond(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/query") {
			http.Error(w, "no org id", http.StatusUnauthorized)
			return
		}
		good.ServeHTTP(w, r)
	})
	old := respond(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"version":"2.9.1"}`))
	})
	other := respond(http.NotFound)
	gone := httptest.NewServer(nil)
	gone.Close()
	for url, want := range map[string]string{
		good.URL:       "",
		refusing:       "version: it denies access: status 401: no such user; check LOGFENCE_LOKI_BEARER_TOKEN_FILE",
		noOrganization: "query: it denies access: status 401: no org id; check",
		old:            "3.1 or newer is needed",
		other:          "version: it does not respond as Loki does: status 404: 404 page not found; check the path of LOGFENCE_LOKI_URL",
		gone.URL:       "version: cannot be reached: ",
		strings.Replace(refusing, "://", "://reader:hunter2@", 1): "version: it denies access: status 401",
	} {
		c := config.Config{Loki: loki.Config{URL: url, Timeout: time.Minute}}
		all := Connect(t.Context(), c)
		if len(all) != 1 {
			t.Fatalf("%+v", all)
		}
		found := all[0]
		if (found.Err == nil) != (want == "") || found.Err != nil && !strings.Contains(found.Err.Error(), want) {
			t.Errorf("%s: %+v, want %q", url, found, want)
		}
		if strings.Contains(found.Service, "hunter2") || found.Err != nil && strings.Contains(found.Err.Error(), "hunter2") {
			t.Errorf("credentials are shown: %+v", found)
		}
		if found.Err == nil && !strings.HasPrefix(found.Found, "version ") {
			t.Errorf("%+v", found)
		}
	}
	both := Connect(t.Context(), config.Config{Loki: loki.Config{URL: good.URL + "," + gone.URL, Timeout: time.Minute}})
	if len(both) != 2 || both[0].Err != nil || both[1].Err == nil {
		t.Errorf("of two URLs: %+v", both)
	}
}

// TestRefusedAtStart guarantees that serve does not say of a Loki which refuses logfence that it cannot be reached.
func TestRefusedAtStart(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such user", http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	client, err := loki.New(loki.Config{URL: server.URL, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	log := &testlog.Buffer{}
	warning, reached, err := checkLoki(context.Background(), client, false, telemetry.NewLogger(slog.LevelInfo, telemetry.FormatJSON, log))
	if err != nil || reached || strings.Contains(warning+log.String(), "reached") || !strings.Contains(log.String(), "denies access; check the credentials") || !strings.Contains(log.String(), "401") {
		t.Errorf("%q, %v, %s", warning, err, log)
	}
}
