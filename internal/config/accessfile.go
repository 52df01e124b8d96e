package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/tenant"
)

// maxAccessFile is the largest file of grants: ten thousand of them are about 2 MB.
const maxAccessFile = 4 << 20

// grantsKey is the one key of the file of grants.
const grantsKey = "grants"

// ParseAccess reads the file of grants:
//
//	grants:
//	  - name: shop
//	    when: [{claim: groups, values: [shop-team, "till-*"]}]
//	    tenants: [alpha]
//	    selector: '{namespace=~"shop|pay"}'
//
// The keys of a grant are those of [access.Grant]. The classes are those of the limits file. The error is an [*Error]
// of every mistake, each with its line.
func (c Config) ParseAccess(content []byte, classes []string) (*access.Rules, error) {
	r := accessReader{loader: loader{bad: problems{file: c.AccessFile}, example: "name: shop"}, lines: map[string]origin{}}
	r.readTree(c.AccessFile, content, func(key string, value ast.Node, at func(ast.Node) origin) {
		if key != grantsKey {
			r.bad.add(at(value), key, fmt.Sprintf("unknown key; there is %s, a list", grantsKey))
			return
		}
		r.readGrants(value, at)
	})
	sum := sha256.Sum256(content)
	rules, err := access.New(r.grants, access.Config{
		Generation: hex.EncodeToString(sum[:6]), Issuers: c.Auth.GrantIssuers(), Classes: classes,
	})
	for _, mistake := range fielderror.All(err) {
		r.attributeLine(mistake)
	}
	return rules, r.bad.err()
}

// accessReader is a file of grants while it is read.
type accessReader struct {
	loader

	grants []access.Grant
	lines  map[string]origin // by path
}

// attributeLine adds a mistake with the line of its path, or of the nearest that is in the file.
func (r *accessReader) attributeLine(mistake *fielderror.Error) {
	o := origin{file: r.bad.file}
	for path := mistake.Field; path != ""; path = parentPath.ReplaceAllString(path, "") {
		if at, ok := r.lines[path]; ok {
			o = at
			break
		}
	}
	r.bad.add(o, mistake.Field, mistake.Problem.Error())
}

// parentPath is what the path of a node has more than that of the node around it.
var parentPath = regexp.MustCompile(`(\.[^.\[]+|\[\d+\]|^[^.\[]+)$`)

// items calls each with the items of a list, and remembers their lines.
func (r *accessReader) items(path string, n ast.Node, at func(ast.Node) origin, example string, each func(path string, item ast.Node)) {
	r.lines[path] = at(n)
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		r.bad.add(at(n), path, "not a list; write "+example)
		return
	}
	for i, item := range list.Values {
		in := fmt.Sprintf("%s[%d]", path, i)
		r.lines[in] = at(item)
		each(in, item)
	}
}

// keys calls the function of each key of a mapping.
func (r *accessReader) keys(path string, n ast.Node, at func(ast.Node) origin, known map[string]func(path string, value ast.Node), names []string) {
	r.readMapping(n, at, path+".", func(key string, value ast.Node) {
		in := path + "." + key
		r.lines[in] = at(value)
		if read := known[key]; read != nil {
			read(in, value)
			return
		}
		r.bad.add(at(value), in, "unknown key"+nearest(key, names))
	})
}

func (r *accessReader) readGrants(n ast.Node, at func(ast.Node) origin) {
	r.grants = []access.Grant{}
	if _, empty := n.(*ast.NullNode); empty {
		return
	}
	r.items(grantsKey, n, at, `"- name: shop" and below it when: and tenants:`, func(path string, item ast.Node) {
		r.grants = append(r.grants, r.readGrant(path, item, at))
	})
}

var (
	grantKeys     = []string{"name", "when", "issuers", "tenants", "selector", "limits", "default"}
	conditionKeys = []string{"claim", "values", "pattern", "map"}
)

func (r *accessReader) readGrant(path string, n ast.Node, at func(ast.Node) origin) access.Grant {
	var g access.Grant
	text := func(to *string) func(string, ast.Node) {
		return func(in string, value ast.Node) { *to = r.text(in, value, at) }
	}
	r.keys(path, n, at, map[string]func(string, ast.Node){
		"name": text(&g.Name), "selector": text(&g.Selector), "limits": text(&g.Limits),
		"when": func(in string, value ast.Node) {
			r.items(in, value, at, "[{claim: groups, values: [shop-team]}]", func(in string, item ast.Node) {
				g.When = append(g.When, r.readCondition(in, item, at))
			})
		},
		"issuers": func(in string, value ast.Node) { g.Issuers = r.texts(in, value, at) },
		"tenants": func(in string, value ast.Node) { g.Source, g.Tenants = r.readSource(in, value, at) },
		"default": func(in string, value ast.Node) {
			if t, ok := r.readValue(in, value, at); ok {
				var problem string
				if g.Default, problem = readSwitch(t.value); problem != "" {
					r.bad.add(t.origin, in, problem)
				}
			}
		},
	}, grantKeys)
	return g
}

func (r *accessReader) readCondition(path string, n ast.Node, at func(ast.Node) origin) access.Condition {
	var c access.Condition
	r.keys(path, n, at, map[string]func(string, ast.Node){
		"claim":   func(in string, value ast.Node) { c.Claim = r.text(in, value, at) },
		"pattern": func(in string, value ast.Node) { c.Pattern = r.text(in, value, at) },
		"values":  func(in string, value ast.Node) { c.Values = r.texts(in, value, at) },
		"map": func(in string, value ast.Node) {
			c.Map = map[string][]tenant.Name{}
			r.readMapping(value, at, in+".", func(key string, names ast.Node) {
				r.lines[in+"."+key] = at(names)
				c.Map[key] = tenant.Names(r.texts(in+"."+key, names, at))
			})
		},
	}, conditionKeys)
	return c
}

// readSource reads where the tenants of a grant come from: a list, or one of three texts.
func (r *accessReader) readSource(path string, n ast.Node, at func(ast.Node) origin) (access.Source, []tenant.Name) {
	if _, list := n.(*ast.SequenceNode); list {
		return access.SourceList, tenant.Names(r.texts(path, n, at))
	}
	switch value := r.text(path, n, at); value {
	case access.TextPattern:
		return access.SourcePattern, nil
	case access.TextMap:
		return access.SourceMap, nil
	case access.TextAny:
		return access.SourceAny, nil
	default:
		r.bad.add(at(n), path, fmt.Sprintf(`%q is neither a list nor %s, %s or "%s"; write a list of names, such as [alpha]`, value, access.TextPattern, access.TextMap, access.TextAny))
		return access.SourceNone, nil
	}
}

// text is one value. It is kept as it is written: values of claims may begin with a space.
func (r *accessReader) text(path string, n ast.Node, at func(ast.Node) origin) string {
	t, ok := r.readValue(path, n, at)
	if ok && t.list != nil {
		r.bad.add(t.origin, path, "a list; write one value")
		return ""
	}
	return t.value
}

// texts are the values of a list, or a single one.
func (r *accessReader) texts(path string, n ast.Node, at func(ast.Node) origin) []string {
	t, ok := r.readValue(path, n, at)
	if list, isList := n.(*ast.SequenceNode); isList {
		for i, item := range list.Values {
			r.lines[fmt.Sprintf("%s[%d]", path, i)] = at(item)
		}
	}
	switch {
	case !ok:
		return nil
	case t.list != nil:
		return t.list
	default:
		return []string{t.value}
	}
}

// validateAccessFile reads the file now: found wrong when it first changes would be late.
func (d *loader) validateAccessFile() {
	if d.AccessFile == "" {
		return
	}
	content, err := readBounded(d.AccessFile, maxAccessFile)
	if err != nil {
		d.attribute(fielderror.New("AccessFile", "%w", err))
		return
	}
	if d.Auth.Validate() != nil {
		return // the issuers that it names are not known
	}
	rules, err := d.ParseAccess(content, d.classes)
	if mistakes, ok := err.(*Error); ok { //nolint:errorlint // it is returned unwrapped
		d.bad.found = append(d.bad.found, mistakes.Problems...)
		return
	}
	d.access = rules
	d.effective = append(d.effective, rulesValues(rules, d.AccessFile)...)
}

// GrantWarnings lists what is allowed and dangerous in the grants, a sentence each.
func (c Config) GrantWarnings() []string {
	if c.access == nil {
		return nil
	}
	return c.Auth.GrantWarnings(c.access.Grants())
}

// rulesValues list the grants with the settings in force.
func rulesValues(rules *access.Rules, file string) []Value {
	var values []Value
	for i, g := range rules.Grants() {
		values = append(values, Value{Name: fmt.Sprintf("%s[%d]", grantsKey, i), Text: describeGrant(g), From: file})
	}
	return values
}

// describeGrant is a grant in one line.
func describeGrant(g access.Grant) string {
	parts := []string{g.Name + ":"}
	switch g.Source {
	case access.SourceList:
		parts = append(parts, strings.Join(tenant.Texts(g.Tenants), ","))
	case access.SourcePattern:
		parts = append(parts, access.TextPattern)
	case access.SourceMap:
		parts = append(parts, access.TextMap)
	default:
		parts = append(parts, access.TextAny)
	}
	if g.Selector != "" {
		parts = append(parts, g.Selector)
	}
	if g.Limits != "" {
		parts = append(parts, "limits "+g.Limits)
	}
	if g.Default {
		parts = append(parts, "default")
	}
	parts = append(parts, "when")
	for _, c := range g.When {
		switch {
		case c.Pattern != "":
			parts = append(parts, fmt.Sprintf("%s~%q", c.Claim, c.Pattern))
		case c.Map != nil:
			parts = append(parts, fmt.Sprintf("%s in a map of %d", c.Claim, len(c.Map)))
		case len(c.Values) > 3:
			parts = append(parts, fmt.Sprintf("%s=%q or %d others", c.Claim, c.Values[0], len(c.Values)-1))
		default:
			parts = append(parts, fmt.Sprintf("%s=%q", c.Claim, strings.Join(c.Values, "|")))
		}
	}
	if g.Issuers != nil {
		parts = append(parts, "issuers "+strings.Join(g.Issuers, ","))
	}
	return strings.Join(parts, " ")
}
