// Package tenancy confines LogQL to the tenants of one caller.
//
// Guarantee: every stream selector in a [Query], [Selector] or [PatternSelector] carries the matchers of the [Scope]
// that made it, added to whatever the caller wrote, and nothing else of the text's meaning is
// changed. Only this package can make them, and package loki sends nothing else upstream.
//
// Not promised here: who the caller is (package auth), how often and how much a caller may request
// (package limits), or which labels exist.
//
// No library fences LogQL so: prom-label-proxy's injectproxy, the nearest, parses PromQL alone, merges its
// matcher with the caller's, prints the tree anew and proves nothing about the result.
//
// The package is pure: no clock, no network, no logging. It is the only one that imports Loki's
// LogQL parser. That parser can be made to cost seconds, gigabytes or the process itself by texts
// of a few kilobytes, so nothing reaches it before [scanQuery] has estimated what it would cost.
package tenancy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/tenant"
)

// Defaults and bounds of [Config].
const (
	// DefaultLabel is the stream label that tells tenants apart.
	DefaultLabel = "tenant_id"
	// MaxQueryBytes is the longest LogQL text, fenced or not, that Loki's parser takes (maxInputSize in its
	// parser.go, v3.7.8). A tenant's own limit is package limits' to hold.
	MaxQueryBytes = 131072 - 1
	// defaultCacheBytes bounds the cache of fenced queries, text and result together.
	defaultCacheBytes = 8 << 20
	// maxScopesBytes bounds the cache of scopes: one tenant's takes about 1 KB, so these are those of ten
	// thousand and more.
	maxScopesBytes = 16 << 20
)

// Config is what a [Fence] is made of. The zero value is usable.
type Config struct {
	// Label is the stream label that tells tenants apart; "" is [DefaultLabel]. One that the streams do
	// not have makes every response empty. Labels that begin with "__" are refused: Loki does not match
	// all of them against streams, and then every tenant's would be returned.
	Label string
	// CacheBytes bounds the cache of fenced queries; 0 is 8 MiB, negative none.
	CacheBytes int
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Validate reports every mistake in c, each as "Field: problem".
func (c Config) Validate() error {
	var errs []error
	if c.Label != "" {
		if err := checkLabel(c.Label); err != nil {
			errs = append(errs, fielderror.New("Label", "%w", err))
		}
	}
	return errors.Join(errs...)
}

// reservedPrefix begins the labels that Loki keeps for itself. Not every matcher on them confines:
// the TSDB index drops all matchers on __name__, and reads __cortex_shard__ as a shard of the request
// (pkg/storage/stores/shipper/indexshipper/tsdb in Loki 3.7.8). The whole prefix is refused, so that the
// next such label is as well.
const reservedPrefix = "__"

// checkLabel makes sure that a matcher on the label is one identifier to Loki's lexer (`by` or `sum` are
// good label names elsewhere, and keywords inside a selector), and that Loki matches it against streams.
func checkLabel(name string) error {
	if strings.HasPrefix(name, reservedPrefix) {
		return fmt.Errorf("%q is reserved by Loki, whose index ignores matchers on such labels; use a label that does not begin with %s",
			name, reservedPrefix)
	}
	if !labelName.MatchString(name) {
		return fmt.Errorf("%q is no stream label; write letters, digits and underscores, such as %s", name, DefaultLabel)
	}
	if functionNames[strings.ToLower(name)] {
		return fmt.Errorf("%q is the name of a LogQL function, which makes every query expensive to parse; use another label", name)
	}
	ms, err := syntax.ParseMatchers("{"+name+`="x"}`, true)
	if err != nil || len(ms) != 1 || ms[0].Name != name {
		return fmt.Errorf("%q is a word of LogQL and cannot be matched in a selector; use another label", name)
	}
	return nil
}

// Fence makes scopes. It holds what they share: the label, and the caches of fenced queries and of
// scopes. It is safe for use by many goroutines.
type Fence struct {
	label   string
	queries *cache[queryKey, Query]
	reads   *cache[Query, []Read]
	// scopes are by what they were made of: one page makes many requests.
	scopes *cache[string, Scope]
}

// New makes a fence, or reports every mistake in c.
func New(c Config) (*Fence, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Label == "" {
		c.Label = DefaultLabel
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCacheBytes
	}
	queries, err := newCache(c.CacheBytes, queryWeight)
	if err != nil {
		return nil, err
	}
	scopes, err := newCache(maxScopesBytes, scopeWeight)
	if err != nil {
		return nil, err
	}
	reads, err := newCache(maxReadsBytes, readsWeight)
	if err != nil {
		return nil, err
	}
	return &Fence{label: c.Label, queries: queries, reads: reads, scopes: scopes}, nil
}

// Label is the stream label that tells tenants apart.
func (f *Fence) Label() string { return f.label }

// Scope is what one caller may read: the streams of one or several tenants, narrowed further by
// matchers of the caller's token. The zero Scope fences nothing and refuses everything.
type Scope struct {
	fence   *Fence
	tenants []tenant.Name
	joined  string // the same, joined by commas
	// identity tells scopes apart: two scopes with the same have the same tenants and matchers.
	identity string
	// plain is what each selector gains; see [Scope.prefix]. more are those of its matchers that narrow the
	// scope further.
	plain prefix
	more  []*labels.Matcher
	all   Selector
}

// prefix is the text that goes behind each `{`, and the matchers that it must parse to.
type prefix struct {
	text     string
	matchers []*labels.Matcher
	cost     float64 // of parsing it once, in microseconds
}

// Scope makes the scope of one or several tenants: a union, which a stream of any of them is in.
// There are 1 to [tenant.MaxNames] names, each valid; [ErrTenant] otherwise.
//
// extras narrow it: each is one stream selector whose matchers are added beside the tenant's, as it stands
// in a token's claim or in a grant; "" adds none. [ErrExtra] if one is not a selector.
func (f *Fence) Scope(tenants []tenant.Name, extras ...string) (Scope, error) {
	// Names are counted before they are joined: no key is longer than what makes a scope.
	if len(tenants) > tenant.MaxNames {
		return Scope{}, fmt.Errorf("%w: %d names, want 1 to %d", ErrTenant, len(tenants), tenant.MaxNames)
	}
	return f.cached(scopeKey(tenants, extras...), func() (Scope, error) { return f.newScope(tenants, extras) })
}

// AnyTenant makes the scope of every tenant: each stream whose tenant label is there and not empty. It is for callers
// that the operator has granted every tenant, and no list of names leads to it. Such a scope has no [Scope.Tenants], and
// the tenants of its fenced values are [tenant.Any].
//
// extras are as in [Fence.Scope].
func (f *Fence) AnyTenant(extras ...string) (Scope, error) {
	return f.cached("*"+scopeKey(nil, extras...), func() (Scope, error) {
		return f.finishScope(labels.MustNewMatcher(labels.MatchRegexp, f.label, ".+"), nil, extras)
	})
}

func (f *Fence) cached(key string, newScope func() (Scope, error)) (Scope, error) {
	if s, ok := f.scopes.Get(key); ok {
		return s, nil
	}
	s, err := newScope()
	if err == nil {
		f.scopes.Add(key, s)
	}
	return s, err
}

// scopeKey tells lists of names and selectors apart: how many names there are comes first, and each text has its
// length before it, so that no two make the same key.
func scopeKey(tenants []tenant.Name, extras ...string) string {
	key := appendLength(make([]byte, 0, 256), len(tenants)) // most fit, and take nothing from the heap
	for _, name := range tenants {
		key = append(appendLength(key, len(name)), name...)
	}
	for _, extra := range extras {
		key = append(appendLength(key, len(extra)), extra...)
	}
	return string(key)
}

func appendLength(key []byte, n int) []byte {
	return append(strconv.AppendInt(key, int64(n), 10), ' ')
}

func (f *Fence) newScope(tenants []tenant.Name, extras []string) (Scope, error) {
	names := slices.Clone(tenants)
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return Scope{}, fmt.Errorf("%w: no names", ErrTenant)
	}
	for i, name := range names {
		if !name.Valid() {
			return Scope{}, fmt.Errorf("%w: name %d of %d is not %s", ErrTenant, i+1, len(names), tenant.Grammar)
		}
	}
	if len(names) == 1 {
		return f.finishScope(labels.MustNewMatcher(labels.MatchEqual, f.label, string(names[0])), names, extras)
	}
	own, err := f.union(names)
	if err != nil {
		return Scope{}, err
	}
	return f.finishScope(own, names, extras)
}

// finishScope makes the scope of a matcher on the tenant label. Without names it is that of every tenant.
func (f *Fence) finishScope(own *labels.Matcher, names []tenant.Name, extras []string) (Scope, error) {
	var more []*labels.Matcher
	for _, extra := range extras {
		matchers, err := extraMatchers(extra)
		if err != nil {
			return Scope{}, err
		}
		more = append(more, matchers...)
	}
	s := Scope{fence: f, tenants: names, plain: newPrefix(own, more), more: more}
	s.joined, s.identity = strings.Join(tenant.Texts(names), ","), scopeKey(names, s.plain.text)
	if len(names) == 0 {
		s.joined = string(tenant.Any) // never empty: package loki refuses a value of no tenants
	}
	s.all = Selector{logql: "{" + s.plain.text + "}", tenants: s.joined}
	// The scope's own selector passes through the same proof as everybody's: a label or a matcher
	// that does not come back from Loki's parser as it went in makes no scope.
	if _, err := s.fenceText("{}", wantSelector); err != nil {
		unfit := ErrTenant
		if len(more) > 0 {
			unfit = ErrExtra
		}
		return Scope{}, fmt.Errorf("%w: %w", unfit, err)
	}
	return s, nil
}

// union matches the streams of any of the tenants.
func (f *Fence) union(names []tenant.Name) (*labels.Matcher, error) {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = regexp.QuoteMeta(string(name))
	}
	m, err := labels.NewMatcher(labels.MatchRegexp, f.label, strings.Join(quoted, "|"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTenant, err)
	}
	return m, nil
}

// Tenants are the names of the tenants in the scope, sorted; none where it is of every tenant.
func (s Scope) Tenants() []tenant.Name { return slices.Clone(s.tenants) }

// Extra is the selector of what narrows the scope beside its tenants; empty: nothing does.
func (s Scope) Extra() string {
	if len(s.more) == 0 {
		return ""
	}
	return "{" + newPrefix(s.more[0], s.more[1:]).text + "}"
}

// All is the selector of every stream in the scope.
func (s Scope) All() Selector { return s.all }

func newPrefix(own *labels.Matcher, more []*labels.Matcher) prefix {
	p := prefix{matchers: append([]*labels.Matcher{own}, more...)}
	texts := make([]string, len(p.matchers))
	for i, m := range p.matchers {
		texts[i] = m.String()
	}
	p.text = strings.Join(texts, ",")
	for _, m := range p.matchers {
		if m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp {
			p.cost += priceRegexp(m.Value, useMatcher)
		}
	}
	return p
}

// prefix is what each selector of a text gains. Loki evaluates absent_over_time to the labels of
// the selector's equality matchers (absentLabels in its evaluator.go, v3.7.8), so the tenant's
// label would turn up in the response: there a regular expression selects the same and leaves no trace. It
// is compiled on first use: scopes are many, and few ever need it.
func (s Scope) prefix(hasAbsent bool) (prefix, error) {
	if !hasAbsent || len(s.tenants) == 0 { // every tenant is a regular expression already
		return s.plain, nil
	}
	tenants, err := s.fence.union(s.tenants)
	if err != nil {
		return prefix{}, err
	}
	return newPrefix(tenants, s.more), nil
}

// extraMatchers reads the selector of a token's claim or of a grant. Its matchers stand in every query of the
// caller, so it is held to the same costs.
func extraMatchers(text string) ([]*labels.Matcher, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > MaxQueryBytes {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrExtra, MaxQueryBytes)
	}
	if _, err := scanQuery(text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExtra, err)
	}
	expr, err := parse(text, syntax.ParseExprWithoutValidation)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExtra, err)
	}
	m, ok := expr.(*syntax.MatchersExpr)
	if !ok || len(m.Mts) == 0 {
		return nil, fmt.Errorf("%w: want one selector with at least one matcher", ErrExtra)
	}
	for _, matcher := range m.Mts {
		if strings.HasPrefix(matcher.Name, reservedPrefix) {
			return nil, fmt.Errorf("%w: matcher on %s: Loki ignores some labels that begin with %s", ErrExtra, matcher.Name, reservedPrefix)
		}
	}
	return m.Mts, nil
}
