// Package access decides what the holder of a token may read: grants map claims to tenants, selectors and limits.
//
// Guarantee: what [Rules] give to a token is the union of the grants that apply to it, and no [Choice] reaches a stream
// that none of the grants in it gives. A grant applies to tokens of the issuers that it names and to no others, and
// where an issuer may name some tenants only, it gives only those. Rules do not change: a file that is read again makes
// others.
//
// Not promised here: that claims are verified (package auth), that a query is confined to a choice (package tenancy),
// or that a tenant exists.
package access

import (
	"github.com/logfence/logfence/internal/tenant"
)

// Grant is one grant of the file, as the operator writes it.
type Grant struct {
	// Name is how callers choose it and records show it: 1 to 64 bytes of [A-Za-z0-9._-].
	Name string
	// When are the conditions, all of which have to hold; at least one.
	When []Condition
	// Issuers are the issuers to whose tokens it applies, by the `iss` of the tokens. It is required where there are
	// several issuers, and for every tenant. Nil: the one that there is.
	Issuers []string
	// Source is where the tenants come from, and Tenants are those of SourceList.
	Source  Source
	Tenants []tenant.Name
	// Selector narrows it further; empty: it is the tenants' streams.
	Selector string
	// Limits is a class of the limits file; empty: the tenants' own limits.
	Limits string
	// Default says that a caller with several grants who chooses none gets this one.
	Default bool
}

// Source is where the tenants of a grant come from.
type Source int

// The sources.
const (
	SourceNone    Source = iota // not given; refused
	SourceList                  // those that the grant names
	SourcePattern               // the group `tenant` of a condition's pattern
	SourceMap                   // the map of a condition
	SourceAny                   // every tenant
)

// What the file says in place of a list of tenants.
const (
	TextPattern = "from-pattern"
	TextMap     = "from-map"
	TextAny     = "*"
)

// Condition holds where one of a claim's values matches. Exactly one of Values, Pattern and Map is given. A claim's
// value is a string, or a boolean or an integer by its JSON text, or an array of those; what it is compared with is
// compared byte by byte. Other values, and those of an array beyond the first [MaxClaimValues], match nothing.
type Condition struct {
	// Claim is the path of the claim, in the syntax of LOGFENCE_TENANT_CLAIM.
	Claim string
	// Values are what a value may be. In each `*` stands for any characters; nothing else is special.
	Values []string
	// Pattern is an RE2 expression that has to match a complete value, with or without anchors. Its group `tenant`,
	// where the grant's tenants are from it, has to be a valid name; other values do not match.
	Pattern string
	// Map are the tenants of each of its values, for grants whose tenants are from it.
	Map map[string][]tenant.Name
}

// Bounds of what is read.
const (
	// MaxClaimValues is how many values of a claim are read: a user may be in hundreds of groups.
	MaxClaimValues = 2000
	// MaxGrants is how many grants a file may have, and MaxApplied how many may apply to one token.
	MaxGrants  = 20_000
	MaxApplied = 512

	maxNameBytes    = 64
	maxConditions   = 16
	maxPatternBytes = 1000
	maxValueBytes   = 1024
)

// Issuer is a configured issuer, as far as grants are concerned.
type Issuer struct {
	// Name is the `iss` of its tokens, or what a token without one has in its place.
	Name string
	// MayName reports whether its tokens may be given the tenant; nil: every tenant.
	MayName func(tenant.Name) bool
	// CheckSource returns why conditions on its claims are not safe, and what to write instead; nil or empty: they are.
	CheckSource func([]Condition) string
}

// Config is what grants refer to.
type Config struct {
	// Generation names the content of the file, for records.
	Generation string
	// Issuers are the configured ones.
	Issuers []Issuer
	// Classes are those of the limits file.
	Classes []string
}
