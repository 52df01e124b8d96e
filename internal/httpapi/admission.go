package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/limits"
)

// The header fields of draft-ietf-httpapi-ratelimit-headers-10.
const (
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"
)

// As net/http writes them; header names have no case.
var (
	canonicalRateLimit       = http.CanonicalHeaderKey(headerRateLimit)
	canonicalRateLimitPolicy = http.CanonicalHeaderKey(headerRateLimitPolicy)
)

// classes are the limit classes of operations. The default is a query, so that no operation that sends requests to
// Loki can be forgotten.
var classes = map[string]limits.Class{
	"getMe":               limits.ClassRequest,
	"lokiFormatQuery":     limits.ClassRequest,
	"lokiFormatQueryForm": limits.ClassRequest,
	"exportLogs":          limits.ClassExport,
	"tailLogs":            limits.ClassTail,
	"lokiTail":            limits.ClassTail,
	"lokiRules":           limits.ClassRequest,
	"prometheusRules":     limits.ClassRequest,
	"prometheusAlerts":    limits.ClassRequest,
}

func classOf(operation string) limits.Class {
	if class, ok := classes[operation]; ok {
		return class
	}
	return limits.ClassQuery
}

// admit counts a request against its tenants' rates, and sets the response headers with the remaining quota, whether
// it is admitted or not.
func (s *Server) admit(c echo.Context, op *operation) (*limits.Ticket, error) {
	ticket, err := s.limits.Admit(c.Request().Context(), callerOf(c).limits, op.classOf(c))
	if q := ticket.Quota; q.Burst > 0 {
		h := c.Response().Header()
		h[canonicalRateLimit] = []string{`"requests";r=` + strconv.Itoa(q.Remaining) + `;t=` + strconv.Itoa(ceilSeconds(q.Reset))}
		h[canonicalRateLimitPolicy] = s.ratePolicy(q)
	}
	return ticket, err
}

// ratePolicy returns the header's value. Most tenants have the same policy, so the last one is cached.
func (s *Server) ratePolicy(q limits.Quota) []string {
	if kept := s.lastPolicy.Load(); kept != nil && kept.burst == q.Burst && kept.window == q.Window {
		return kept.field
	}
	p := &policy{burst: q.Burst, window: q.Window}
	p.field = []string{`"requests";q=` + strconv.Itoa(q.Burst) + `;w=` + strconv.Itoa(ceilSeconds(q.Window))}
	s.lastPolicy.Store(p)
	return p.field
}

// policy is a tenant's rate, and its value in a response header.
type policy struct {
	burst  int
	window time.Duration
	field  []string // shared, never changed
}

// ceilSeconds rounds up, to one second at least: a client that retries earlier would be refused again.
func ceilSeconds(d time.Duration) int { return max(int((d+time.Second-1)/time.Second), 1) }
