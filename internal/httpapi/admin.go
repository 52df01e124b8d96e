package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/labstack/echo/v4"
)

// readyTimeout is how long /readyz waits for Loki; probes give up after a few seconds themselves.
const readyTimeout = 2 * time.Second

// newAdmin serves health, metrics and profiles to operators. It is not part of openapi.yaml, and not for
// callers: it tells what stands behind.
func (s *Server) newAdmin(metrics http.Handler, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answerHealth(w, health{Status: "alive"}, http.StatusOK)
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
	return withReadDeadlines(mux, s.stall)
}

// health is the answer of both probes. Checks holds "ok" or what is wrong, by what was checked.
type health struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks,omitempty"`
}

// Stopping makes /readyz say from now on that nobody should come here any more, whatever else is well.
func (s *Server) Stopping() { s.stopping.Store(true) }

// readyz answers what is ready. `?exclude=loki` leaves a check out, as Kubernetes' own /readyz does: where
// every replica stands before the same Loki, taking them all from service while it is away would leave
// callers with refused connections in place of an answer that says when to come back.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.stopping.Load() {
		answerHealth(w, health{Status: "stopping"}, http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	h, status := health{Status: "ready", Checks: map[string]string{}}, http.StatusOK
	checks := map[string]func() error{
		"audit": s.recorder.Ready,
		"keys":  s.verifier.Ready,
		"loki":  func() error { return s.loki.Ready(ctx) },
	}
	for _, name := range r.URL.Query()["exclude"] {
		if checks[name] == nil {
			// A slip must not go unseen until the check would have mattered.
			answerHealth(w, health{Status: "no such check to exclude; there are audit, keys and loki"}, http.StatusBadRequest)
			return
		}
		delete(checks, name)
	}
	for name, check := range checks {
		h.Checks[name] = "ok"
		if err := check(); err != nil {
			h.Checks[name] = err.Error()
			h.Status, status = "not ready", http.StatusServiceUnavailable
		}
	}
	answerHealth(w, h, status)
}

func answerHealth(w http.ResponseWriter, h health, status int) {
	w.Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	w.Header().Set(echo.HeaderCacheControl, "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h) // a probe that has left needs no answer
}
