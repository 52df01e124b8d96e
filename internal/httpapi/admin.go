package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/labstack/echo/v4"
)

// readyTimeout is how long /readyz waits for Loki; probes give up after a few seconds themselves.
const readyTimeout = 2 * time.Second

// newAdmin serves health, metrics and profiles to operators. It is not part of openapi.yaml, and not for
// callers: it exposes internals.
func (s *Server) newAdmin(metrics http.Handler, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeHealth(w, health{Status: "alive"}, http.StatusOK)
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	if profiles {
		// One by one: importing net/http/pprof puts them on http.DefaultServeMux as well, which nothing serves.
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return withReadDeadlines(mux, s.clientTimeout)
}

// health is the response of both probes. Checks holds "ok" or the error, by the name of the check.
type health struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks,omitempty"`
	// Warnings are what an operator has to act on although the process is ready, by the name of the check.
	Warnings map[string]string `json:"warnings,omitempty"`
	// Walls are the layers of Loki's own: present, absent or unknown.
	Walls map[string]string `json:"walls,omitempty"`
}

// Stopping makes /readyz fail from now on, so that load balancers send no new requests.
func (s *Server) Stopping() { s.stopping.Store(true) }

// readyz reports readiness. `?exclude=loki` leaves a check out, as Kubernetes' own /readyz does: where all replicas
// use the same Loki, taking them all out of service while it is down would give callers refused connections instead of
// a response with Retry-After.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.stopping.Load() {
		writeHealth(w, health{Status: "stopping"}, http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	h, status := health{Status: "ready", Checks: map[string]string{}, Walls: s.lokiWalls}, http.StatusOK
	checks := map[string]func() error{
		"audit": s.recorder.Ready,
		"keys":  s.verifier.Ready,
		"loki":  func() error { return s.loki.Ready(ctx) },
	}
	for _, name := range r.URL.Query()["exclude"] {
		if checks[name] == nil {
			// A misspelt name must not go unnoticed until the check would have mattered.
			writeHealth(w, health{Status: "no such check to exclude; the checks are audit, keys and loki"}, http.StatusBadRequest)
			return
		}
		delete(checks, name)
	}
	if checks["keys"] != nil {
		h.warn("keys", s.verifier.Unusable())
	}
	if s.lokiWarning != "" {
		h.warn("loki", errors.New(s.lokiWarning))
	}
	if s.rulesErr != nil {
		h.warn("access", s.rulesErr())
	}
	for name, check := range checks {
		h.Checks[name] = "ok"
		if err := check(); err != nil {
			h.Checks[name] = err.Error()
			h.Status, status = "not ready", http.StatusServiceUnavailable
		}
	}
	writeHealth(w, h, status)
}

// warn adds a warning, where there is an error: of issuers without keys, while another issuer has keys, of a Loki that is not tested, or of a file of
// grants with a mistake, while those before it hold. The process is ready.
func (h *health) warn(name string, err error) {
	if err == nil {
		return
	}
	if h.Warnings == nil {
		h.Warnings = map[string]string{}
	}
	h.Warnings[name] = err.Error()
}

func writeHealth(w http.ResponseWriter, h health, status int) {
	w.Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	w.Header().Set(echo.HeaderCacheControl, "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h) // a probe that has disconnected needs no response
}
