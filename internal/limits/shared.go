package limits

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/refresh"
)

// RedisConfig is where replicas share their counts. Redis and Valkey serve alike.
type RedisConfig struct {
	// URL is redis://, or rediss:// for TLS, with user, password and number of the database; empty: each
	// process counts for itself. It is never shown.
	URL string
	// URLFile is a file that holds the URL, in place of URL. It is read at the start.
	URLFile string
	// Prefix is what every key begins with. In a cluster one in braces, such as {logfence}:, keeps the
	// keys of a request in one place.
	Prefix string
	// Timeout is how long a request waits for Redis. Required with a URL; where it passes, this process
	// counts for itself until Redis responds again.
	Timeout time.Duration
}

// Validate reports every field that is out of bounds, each as "Field: problem".
func (c RedisConfig) Validate() error {
	if !c.enabled() {
		return nil
	}
	var errs []error
	if c.URL != "" && c.URLFile != "" {
		errs = append(errs, fielderror.New("URLFile", "there is a URL as well; take one of the two out"))
	}
	if _, err := c.options(); err != nil {
		errs = append(errs, err)
	}
	if c.Timeout <= 0 {
		errs = append(errs, fielderror.New("Timeout", "%s leaves no time for a reply; write more than 0s, such as 100ms", c.Timeout))
	}
	return errors.Join(errs...)
}

// enabled reports whether replicas count together.
func (c RedisConfig) enabled() bool { return c.URL != "" || c.URLFile != "" }

// maxURLFile is far above the length of a URL, in bytes.
const maxURLFile = 16 << 10

func (c RedisConfig) options() (*redis.Options, error) {
	field, text := "URL", c.URL
	if c.URLFile != "" {
		content, err := refresh.ReadFile(c.URLFile, maxURLFile)
		if err != nil {
			return nil, fielderror.New("URLFile", "%w", err)
		}
		field, text = "URLFile", strings.TrimSpace(string(content))
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "" {
		return nil, fielderror.New(field, "not the URL of a Redis; write one such as redis://redis:6379 (what was read is not shown, since it may hold a password)")
	}
	o, err := redis.ParseURL(text)
	if err != nil {
		return nil, fielderror.New(field, "this is not the URL of a Redis; write one such as rediss://user:password@redis:6379/0")
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = c.Timeout, c.Timeout, c.Timeout, c.Timeout
	o.ContextTimeoutEnabled = true
	o.MaxRetries, o.DialerRetries = -1, 1 // the request that waits has no time for a second try
	o.Protocol, o.DisableIdentity = 2, true
	return o, nil
}

const (
	// leaseTime is how long a lease holds that is not renewed: after it a replica that died is forgotten.
	leaseTime = 30 * time.Second
	// renewEvery is how often leases are renewed, and probeEvery how often a Redis that is away is probed.
	renewEvery = leaseTime / 3
	probeEvery = time.Second
)

// errAway means that Redis does not respond, and this process counts for itself.
var errAway = errors.New("redis is away")

//go:embed shared.lua
var script string

// shared is what this process shares with the other replicas. Every decision is one round trip: redis_rate,
// the library for rates, would take one for each tenant of a request, and knows no leases.
type shared struct {
	client  *redis.Client
	script  *redis.Script
	config  RedisConfig
	process string // distinguishes this process's leases from the others'
	log     *slog.Logger
	leases  leases

	up       atomic.Bool
	failures atomic.Uint64
	named    atomic.Uint64
}

// silent keeps the library from writing to stderr: failures are logged here, once.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func newShared(c RedisConfig, probeEvery time.Duration, log *slog.Logger) (*shared, error) {
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	redis.SetLogger(silent{})
	s := &shared{client: redis.NewClient(o), script: redis.NewScript(script), config: c, process: rand.Text(), log: log}
	s.up.Store(true)
	s.leases.start(s, probeEvery)
	return s, nil
}

func (s *shared) close() {
	s.leases.end()
	_ = s.client.Close() // what was open is gone either way
}

// verdict is what Redis decides on a request.
type verdict struct {
	granted bool
	quota   Quota
	lease   *lease // nil: none was wanted, or there is no room
}

// request counts one request of the tenants: it draws on their rates, takes a lease for the class, or both.
func (s *shared) request(ctx context.Context, tenants []member, class Class, draw bool) (verdict, error) {
	if !s.up.Load() {
		return verdict{}, errAway
	}
	v, err := s.run(ctx, tenants, class, draw)
	switch {
	case err == nil:
		return v, nil
	case ctx.Err() != nil:
		return verdict{}, ctx.Err() // the caller left, which is no failure of Redis
	}
	s.failures.Add(1)
	if s.up.CompareAndSwap(true, false) {
		message := "redis is away; limits are this process's alone until it is back"
		if refusal(err) != nil {
			message = "redis refuses logfence's commands; limits are this process's alone until it takes them"
		}
		s.log.WarnContext(ctx, message, "error", s.hide(err))
	}
	return verdict{}, errAway
}

func (s *shared) run(ctx context.Context, tenants []member, class Class, draw bool) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	keys := make([]string, 0, 2*len(tenants))
	for _, t := range tenants {
		keys = append(keys, s.config.Prefix+"rate:"+string(t.name))
	}
	own := lease{}
	args := append(make([]any, 0, 3+3*len(tenants)), "", leaseTime.Milliseconds(), "0")
	if draw {
		args[2] = "1"
	}
	if atOnce := concurrencyOf(class); atOnce != nil {
		own.name = s.process + "-" + strconv.FormatUint(s.named.Add(1), 36)
		args[0] = own.name
		for _, t := range tenants {
			own.keys = append(own.keys, s.config.Prefix+class.String()+":"+string(t.name))
		}
		keys = append(keys, own.keys...)
	}
	for _, t := range tenants {
		args = append(args, t.limits.Rate, t.limits.Burst, 0)
		if atOnce := concurrencyOf(class); atOnce != nil {
			args[len(args)-1] = atOnce(t.limits)
		}
	}
	reply, err := s.script.Run(ctx, s.client, keys, args...).Int64Slice()
	if err != nil {
		return verdict{}, err
	}
	return s.read(reply, tenants, own)
}

// read parses the script's reply. Anything else counts as no reply.
func (s *shared) read(reply []int64, tenants []member, own lease) (verdict, error) {
	if len(reply) != 5 || reply[1] < 1 || reply[1] > int64(len(tenants)) {
		return verdict{}, errors.New("the reply is not one of the script's")
	}
	l := tenants[reply[1]-1].limits
	v := verdict{granted: reply[0] == 1, quota: Quota{
		Remaining: int(reply[2]), Reset: time.Duration(reply[3]) * time.Microsecond,
		Burst: l.Burst, Window: time.Duration(l.Burst) * (time.Second / time.Duration(l.Rate)),
	}}
	if reply[4] == 1 {
		v.lease = &own
		s.leases.keep(&own)
	}
	return v, nil
}

// probe sends what a request sends to a Redis that is away: one that only reads, or has no
// memory left, is not back.
func (s *shared) probe(ctx context.Context) {
	nobody := member{name: "~probe", limits: &Limits{Rate: 1_000_000, Burst: 1_000_000}} // no tenant's name
	if _, err := s.run(ctx, []member{nobody}, ClassRequest, true); err != nil || ctx.Err() != nil {
		return
	}
	s.up.Store(true)
	s.log.InfoContext(ctx, "redis is back; limits are shared again")
}

// hide is an error of Redis's without the address and what else may be in it.
func (s *shared) hide(err error) string {
	switch refused := refusal(err); {
	case refused != nil:
		return refused.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no reply in " + s.config.Timeout.String()
	default:
		return "no connection"
	}
}
