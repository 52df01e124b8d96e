package loki

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

const (
	tenantVariable = "{tenant}"
	orgSeparator   = "|" // Loki reads a|b as two organizations, and returns logs of both
	maxOrgID       = 150 // bytes; MaxTenantIDLength of the dskit that Loki 3.7.8 is built with
)

// orgID is the text or template of Config.OrgID.
type orgID string

// validate returns a mistake in the configuration.
func (o orgID) validate() error {
	text := string(o)
	if text == "" {
		return nil
	}
	names := strings.Split(text, orgSeparator)
	if o.isTemplate() {
		if len(names) > 1 {
			return fielderror.New("OrgID", "%q is a template with %q; name one organization, several tenants are joined by themselves", text, orgSeparator)
		}
		names[0] = strings.ReplaceAll(text, tenantVariable, "tenant")
	}
	for _, name := range names {
		if err := checkOrg(name); err != nil {
			return fielderror.New("OrgID", "%q: %s; write a name that Loki takes, or %s for the caller's tenant", text, err, tenantVariable)
		}
	}
	return nil
}

func (o orgID) isTemplate() bool { return strings.Contains(string(o), tenantVariable) }

// forTenants is the header's value for a caller of these tenants; "" means that none is sent. A tenant's name is
// checked before it is put anywhere: `a|b` would be two organizations, and `../x` has been a path in
// object stores. Any error wraps [ErrOrgID].
func (o orgID) forTenants(tenants []tenant.Name) (string, error) {
	if !o.isTemplate() {
		return o.fixed(), nil
	}
	if len(tenants) == 0 || slices.Contains(tenants, tenant.Any) { // "*" would be a name that Loki takes
		return "", fmt.Errorf("%w: no tenant to put in its place", ErrOrgID)
	}
	names := make([]string, 0, len(tenants))
	for _, own := range tenants {
		if err := checkOrg(string(own)); err != nil {
			return "", fmt.Errorf("%w: tenant %q: %w", ErrOrgID, own, err)
		}
		name := strings.ReplaceAll(string(o), tenantVariable, string(own))
		if err := checkOrg(name); err != nil {
			return "", fmt.Errorf("%w: %q: %w", ErrOrgID, name, err)
		}
		names = append(names, name)
	}
	return joinOrgs(names), nil
}

// OrgPerTenant reports whether requests name an organization of their tenants, so that each has to name tenants.
func (c *Client) OrgPerTenant() bool { return c.org.isTemplate() }

func (o orgID) fixed() string {
	if o == "" {
		return ""
	}
	return joinOrgs(strings.Split(string(o), orgSeparator))
}

// joinOrgs gives the one spelling of a set of organizations, as Loki normalizes it.
func joinOrgs(names []string) string {
	slices.Sort(names)
	return strings.Join(slices.Compact(names), orgSeparator)
}

// checkOrg repeats dskit's tenant.ValidTenantID, and refuses the empty name, which dskit leaves to its
// callers.
func checkOrg(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxOrgID:
		return fmt.Errorf("the name is longer than %d bytes", maxOrgID)
	case name == "." || name == "..":
		return errors.New(`"." and ".." are no names`)
	}
	for i := range len(name) {
		if !isOrgByte(name[i]) {
			return fmt.Errorf("%q is not allowed in a name", name[i])
		}
	}
	return nil
}

func isOrgByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!-_.*'()", c) >= 0
}

// Organization is the organization that requests with a query are sent to: the value of Loki's header, or "" where none
// is sent.
func (c *Client) Organization(q tenancy.Query) (string, error) { return c.org.forTenants(q.Tenants()) }
