package auth

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/logfence/logfence/internal/strictjson"
	"github.com/logfence/logfence/internal/tenant"
)

// A shape is the form of the tenant claim: which JSON values name tenants, and how. Only the configured one is read.
type shape struct {
	kind    string
	field   string         // of shape field
	pattern *regexp.Regexp // of shape match
}

// The kinds of shapes. The zero value is a string or an array of strings.
const (
	shapeKeys    = "keys"
	shapeField   = "field"
	shapeNumber  = "number"
	shapeBoolean = "boolean"
	shapeSplit   = "split"
	shapeMatch   = "match"
)

const (
	// maxClaimValues is how many values of a claim are matched: a user may be in hundreds of groups.
	maxClaimValues = 2000
	shapesAre      = "keys, field:NAME, number, boolean, split:space, split:comma, split:json or match:PATTERN"
)

// parseShape reads the syntax of [Issuer.TenantShape]. Its error explains what is wrong with the text.
func parseShape(text string) (shape, error) {
	kind, rest, argued := strings.Cut(text, ":")
	switch {
	case text == "":
		return shape{}, nil
	case !argued && (kind == shapeKeys || kind == shapeNumber || kind == shapeBoolean):
		return shape{kind: kind}, nil
	case kind == shapeField && rest != "":
		return shape{kind: kind, field: rest}, nil
	case kind == shapeSplit && (rest == "space" || rest == "comma" || rest == "json"):
		return shape{kind: kind, field: rest}, nil
	case kind == shapeMatch && rest != "":
		pattern, err := compileNaming(rest)
		return shape{kind: kind, pattern: pattern}, err
	default:
		return shape{}, fmt.Errorf("%s is not a shape; write %s", shorten(text), shapesAre)
	}
}

// compileNaming compiles a pattern with one group named tenant, for complete values.
func compileNaming(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPatternBytes {
		return nil, fmt.Errorf("a pattern of %d bytes; at most %d are accepted", len(pattern), maxPatternBytes)
	}
	// Alone first: only a pattern that is complete by itself keeps its meaning between the anchors.
	alone, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("%s is not a regular expression (RE2): %s", shorten(pattern), withoutPrefix(err))
	}
	groups := 0
	for _, name := range alone.SubexpNames() {
		if name == "tenant" {
			groups++
		}
	}
	if groups != 1 {
		return nil, fmt.Errorf("%s has %d groups named tenant; write one, such as logs-(?P<tenant>[a-z0-9-]+)", shorten(pattern), groups)
	}
	anchored, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil { // an open quotation reaches beyond the pattern
		return nil, fmt.Errorf(`%s has a quotation (\Q) that is not closed; close it by \E`, shorten(pattern))
	}
	return anchored, nil
}

// tenants returns the tenants that the claim names, sorted. One name that is not valid refuses all, except with
// match: there the other values of the claim, and names that are not valid, name no tenant.
func (s shape) tenants(claim any) ([]tenant.Name, error) {
	if claim == nil {
		return nil, errClaimNull
	}
	switch s.kind {
	case shapeKeys:
		object, ok := claim.(map[string]any)
		if !ok {
			return nil, typeError(claim, "an object, whose keys name tenants")
		}
		return readTenants(texts(slices.Collect(maps.Keys(object))))
	case shapeField:
		return s.fields(claim)
	case shapeNumber:
		return readEach(claim, numberText)
	case shapeBoolean:
		return readEach(claim, booleanText)
	case shapeSplit:
		return s.split(claim)
	case shapeMatch:
		return s.matches(claim)
	default:
		return readTenants(claim)
	}
}

// fields reads the field of each object of an array.
func (s shape) fields(claim any) ([]tenant.Name, error) {
	return readEach(claim, func(item any) (any, bool) {
		object, ok := item.(map[string]any)
		if !ok {
			return nil, false
		}
		name, ok := object[s.field].(string)
		return name, ok
	})
}

// readEach reads the items of an array, or a single one, by the text that each stands for.
func readEach(claim any, text func(any) (any, bool)) ([]tenant.Name, error) {
	items, ok := claim.([]any)
	if !ok {
		items = []any{claim}
	}
	names := make([]any, 0, min(len(items), tenant.MaxNames+1))
	for _, item := range items {
		name, ok := text(item)
		if !ok {
			return nil, claimError("has %s where this server expects another type", jsonType(item))
		}
		if names = append(names, name); len(names) > tenant.MaxNames {
			break // readTenants refuses it
		}
	}
	return readTenants(names)
}

// numberText takes whole numbers that are written in digits alone: 1e3 and 1000 are one number and would be two
// tenants.
func numberText(item any) (any, bool) {
	n, ok := item.(json.Number)
	if !ok || strings.Trim(n.String(), "0123456789") != "" {
		return nil, false
	}
	return n.String(), true
}

func booleanText(item any) (any, bool) {
	b, ok := item.(bool)
	return fmt.Sprint(b), ok
}

// split reads the names in one string.
func (s shape) split(claim any) ([]tenant.Name, error) {
	text, ok := claim.(string)
	if !ok {
		return nil, typeError(claim, "one text with the names")
	}
	switch s.field {
	case "space":
		return readTenants(texts(strings.Fields(text)))
	case "comma":
		names := strings.SplitN(text, ",", tenant.MaxNames+2) // the rest is not a name
		for i := range names {
			names[i] = strings.TrimSpace(names[i])
		}
		return readTenants(texts(names))
	}
	object, err := strictjson.Object([]byte(`{"names":` + text + `}`))
	if err != nil {
		return nil, claimError("is not JSON in a text")
	}
	if len(object) != 1 { // `[],"a":[]` would end the value and begin another member
		return nil, claimError("is not one JSON value in a text")
	}
	return readTenants(object["names"])
}

// matches reads the values that match the pattern.
func (s shape) matches(claim any) ([]tenant.Name, error) {
	items, ok := claim.([]any)
	if !ok {
		items = []any{claim}
	}
	if len(items) > maxClaimValues {
		return nil, claimError("holds %d values; at most %d are read", len(items), maxClaimValues)
	}
	group := s.pattern.SubexpIndex("tenant")
	found := make(map[tenant.Name]bool)
	for _, item := range items {
		value, _ := item.(string)
		if m := s.pattern.FindStringSubmatch(value); m != nil {
			if name, ok := tenant.Parse(m[group]); ok {
				found[name] = true
			}
		}
	}
	switch {
	case len(found) == 0:
		return nil, claimError("holds %d values, none of which names a tenant", len(items))
	case len(found) > tenant.MaxNames:
		return nil, countError(len(found))
	}
	return slices.Sorted(maps.Keys(found)), nil
}

func texts(names []string) []any {
	all := make([]any, 0, len(names))
	for _, name := range names {
		all = append(all, name)
	}
	return all
}
