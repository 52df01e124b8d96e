package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/tenancy"
)

// tenantsKey is the one key of the file of tenants' limits.
const tenantsKey = "tenants"

// ParseLimits reads the file of tenants' own limits:
//
//	tenants:
//	  acme: {rate: 50, burst: 100, max_range: 2160h}
//
// The keys are those of the settings that hold for everybody else (see settings), and what a tenant's
// limits do not say is as in base. Its error is an [*Error] of every mistake.
func ParseLimits(file string, content []byte, base limits.Limits) (map[string]limits.Limits, error) {
	own, d := readLimits(file, content, base)
	return own, d.bad.err()
}

// readLimits is ParseLimits, with all that was found on the way.
func readLimits(file string, content []byte, base limits.Limits) (map[string]limits.Limits, *draft) {
	own, d := map[string]limits.Limits{}, &draft{bad: problems{file: file}, example: "acme: {rate: 50}"}
	d.readTree(file, content, func(key string, value ast.Node, at func(ast.Node) origin) {
		if key != tenantsKey {
			d.bad.add(at(value), key, fmt.Sprintf("unknown key; there is %q alone, and below it each tenant's name", tenantsKey))
			return
		}
		if _, empty := value.(*ast.NullNode); empty {
			return // the last tenant has been taken out
		}
		d.readMapping(value, at, key+".", func(name string, value ast.Node) {
			path := tenantsKey + "." + name
			if !tenancy.ValidTenant(name) {
				d.bad.add(at(value), path, "no tenant's name; it has 1 to 128 letters, digits, dots, dashes and underscores")
				return
			}
			own[name] = d.readTenant(path+".", value, at, base)
		})
	})
	return own, d
}

// readTenant reads the limits of one tenant.
func (d *draft) readTenant(path string, n ast.Node, at func(ast.Node) origin, base limits.Limits) limits.Limits {
	own := draft{Config: Config{Limits: limits.Config{Limits: base}}}
	own.Tenancy.MaxQueryBytes, own.Loki.Timeout = base.MaxQueryBytes, base.Timeout
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
	own.Limits.MaxQueryBytes, own.Limits.Timeout = own.Tenancy.MaxQueryBytes, own.Loki.Timeout
	for _, err := range each(errors.Join(own.Limits.Limits.Validate(), own.Tenancy.Validate())) {
		d.blameTenant(path, lines, err.Error())
	}
	return own.Limits.Limits
}

// blameTenant puts a package's "Field: problem" under the key that fills the field. What the tenant's limits
// do not say is a mistake elsewhere, and found there.
func (d *draft) blameTenant(path string, lines map[string]origin, message string) {
	field, problem, _ := strings.Cut(message, ": ")
	for _, s := range settings {
		if s.perTenant == "" || s.field[strings.LastIndex(s.field, ".")+1:] != field {
			continue
		}
		if o, given := lines[s.perTenant]; given {
			d.bad.add(o, path+s.perTenant, problem)
		}
		return
	}
}

// validateLimitsFile reads the file now: found wrong when it first changes would be late.
func (d *draft) validateLimitsFile() {
	if d.LimitsFile == "" {
		return
	}
	content, err := readBounded(d.LimitsFile)
	if err != nil {
		d.blame("", "LimitsFile: "+err.Error())
		return
	}
	_, read := readLimits(d.LimitsFile, content, d.Limits.Limits)
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
