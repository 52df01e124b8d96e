package demo

import (
	"fmt"
	"regexp"
	"strings"
)

// Configuration is one way in which users run Loki. The tests of isolation run with each of them (`make test-lokis`);
// docs/lokis.md has the results.
type Configuration struct {
	Name    string
	Meaning string // what it has that the others do not, for the table
	Since   string // the oldest minor version of Loki that has it; empty: all that logfence takes
	Loki    LokiOptions
	// OrgID is LOGFENCE_LOKI_ORG_ID of the logfence in front of it; empty: it has no organizations.
	OrgID string
	// Cached is whether responses come from caches: where two spans overlap, Loki guesses volumes and statistics of one from
	// those of the other.
	Cached bool
	// NoPatterns is a Loki without a pattern ingester.
	NoPatterns bool
	// StoreOnly is a Loki whose ingester is not queried: what is written is found when it is flushed.
	StoreOnly bool
}

var cacheArgs = []string{
	"-querier.cache-results=true", "-querier.cache-index-stats-results=true", "-querier.cache-volume-results=true",
	"-querier.cache-label-results=true", "-querier.cache-series-results=true", "-querier.cache-instant-metric-results=true",
	// By default what is younger than ten minutes, or a day for labels and series, is not cached.
	"-frontend.max-cache-freshness=0s", "-frontend.max-stats-cache-freshness=0s", "-frontend.max-metadata-cache-freshness=0s",
}

// separateArgs have a range cut into many parts, which travel between the processes.
var separateArgs = []string{"-querier.split-queries-by-interval=10m", "-frontend.encoding=json"}

// Configurations are all, the default first.
var Configurations = []Configuration{
	{Name: "default", Meaning: "one process, no caches of results, a pattern ingester"},
	{Name: "caches", Meaning: "all caches of results on, for fresh logs, too", Cached: true, Loki: LokiOptions{Args: cacheArgs}},
	{Name: "patterns-off", Meaning: "no pattern ingester", NoPatterns: true, Loki: LokiOptions{Args: []string{"-pattern-ingester.enabled=false"}}},
	{Name: "patterns-stored", Meaning: "patterns are persisted", Since: "3.6", Loki: LokiOptions{PersistPatterns: true}},
	{
		Name: "caches-and-patterns", Meaning: "all caches of results on, and patterns are persisted", Since: "3.6", Cached: true,
		Loki: LokiOptions{PersistPatterns: true, Args: cacheArgs},
	},
	{
		Name: "one-organization", Meaning: "`auth_enabled: true`, one organization for all tenants", OrgID: "shared",
		Loki: LokiOptions{MultiTenant: true, Organization: func(map[string]string) string { return "shared" }},
	},
	{
		Name: "organization-per-tenant", Meaning: "`auth_enabled: true`, an organization for each tenant", OrgID: "{tenant}",
		Loki: LokiOptions{MultiTenant: true, Organization: tenantsOrganization},
	},
	{
		Name: "separate", Meaning: "query frontend, querier, write and backend as processes; `frontend.encoding: json`; ten-minute splits",
		Loki: LokiOptions{Separate: true, Args: separateArgs},
	},
	{
		Name: "separate-protobuf", Meaning: "the same, `frontend.encoding: protobuf`",
		Loki: LokiOptions{Separate: true, Args: []string{separateArgs[0], "-frontend.encoding=protobuf"}},
	},
	{
		Name: "replicated", Meaning: "the same as `separate`, with three write processes that each hold every line (`replication_factor: 3`)",
		Loki: LokiOptions{Separate: true, Replicas: 3, Args: separateArgs},
	},
	{Name: "store", Meaning: "only the store is queried", StoreOnly: true, Loki: LokiOptions{Args: []string{"-querier.query-store-only=true"}}},
}

// ConfigurationNamed finds a configuration; empty is the default.
func ConfigurationNamed(name string) (Configuration, error) {
	names := make([]string, len(Configurations))
	for i, c := range Configurations {
		if names[i] = c.Name; c.Name == name || name == "" {
			return c, nil
		}
	}
	return Configuration{}, fmt.Errorf("there is no configuration %q of Loki; there are %s", name, strings.Join(names, ", "))
}

// In reports whether a version of Loki has the configuration.
func (c Configuration) In(version string) bool {
	return c.Since == "" || !Older(version, c.Since)
}

// Older reports whether a version of Loki is of an older minor version than another.
func Older(version, than string) bool {
	var v, o [2]int
	_, _ = fmt.Sscanf(version, "%d.%d", &v[0], &v[1]) // what is no number is the oldest
	_, _ = fmt.Sscanf(than, "%d.%d", &o[0], &o[1])
	return v[0] < o[0] || v[0] == o[0] && v[1] < o[1]
}

// Apply is what a Loki with these options has beside them in this configuration.
func (c Configuration) Apply(o LokiOptions) LokiOptions {
	o.MultiTenant = o.MultiTenant || c.Loki.MultiTenant
	o.PersistPatterns = o.PersistPatterns || c.Loki.PersistPatterns
	o.Separate = o.Separate || c.Loki.Separate
	o.Replicas = max(o.Replicas, c.Loki.Replicas)
	if o.Organization == nil {
		o.Organization = c.Loki.Organization
	}
	o.Args = append(append([]string(nil), o.Args...), c.Loki.Args...)
	return o
}

// OrgOf is the organization of a tenant's logs; empty: there are none.
func (c Configuration) OrgOf(tenant string) string {
	return strings.ReplaceAll(c.OrgID, "{tenant}", tenant)
}

var organizationName = regexp.MustCompile(`^[a-zA-Z0-9-]+$`)

// tenantsOrganization is named like the tenant. Streams whose tenant is none, or no name of an organization, are where they do
// the most harm: in alpha's.
func tenantsOrganization(labels map[string]string) string {
	if tenant := labels["tenant_id"]; organizationName.MatchString(tenant) {
		return tenant
	}
	return Alpha
}
