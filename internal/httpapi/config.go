package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
)

// Config holds the dependencies and settings of a [Server].
type Config struct {
	// The dependencies, down to Log, are required.

	// Verifier authenticates callers.
	Verifier Verifier
	// Fence makes the scopes of callers.
	Fence *tenancy.Fence
	// Loki sends what is fenced.
	Loki *loki.Client
	// Parsing bounds how many queries are parsed at once: the most expensive part of a request.
	Parsing *limits.ParseSlots
	// Limits bound the requests of each tenant.
	Limits *limits.Limiter
	// Recorder records each request.
	Recorder *telemetry.Recorder
	// Log is for what is no request's.
	Log *slog.Logger

	// Rules are the grants in force; nil: the tokens name their tenants.
	Rules func() *access.Rules
	// RulesErr returns why the grants in force are not those of the file as it is; nil: they are, or there is no file.
	RulesErr func() error

	// Metrics is served to operators at /metrics; nil serves none.
	Metrics http.Handler
	// Profiles serves those of the process to operators, under /debug/pprof/.
	Profiles bool

	// BasePath is the path below which callers find everything, such as `/logs`; empty: the root.
	BasePath string
	// BasePathStripped says that a proxy removes BasePath from the requests that it passes on.
	BasePathStripped bool
	// Compat serves Loki's own paths beside the native ones.
	Compat bool
	// BasicToken accepts a token also as the password of HTTP Basic.
	BasicToken bool
	// TokenHeaders are the headers that a token is read from, by canonical name: the first that is present decides.
	// Default: Authorization alone.
	TokenHeaders []string
	// CORSOrigins are the exact origins whose pages may read responses; none by default.
	CORSOrigins []string
	// TrustedProxies are the proxies whose headers name a request's source address; none by default.
	TrustedProxies audit.TrustedProxies
	// Explore configures the log explorer and its sign-in; nil: it is not served.
	Explore *Explore
	// Heartbeat is the interval of heartbeats of a silent tail; 0 is DefaultHeartbeat.
	Heartbeat time.Duration
	// LokiTails is how many tails of Loki's are open at once for an organization; 0 is tail.DefaultMaxTails. The lines of
	// more queries are polled.
	LokiTails int
	// ClientTimeout is how long a client may take to read one piece of a response, or to send a body; 0 is
	// DefaultClientTimeout.
	ClientTimeout time.Duration
	// DrainSpread is the time over which tails end when the server stops, each at a random moment of it; 0 is
	// DefaultDrainSpread, and less ends all at once.
	DrainSpread time.Duration
	// Leeway is how long after its expiry the verifier accepts a token, and a tail continues with it.
	Leeway time.Duration
	// InflightGrace is how long after that a query or an export in flight may continue.
	InflightGrace time.Duration
	// LokiWarning is what operators have to know of Loki, which /readyz shows; empty: nothing.
	LokiWarning string
	// LokiWalls are the layers of Loki's own that confine requests too, as a probe found them; /readyz shows them.
	LokiWalls map[string]string
	// MaxBody is the largest accepted form or JSON body, in bytes; 0 is DefaultMaxBody.
	MaxBody int
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// validate reports every required field that is missing, each as a [fielderror.Error]: otherwise the first request
// would find the one it needs.
func (c Config) validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"Verifier", c.Verifier != nil},
		{"Fence", c.Fence != nil},
		{"Loki", c.Loki != nil},
		{"Parsing", c.Parsing != nil},
		{"Limits", c.Limits != nil},
		{"Recorder", c.Recorder != nil},
		{"Log", c.Log != nil},
	} {
		if !f.given {
			errs = append(errs, fielderror.New(f.name, "required"))
		}
	}
	return errors.Join(errs...)
}
