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

// classes are what operations keep busy. One that is missing here is taken for a query: what asks Loki can't
// be forgotten.
var classes = map[string]limits.Class{
	"getMe":               limits.ClassRequest,
	"explainQuery":        limits.ClassRequest,
	"lokiFormatQuery":     limits.ClassRequest,
	"lokiFormatQueryForm": limits.ClassRequest,
	"exportLogs":          limits.ClassExport,
	"tailLogs":            limits.ClassTail,
	"lokiTail":            limits.ClassTail,
}

func classOf(operation string) limits.Class {
	if class, ok := classes[operation]; ok {
		return class
	}
	return limits.ClassQuery
}

// admit draws a request on its tenants' rates, and tells the caller what is left, granted or not.
func (s *Server) admit(c echo.Context, op *operation) (*limits.Ticket, error) {
	ticket, err := s.limits.Admit(c.Request().Context(), callerOf(c).limits, op.class)
	if q := ticket.Quota; q.Burst > 0 {
		h := c.Response().Header()
		h[canonicalRateLimit] = []string{`"requests";r=` + strconv.Itoa(q.Remaining) + `;t=` + strconv.Itoa(wholeSeconds(q.Reset))}
		h[canonicalRateLimitPolicy] = s.ratePolicy(q)
	}
	return ticket, err
}

// ratePolicy is the field's value. Most tenants have the same policy, so the last one is kept.
func (s *Server) ratePolicy(q limits.Quota) []string {
	if kept := s.lastPolicy.Load(); kept != nil && kept.burst == q.Burst && kept.window == q.Window {
		return kept.field
	}
	p := &policy{burst: q.Burst, window: q.Window}
	p.field = []string{`"requests";q=` + strconv.Itoa(q.Burst) + `;w=` + strconv.Itoa(wholeSeconds(q.Window))}
	s.lastPolicy.Store(p)
	return p.field
}

// policy is a tenant's rate, and what is said of it in an answer's header.
type policy struct {
	burst  int
	window time.Duration
	field  []string // nobody's to change
}

// wholeSeconds rounds up, and gives one at least: who comes back sooner comes in vain.
func wholeSeconds(d time.Duration) int { return max(int((d+time.Second-1)/time.Second), 1) }
