package loki

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/logfence/logfence/internal/tenant"
)

// headerLabelPolicy confines a request to the streams of a selector, where Loki has lbac.enabled (planned for 4.0;
// docs/sources/operations/label-access.md in its main branch): the organization, a colon and the selector, escaped for a URL. Several
// are separated by commas and ORed. What names another organization has no effect, and without any nothing is confined.
const headerLabelPolicy = "X-Prom-Label-Policy"

// labelPolicy is the header's value for these organizations and tenants; empty: there is none.
func (c *Client) labelPolicy(org string, tenants []tenant.Name) string {
	if c.policyLabel == "" || org == "" || len(tenants) == 0 {
		return ""
	}
	return policyOf(org, tenantSelector(c.policyLabel, tenants))
}

// policyOf gives the selector to exactly the organizations of X-Scope-OrgID, whose names have neither colon nor comma.
func policyOf(org, selector string) string {
	policies := strings.Split(org, orgSeparator)
	for i, name := range policies {
		policies[i] = name + ":" + url.PathEscape(selector)
	}
	return strings.Join(policies, ",")
}

// tenantSelector selects the tenants' streams, which is at least what a fenced value of theirs does.
func tenantSelector(label string, tenants []tenant.Name) string {
	if slices.Contains(tenants, tenant.Any) {
		return "{" + label + `=~".+"}`
	}
	names := tenant.Texts(tenants)
	if len(names) == 1 {
		return "{" + label + "=" + strconv.Quote(names[0]) + "}"
	}
	for i, name := range names {
		names[i] = regexp.QuoteMeta(name)
	}
	return "{" + label + "=~" + strconv.Quote(strings.Join(names, "|")) + "}"
}

// probePolicies reports whether Loki confines requests by the header. It is present only where a policy of every tenant gave
// a line and one that matches nothing gave none: a Loki without a line in the last hour is not known to confine. Of the response,
// nothing is read but whether it is empty.
func (c *Client) probePolicies(ctx context.Context, label string) Wall {
	org := c.org.fixed()
	if org == "" {
		return WallUnknown // policies are of organizations
	}
	everyone := tenantSelector(label, []tenant.Name{tenant.Any})
	empty := func(policy string) (empty, ok bool) {
		response, done, err := c.sendProbe(ctx, everyone, probeHours, http.Header{headerLabelPolicy: {policyOf(org, policy)}}) //nolint:bodyclose // closed by done
		if err != nil {
			return false, false
		}
		defer done()
		return emptyResult(response)
	}
	if none, ok := empty(everyone); none || !ok {
		return WallUnknown
	}
	switch none, ok := empty(probeNobody); {
	case !ok:
		return WallUnknown
	case none:
		return WallPresent
	default:
		return WallAbsent
	}
}

// probeNobody is a selector of streams that nobody has: a label that no stream has is never a value.
const probeNobody = `{logfence_probe="a"}`

// emptyResult reads the beginning of a response to a query; ok is false where it is none.
func emptyResult(response *http.Response) (empty, ok bool) {
	if response.StatusCode != http.StatusOK {
		return false, false
	}
	d := json.NewDecoder(io.LimitReader(response.Body, 4<<10)) // the lines may be longer, and are not read
	for {
		token, err := d.Token()
		if err != nil {
			return false, false
		}
		if token == "result" {
			break
		}
	}
	if token, err := d.Token(); err != nil || token != json.Delim('[') {
		return false, false
	}
	return !d.More(), true
}
