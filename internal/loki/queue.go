package loki

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/logfence/logfence/internal/tenant"
)

// What tells Loki whose a request is, for its queues and its log. Both headers are made here, of the tenants of the
// fenced values and of the caller's subject; nothing that a caller sends is in them.
const (
	headerActorPath = "X-Loki-Actor-Path"
	headerQueryTags = "X-Query-Tags"
)

// MaxActorLevels is how deep the queues are that requests go to within Loki: by tenants, and then by subject.
const MaxActorLevels = 2

// DefaultActorLevels is the value of Config.ActorLevels for which there is no reason to choose another.
const DefaultActorLevels = MaxActorLevels

// label marks a request with whose it is.
func (c *Client) label(h http.Header, options RequestOptions, path string, tenants []tenant.Name) {
	if len(tenants) == 0 {
		return // it reads no logs, and waits in no queue
	}
	if actor := actorPath(int(c.actorLevels.Load()), tenants, options.Subject); actor != "" {
		h.Set(headerActorPath, actor)
	}
	h.Set(headerQueryTags, c.queryTags(options, path, tenants))
	if c.requiredLabel != "" {
		h[headerQueryLimits] = []string{c.queryLimits(options, path)}
	}
}

// actorPath is the path of the queue in which Loki's scheduler lets a request wait, below that of its organization. Loki
// (3.7.8, pkg/queue) takes from the queues of one level in turn, so that the many parts of one tenant's wide query do
// not delay the others' small ones, nor those of one user the other users' of the same tenant. Each path has the same
// number of segments: what is queued above others would get a turn of its own among them. A path has no segment that is
// empty, and the delimiter is in none.
func actorPath(levels int, tenants []tenant.Name, subject string) string {
	switch levels {
	case 0:
		return ""
	case 1:
		return joinTenants(tenants, "+")
	default:
		return joinTenants(tenants, "+") + "|" + shortHash(subject)
	}
}

// The sources that tags name: Loki 3.7.8 knows Grafana's Logs Drilldown by its one (IsLogsDrilldownRequest in its
// pkg/util/httpreq), whatever the other tags are.
const (
	sourceLogfence  = "Source=logfence"
	sourceDrilldown = "Source=grafana-lokiexplore-app"
)

// queryTags returns the value of X-Query-Tags, which is in Loki's log of queries: a source, which is a constant of ours
// whatever the caller has sent, and the tenants.
func (c *Client) queryTags(options RequestOptions, path string, tenants []tenant.Name) string {
	return c.source(options, path) + ",tenant=" + joinTenants(tenants, " ") // Loki turns a plus sign into an underscore
}

// source is whom Loki takes a request to come from.
//
// Drilldown's also opens Loki's streams of aggregated metrics and stored patterns
// (ValidateAggregatedMetricQuery in its pkg/querier/limits). Those have no tenant label, so that no fenced selector of
// a query selects them. Patterns are different: Loki selects stored patterns by labels that it reads from lines into
// which it wrote them without escaping, so that another tenant's label value could pass for the caller's.
// Without the tag it returns none of them.
func (c *Client) source(options RequestOptions, path string) string {
	if !options.Drilldown {
		return sourceLogfence
	}
	switch path {
	case apiPrefix + pathQueryRange, apiPrefix + pathQuery:
		return sourceDrilldown
	case apiPrefix + pathPatterns:
		if c.storedPatterns {
			return sourceDrilldown
		}
	}
	return sourceLogfence
}

// maxJoined bounds the names of tenants in a header: beyond it, their number and a hash stand for them.
const maxJoined = 512

func joinTenants(tenants []tenant.Name, separator string) string {
	joined := strings.Join(tenant.Texts(tenants), separator)
	if len(joined) > maxJoined {
		return strconv.Itoa(len(tenants)) + "-tenants-" + shortHash(joined)
	}
	return joined
}

// shortHash stands for a text that is of no use to those who read Loki's log, or none of their business. All replicas
// make the same, so that one caller's requests share a queue.
func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// tooDeep is how Loki's scheduler refuses a path that is deeper than max_queue_hierarchy_levels (3.7.8,
// pkg/scheduler/scheduler.go). It refuses every query then.
var tooDeep = regexp.MustCompile(`exceeds maxim?um depth of queue hierarchy.*only (\d+) levels are allowed`)

// actorRefused reports whether Loki has refused a request for its actor path, and has later ones sent with a path that it
// takes.
func (c *Client) actorRefused(err error) bool {
	var failure *Error
	if !errors.As(err, &failure) || failure.Kind != ErrFailed { //nolint:errorlint // a kind is not wrapped
		return false
	}
	m := tooDeep.FindStringSubmatch(failure.Cause.Error())
	if m == nil {
		return false
	}
	allowed, err := strconv.Atoi(m[1])
	if err != nil {
		return false
	}
	if lower(c.actorLevels, int64(allowed)) {
		c.log.Warn("Loki refuses the depth of X-Loki-Actor-Path; fewer levels are sent from now on, so that its queues are less fair between users",
			"allowed", allowed, "instead", "raise query_scheduler.max_queue_hierarchy_levels in Loki, or lower LOGFENCE_LOKI_ACTOR_LEVELS")
	}
	return true
}

// lower sets a value unless it is as low already, and reports whether it has.
func lower(value *atomic.Int64, to int64) bool {
	for {
		now := value.Load()
		if now <= to {
			return false
		}
		if value.CompareAndSwap(now, to) {
			return true
		}
	}
}
