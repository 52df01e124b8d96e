package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/tenant"
)

// The keys of the limits file.
const (
	classesKey = "classes"
	tenantsKey = "tenants"
)

// ParseLimits reads the limits file:
//
//	classes:
//	  trial: {rate: 5, max_range: 24h}
//	tenants:
//	  acme: trial
//	  globex: {rate: 50, burst: 100, max_range: 2160h}
//
// A tenant has the limits of a class, or limits of its own. The keys are those of the table of limits, and a limit
// that is not written is that of base. The result is by tenant; the error is an [*Error] of every mistake.
func ParseLimits(file string, content []byte, base limits.Limits) (map[tenant.Name]limits.OwnLimits, error) {
	own, _, d := readLimits(file, content, base)
	return own, d.bad.err()
}

// ParseLimitsFile is [ParseLimits], with the classes of the file.
func ParseLimitsFile(file string, content []byte, base limits.Limits) (map[tenant.Name]limits.OwnLimits, map[string]limits.Limits, error) {
	own, classes, d := readLimits(file, content, base)
	return own, classes, d.bad.err()
}

// readLimits is ParseLimitsFile, with all that was found on the way.
func readLimits(file string, content []byte, base limits.Limits) (map[tenant.Name]limits.OwnLimits, map[string]limits.Limits, *loader) {
	d := &loader{bad: problems{file: file}, example: "acme: {rate: 50}"}
	sections := map[string]section{}
	d.readTree(file, content, func(key string, value ast.Node, at func(ast.Node) origin) {
		if key != classesKey && key != tenantsKey {
			d.bad.add(at(value), key, fmt.Sprintf("unknown key; there are %s and %s, and below them names", classesKey, tenantsKey))
			return
		}
		sections[key] = section{value, at}
	})
	classes := map[string]limits.Limits{}
	d.readSection(classesKey, sections[classesKey], func(path, name string, value ast.Node, at func(ast.Node) origin) {
		classes[name] = d.readOwn(path+".", value, at, base)
	})
	own := map[tenant.Name]limits.OwnLimits{}
	d.readSection(tenantsKey, sections[tenantsKey], func(path, name string, value ast.Node, at func(ast.Node) origin) {
		if class, ok := scalar(value); ok && class != "" {
			own[tenant.Name(name)] = limits.OwnLimits{Limits: d.readClass(path, class, at(value), classes), Class: class}
			return
		}
		own[tenant.Name(name)] = limits.OwnLimits{Limits: d.readOwn(path+".", value, at, base)}
	})
	return own, classes, d
}

// section is what is below one of the file's keys.
type section struct {
	value ast.Node
	at    func(ast.Node) origin
}

// readSection calls each with the names in a section and what is written for them.
func (d *loader) readSection(key string, s section, each func(path, name string, value ast.Node, at func(ast.Node) origin)) {
	if _, empty := s.value.(*ast.NullNode); empty || s.value == nil {
		return // the last one has been taken out
	}
	d.readMapping(s.value, s.at, key+".", func(name string, value ast.Node) {
		path := key + "." + name
		if !tenant.Name(name).Valid() {
			d.bad.add(s.at(value), path, "not a name; write 1 to 128 letters, digits, dots, dashes and underscores")
			return
		}
		each(path, name, value, s.at)
	})
}

// readClass returns the limits of the class that a tenant is in.
func (d *loader) readClass(path, class string, at origin, classes map[string]limits.Limits) limits.Limits {
	own, known := classes[class]
	switch {
	case known:
		d.effective = append(d.effective, Value{Name: path, Text: class, From: at.String()})
	case len(classes) == 0:
		d.bad.add(at, path, fmt.Sprintf("there is no class %q; add it below %s, or write limits such as {rate: 50}", class, classesKey))
	default:
		d.bad.add(at, path, fmt.Sprintf("there is no class %q; the classes are %s", class, strings.Join(slices.Sorted(maps.Keys(classes)), ", ")))
	}
	return own
}

// readOwn reads the limits of one tenant or class.
func (d *loader) readOwn(path string, n ast.Node, at func(ast.Node) origin, base limits.Limits) limits.Limits {
	own := loader{Config: Config{Limits: limits.Config{Limits: base}}}
	lines := map[string]origin{}
	d.readMapping(n, at, path, func(key string, value ast.Node) {
		s := findPerTenant(key)
		if s == nil {
			d.bad.add(at(value), path+key, "unknown key"+nearest(key, perTenantKeys()))
			return
		}
		t, ok := d.readValue(path+key, value, at)
		if !ok {
			return
		}
		lines[key] = t.origin
		if problem := s.set(&own, t); problem != "" {
			d.bad.add(t.origin, path+key, problem)
			return
		}
		d.effective = append(d.effective, Value{Name: path + key, Text: t.value, From: t.origin.String()})
	})
	for _, mistake := range fielderror.All(own.Limits.Limits.Validate()) {
		if o, given := lines[mistake.Field]; given { // what is not written here is a mistake elsewhere, and found there
			d.bad.add(o, path+mistake.Field, mistake.Problem.Error())
		}
	}
	return own.Limits.Limits
}

// validateLimitsFile reads the file now: found wrong when it first changes would be late.
func (d *loader) validateLimitsFile() {
	if d.LimitsFile == "" {
		return
	}
	content, err := readBounded(d.LimitsFile, maxFile)
	if err != nil {
		d.attribute(fielderror.New("LimitsFile", "%w", err))
		return
	}
	_, classes, read := readLimits(d.LimitsFile, content, d.Limits.Limits)
	d.classes = slices.Sorted(maps.Keys(classes))
	d.bad.found = append(d.bad.found, read.bad.found...)
	d.effective = append(d.effective, read.effective...)
}

func findPerTenant(key string) *setting {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.perTenant != "" && s.perTenant == key })
	if i < 0 {
		return nil
	}
	return &settings[i]
}

func perTenantKeys() []string {
	var keys []string
	for _, s := range settings {
		if s.perTenant != "" {
			keys = append(keys, s.perTenant)
		}
	}
	return keys
}
