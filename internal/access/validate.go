package access

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/logfence/logfence/internal/claimpath"
	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// validator checks grants, and gathers those that are valid as rules.
type validator struct {
	config Config
	rules  *Rules
	errs   []error
	names  map[string]int // of grants, and where each is
}

func (v *validator) err() error { return errors.Join(v.errs...) }

// report adds a mistake in a field of a grant; empty: in the grant as such.
func (v *validator) report(i int, field, format string, args ...any) {
	path := fmt.Sprintf("grants[%d]", i)
	if field != "" {
		path += "." + field
	}
	v.errs = append(v.errs, fielderror.New(path, format, args...))
}

func (v *validator) check(grants []Grant) {
	v.names = map[string]int{}
	if len(grants) > MaxGrants {
		v.errs = append(v.errs, fielderror.New("grants", "%d grants; at most %d are read; a map or a pattern stands for many", len(grants), MaxGrants))
		return
	}
	if len(grants) == 0 {
		v.errs = append(v.errs, fielderror.New("grants", "none; without a grant nobody may read anything"))
	}
	for i, g := range grants {
		v.checkGrant(i, g)
	}
}

func (v *validator) checkGrant(i int, g Grant) {
	made := grant{Grant: g}
	v.checkName(i, g.Name)
	v.checkIssuers(i, &made)
	for n, c := range g.When {
		if id, ok := v.checkCondition(i, n, g, c); ok {
			made.conditions = append(made.conditions, id)
		}
	}
	switch {
	case len(g.When) == 0:
		v.report(i, "when", `required; write at least one condition, such as [{claim: groups, values: [shop-team]}]`)
	case len(g.When) > maxConditions:
		v.report(i, "when", "%d conditions; at most %d are taken", len(g.When), maxConditions)
	}
	v.checkTenants(i, g, made.issuers)
	var err error
	if made.narrowing, err = tenancy.ParseNarrowing(g.Selector); err != nil {
		v.report(i, "selector", "%q: %s", g.Selector, strings.TrimPrefix(err.Error(), tenancy.ErrExtra.Error()+": "))
	}
	if g.Limits != "" && !slices.Contains(v.config.Classes, g.Limits) {
		v.report(i, "limits", "%s", v.noClass(g.Limits))
	}
	v.rules.grants = append(v.rules.grants, made)
}

func (v *validator) noClass(name string) string {
	if len(v.config.Classes) == 0 {
		return fmt.Sprintf("there is no class %q; the limits file has no classes", name)
	}
	return fmt.Sprintf("there is no class %q in the limits file; the classes are %s", name, strings.Join(v.config.Classes, ", "))
}

var grantName = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9._-]{1,%d}$`, maxNameBytes))

func (v *validator) checkName(i int, name string) {
	first, twice := v.names[name]
	switch {
	case name == "":
		v.report(i, "name", "required; callers choose the grant by it, and records show it")
	case !grantName.MatchString(name):
		v.report(i, "name", "%q is not a name; write 1 to %d letters, digits, dots, dashes and underscores", name, maxNameBytes)
	case twice:
		v.report(i, "name", "%q is the name of grants[%d] already; write another", name, first)
	}
	v.names[name] = i
}

func (v *validator) checkIssuers(i int, g *grant) {
	switch {
	case g.Issuers == nil && g.Source == SourceAny:
		v.report(i, "issuers", `required for tenants: "*"; name the issuers whose tokens may be given every tenant`)
	case g.Issuers == nil && len(v.config.Issuers) > 1:
		v.report(i, "issuers", "required, as there are several issuers; without it, each of them could make a token for this grant; name those that may")
	case g.Issuers == nil:
		return
	case len(g.Issuers) == 0:
		v.report(i, "issuers", "an empty list; the grant would apply to nobody")
	}
	g.issuers = map[string]bool{}
	for n, name := range g.Issuers {
		iss, known := v.rules.issuers[name]
		switch {
		case !known:
			v.report(i, fmt.Sprintf("issuers[%d]", n), "%q is not configured; write the iss of its tokens: %s", name, v.issuerNames())
		case g.issuers[name]:
			v.report(i, fmt.Sprintf("issuers[%d]", n), "%q is given twice; write it once", name)
		}
		g.issuers[name] = true
		v.checkSource(i, iss, g.When)
	}
}

func (v *validator) issuerNames() string {
	const most = 8
	var names []string
	for n, iss := range v.config.Issuers {
		if n == most {
			names = append(names, "…")
			break
		}
		names = append(names, iss.Name)
	}
	return strings.Join(names, " or ")
}

func (v *validator) checkSource(i int, iss Issuer, conditions []Condition) {
	if iss.CheckSource == nil {
		return
	}
	if problem := iss.CheckSource(conditions); problem != "" {
		v.report(i, "when", "%s", problem)
	}
}

// checkTenants checks where the tenants come from, and that the issuers may name those that are known.
func (v *validator) checkTenants(i int, g Grant, issuers map[string]bool) {
	patterns, maps := 0, 0
	for _, c := range g.When {
		if namesTenant(c.Pattern) {
			patterns++
		}
		if c.Map != nil {
			maps++
		}
	}
	switch {
	case g.Source == SourceNone:
		v.report(i, "tenants", `required; write names, %s, %s or "%s"`, TextPattern, TextMap, TextAny)
	case g.Source == SourcePattern && patterns != 1:
		v.report(i, "tenants", "%s needs one condition whose pattern has a group named tenant, such as logs-(?P<tenant>[a-z0-9-]+); there are %d", TextPattern, patterns)
	case g.Source != SourcePattern && patterns > 0:
		v.report(i, "tenants", "a pattern has a group named tenant, which is not read; write tenants: %s, or a group without a name", TextPattern)
	case g.Source == SourceMap && maps != 1:
		v.report(i, "tenants", "%s needs one condition with a map; there are %d", TextMap, maps)
	case g.Source != SourceMap && maps > 0:
		v.report(i, "tenants", "a condition has a map, which is not read; write tenants: %s", TextMap)
	case g.Source == SourceList && len(g.Tenants) == 0:
		v.report(i, "tenants", "an empty list; name the tenants")
	}
	v.checkNames(i, "tenants", g.Tenants, issuers)
	for n, c := range g.When {
		for _, value := range sortedKeys(c.Map) {
			v.checkNames(i, fmt.Sprintf("when[%d].map.%s", n, value), c.Map[value], issuers)
			if len(c.Map[value]) == 0 {
				v.report(i, fmt.Sprintf("when[%d].map.%s", n, value), "an empty list; name the tenants")
			}
		}
	}
	if g.Source == SourceAny {
		for _, iss := range v.config.Issuers {
			if issuers[iss.Name] && iss.MayName != nil {
				v.report(i, "tenants", `"*" is more than the issuer %s may name; give it any_tenant: true, or name the tenants`, iss.Name)
			}
		}
	}
}

func (v *validator) checkNames(i int, field string, names []tenant.Name, issuers map[string]bool) {
	if len(names) > tenant.MaxNames {
		v.report(i, field, "%d names; at most %d are accepted", len(names), tenant.MaxNames)
		return
	}
	for n, name := range names {
		switch {
		case name == TextAny:
			v.report(i, field, `"*" within a list; write tenants: "*" for every tenant`)
		case !name.Valid():
			v.report(i, field, "%q is not a name of %s", name, tenant.Grammar)
		case slices.Contains(names[:n], name):
			v.report(i, field, "%q is given twice; write it once", name)
		default:
			v.checkMayName(i, field, name, issuers)
		}
	}
}

// checkMayName refuses a tenant that one of the grant's issuers may not name: the grant would say what is not so.
func (v *validator) checkMayName(i int, field string, name tenant.Name, issuers map[string]bool) {
	for _, iss := range v.config.Issuers {
		if (issuers == nil || issuers[iss.Name]) && !iss.mayName(name) {
			v.report(i, field, "the issuer %s may not name %q; its settings tenants and tenant_pattern do not contain it", iss.Name, name)
			return
		}
	}
}

// checkCondition checks one condition, and indexes it.
func (v *validator) checkCondition(i, n int, g Grant, c Condition) (id int, ok bool) {
	before := len(v.errs)
	in := fmt.Sprintf("when[%d]", n)
	path, err := claimpath.Parse(c.Claim)
	switch {
	case c.Claim == "":
		v.report(i, in+".claim", "required; name the claim, such as groups")
	case err != nil:
		v.report(i, in+".claim", "%s", err)
	}
	given := 0
	for _, is := range []bool{c.Values != nil, c.Pattern != "", c.Map != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		v.report(i, in, "has %d of values, pattern and map; write one of them", given)
	}
	v.checkValues(i, in, c)
	made := condition{Condition: c, grant: i, group: -1}
	if c.Pattern != "" {
		if made.pattern, err = compilePattern(c.Pattern); err != nil {
			v.report(i, in+".pattern", "%s", err)
		} else if g.Source == SourcePattern {
			made.group = made.pattern.SubexpIndex("tenant")
		}
	}
	if len(v.errs) > before {
		return 0, false
	}
	return v.rules.add(made, path), true
}

func (v *validator) checkValues(i int, in string, c Condition) {
	switch {
	case c.Values != nil && len(c.Values) == 0:
		v.report(i, in+".values", "an empty list; the condition would never hold")
	case c.Map != nil && len(c.Map) == 0:
		v.report(i, in+".map", "empty; the condition would never hold")
	}
	for _, value := range slices.Concat(c.Values, sortedKeys(c.Map)) {
		switch {
		case value == "":
			v.report(i, in, "has an empty value; write what the claim has to be")
		case len(value) > maxValueBytes:
			v.report(i, in, "has a value of %d bytes; at most %d are taken", len(value), maxValueBytes)
		}
	}
	for _, value := range sortedKeys(c.Map) {
		if strings.Contains(value, "*") {
			v.report(i, in+".map."+value, "%q has a *, which has no meaning here; values of a map are compared exactly", value)
		}
	}
}

// compilePattern compiles a pattern for complete values. Alone first: only one that is complete by itself keeps its
// meaning between the anchors.
func compilePattern(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPatternBytes {
		return nil, fmt.Errorf("a pattern of %d bytes; at most %d are taken", len(pattern), maxPatternBytes)
	}
	alone, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("%q is not a regular expression (RE2): %s", pattern, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	groups := 0
	for _, name := range alone.SubexpNames() {
		if name == "tenant" {
			groups++
		}
	}
	if groups > 1 {
		return nil, fmt.Errorf("%q has %d groups named tenant; write one", pattern, groups)
	}
	anchored, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil || strings.Contains(pattern, `\Q`) { // an open quotation reaches beyond the pattern
		return nil, fmt.Errorf(`%q has a quotation (\Q); escape each character by a backslash instead`, pattern)
	}
	return anchored, nil
}

func namesTenant(pattern string) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && re.SubexpIndex("tenant") >= 0
}

func sortedKeys(m map[string][]tenant.Name) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
