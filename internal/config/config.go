// Package config reads logfence's settings.
//
// Guarantee: what [Load] returns is complete and valid, or it returns every mistake at once, each under
// the name that the operator wrote; nothing unknown is passed over, and no secret is shown.
//
// Not promised here: that Loki or the issuers can be reached, which is only known while running.
//
// Settings are environment variables, and a YAML file may hold the same keys; the environment wins.
// There is one table of them (see settings), from which reading, help and docs/configuration.md all come. A library
// that fills a struct by its tags, such as caarlos0/env, would be a second table beside it, names its
// mistakes by the struct's fields and values, and takes an empty variable for an absent one; koanf merges
// sources into one map, and knows neither the line of a mistake nor which of the sources it was in.
package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/web"
)

// Prefix is what the name of every environment variable begins with.
const Prefix = "LOGFENCE_"

// Config is everything that can be set, in the form in which the packages want it.
type Config struct {
	Addr        string // where the API is served
	AdminAddr   string // where health is served to operators
	TLSCertFile string // PEM; empty: plain HTTP
	TLSKeyFile  string // PEM
	// BasePath is the path below which callers find the API; empty: the root.
	BasePath string
	// BasePathStripped says that a proxy removes BasePath from the requests that it passes on.
	BasePathStripped bool

	DrainDelay   time.Duration // from the signal to end until no more connections are accepted
	DrainTimeout time.Duration // how long requests in flight may take to complete after that

	Auth       auth.Config
	BasicToken bool // take a token as the password of HTTP Basic as well
	Tenancy    tenancy.Config
	Limits     limits.Config
	LimitsFile string // of limits of single tenants and classes; empty: none
	// AccessFile is that of grants, which decide what tokens may read; empty: the tenant claim does.
	AccessFile string
	Loki       loki.Config
	// LokiKeepAlive reuses HTTP/1.1 connections to Loki; it sets Loki.DisableKeepAlives.
	LokiKeepAlive bool
	// LokiTestedOnly refuses a Loki whose version isolation is not tested with.
	LokiTestedOnly bool
	LokiCompat     bool // serve Loki's own paths

	UI     bool          // serve the log explorer
	SignIn web.OIDCLogin // how users sign in to it
	// UILinks are the rules by which it makes links of what lines hold.
	UILinks web.Links

	MaxBodyBytes, MaxHeaderBytes              int           // of a request
	LokiTails                                 int           // tails of Loki's for an organization
	HeaderTimeout, ClientTimeout, IdleTimeout time.Duration // of clients that are slow

	CORSOrigins []string // origins whose pages may call the API

	Audit          audit.Config
	TrustedProxies audit.TrustedProxies // whose word counts about where a request came from
	// ClientAddressHeader is the header in which they name it.
	ClientAddressHeader string

	LogLevel  slog.Level
	LogFormat telemetry.Format
	// LogQueries is how much of a query log lines hold.
	LogQueries telemetry.LogQueries
	// MetricsTenants is how many tenants metrics name.
	MetricsTenants int
	PProf          bool // serve profiles to operators

	effective []Value
	warnings  []string
	access    *access.Rules // of AccessFile as it was
}

// Value is one setting as it is in force.
type Value struct {
	Name string // the variable, or the path in the file
	Text string // what was written, without passwords; empty: not set
	From string // "default", "environment", or the file's name and line
}

// Effective lists the settings in force, in the table's order. It holds nothing secret.
func (c Config) Effective() []Value { return c.effective }

// Warnings lists what was read otherwise than it may have been meant, and what is allowed and dangerous, a sentence each.
func (c Config) Warnings() []string {
	return slices.Concat(c.warnings, c.Loki.Warnings(), c.Auth.Warnings(), c.GrantWarnings())
}

// Access are the rules of AccessFile as it was when the settings were read; nil without one.
func (c Config) Access() *access.Rules { return c.access }

// loader is a Config while it is read.
type loader struct {
	Config
	issuer  auth.Issuer // from the JWT_… settings of the one issuer
	issuers []fileIssuer
	given   map[string]text   // by variable, the file's and the environment's
	from    map[string]origin // of each setting that was given
	bad     problems
	classes []string // of the limits file
	example string   // a line of the file that is read, where it is not the one of settings
}

// origin is where a value was read.
type origin struct {
	file string // empty: the environment
	line int
}

// Load reads the settings from an environment, as [os.Environ] gives it, and from a file unless its
// name is empty. Its error is an [*Error].
func Load(env []string, file string) (Config, error) {
	d := loader{from: map[string]origin{}, bad: problems{file: file}}
	d.given = d.readFile(file)
	d.readEnvironment(env)
	for i := range settings {
		d.read(&settings[i])
	}
	d.chooseIssuers()
	if len(d.Auth.Issuers) > 0 {
		d.SignIn.Issuer = d.Auth.Issuers[0].URL
	}
	d.Loki.DisableKeepAlives = !d.LokiKeepAlive
	d.Auth.Grants = d.AccessFile != ""
	d.validate()
	if err := d.bad.err(); err != nil {
		return Config{}, err
	}
	return d.Config, nil
}

// AdminAddr reads this one setting, for a command that checks the health of a running logfence. What else is wrong
// with the settings does not count: they may be in the middle of a change, and the process has its own.
func AdminAddr(env []string, file string) (string, error) {
	s := find(Prefix + "ADMIN_ADDR")
	d := loader{from: map[string]origin{}, bad: problems{file: file}}
	d.given = d.readFile(file)
	d.readEnvironment(env)
	d.read(s)
	d.attribute(checkAddress(s.field, d.AdminAddr, s.fallback))
	d.bad.found = slices.DeleteFunc(d.bad.found, func(p Problem) bool { return p.Name != s.Name() && p.Name != "" })
	return d.AdminAddr, d.bad.err()
}

// text is a setting as it was written.
type text struct {
	value  string
	list   []string // the items, where the file has a list
	origin origin
}

// joined is the value as the environment would have it.
func (t text) joined() string {
	if t.list == nil {
		return t.value
	}
	return strings.Join(t.list, ",")
}

// read puts one setting, or its default, into the loader.
func (d *loader) read(s *setting) {
	t, ok := d.given[s.Name()]
	switch {
	case ok:
		d.from[s.name] = t.origin
	case s.fallback == "":
		d.effective = append(d.effective, Value{Name: s.Name(), From: "default"})
		return
	default:
		t = text{value: s.fallback}
	}
	if problem := s.set(d, t); problem != "" {
		d.bad.add(t.origin, s.Name(), problem)
		return
	}
	from := "default"
	if ok {
		from = t.origin.String()
	}
	d.effective = append(d.effective, Value{Name: s.Name(), Text: s.shown(t), From: from})
}

// chooseIssuers takes the issuers from the file's list or, without one, the one of the JWT_… settings.
func (d *loader) chooseIssuers() {
	if d.issuers == nil {
		d.Auth.Issuers = []auth.Issuer{d.issuer}
		return
	}
	for _, name := range []string{"JWT_ISSUER", "JWT_AUDIENCE", "JWT_JWKS_URL", "JWT_KEYS_FILE"} {
		if o, ok := d.from[name]; ok {
			d.bad.add(o, Prefix+name, "given beside the list of issuers in the file; write one of the two")
		}
	}
	d.Auth.Issuers = make([]auth.Issuer, 0, len(d.issuers))
	for n, i := range d.issuers {
		if i.TenantClaim == "" {
			i.TenantClaim = d.issuer.TenantClaim
		}
		if i.Headers == nil {
			i.Headers = d.issuer.Headers
		}
		if i.SelectorClaim == "" {
			i.SelectorClaim = d.issuer.SelectorClaim
		}
		d.Auth.Issuers = append(d.Auth.Issuers, i.Issuer)
		d.list(n, i)
	}
}

// list adds an issuer of the file to the settings in force.
func (d *loader) list(n int, i fileIssuer) {
	for _, k := range issuerKeys {
		d.effective = append(d.effective, Value{
			Name: fmt.Sprintf("%s[%d].%s", issuersKey, n, k.key),
			Text: k.shown(i.Issuer),
			From: origin{file: d.bad.file, line: i.line}.String(),
		})
	}
}

// readEnvironment adds the environment's settings to those of the file, over which they win.
func (d *loader) readEnvironment(env []string) {
	seen := map[string]bool{}
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(strings.ToUpper(name), Prefix) || fromKubernetes(name, value) || notSettings[name] {
			continue
		}
		switch {
		case find(name) == nil:
			d.bad.add(origin{}, name, "unknown variable"+didYouMean(name))
		case seen[name]:
			d.bad.add(origin{}, name, "given twice; write it once")
		case value == "" && find(name).protects:
			// Not the same as absent: a value that was not filled in must not switch a check off.
			d.bad.add(origin{}, name, "empty; write a value, or leave the variable out")
			d.given[name] = text{}
		case value == "":
			// Compose makes one of ${LOGFENCE_X:-}.
			d.warnings = append(d.warnings, name+" is empty in the environment, and counts as left out")
		default:
			d.given[name] = text{value: value}
		}
		seen[name] = true
	}
}
