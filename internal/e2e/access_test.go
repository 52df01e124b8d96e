package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/poll"
)

// grantsFile are two teams in one tenant, and support.
const grantsFile = `grants:
  - name: checkout
    when: [{claim: groups, values: [checkout-team]}]
    tenants: [alpha]
    selector: '{app="checkout"}'
  - name: rest
    when: [{claim: groups, values: [rest-team]}]
    tenants: [alpha]
    selector: '{app!="checkout"}'
  - name: by-group
    when: [{claim: groups, pattern: "logs-(?P<tenant>[a-z]+)"}]
    tenants: from-pattern
  - name: support
    when: [{claim: roles, values: [log-support]}]
    issuers: [ISSUER]
    tenants: "*"
`

// withGrants starts a logfence with a file of grants, and returns its path.
func withGrants(t *testing.T, settings ...string) (*gateway, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "access.yaml")
	writeGrants(t, file, grantsFile)
	return own(t, on.issuer, append(settings, "LOGFENCE_ACCESS_FILE="+file)...), file
}

// writeGrants replaces the file as a whole, as editors and Kubernetes do.
func writeGrants(t *testing.T, file, grants string) {
	t.Helper()
	fresh := file + ".new"
	if err := os.WriteFile(fresh, []byte(strings.ReplaceAll(grants, "ISSUER", on.issuer.URL())), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, file); err != nil {
		t.Fatal(err)
	}
}

func inGroups(t *testing.T, groups ...string) string {
	t.Helper()
	return tokenOf(t, demo.Claims{Subject: strings.Join(groups, "+"), Extra: map[string]any{"groups": groups}})
}

func granted(name string) http.Header { return http.Header{"X-Logfence-Grant": {name}} }

// valuesOf requests the values of a label.
func valuesOf(t *testing.T, g *gateway, token, label string, header http.Header) response {
	t.Helper()
	return g.send(t, request{path: "/api/v1/logs/labels/" + label + "/values", params: on.across.between(), token: token, header: header})
}

// TestGrants guarantees, before a real Loki, that two teams in one tenant see their own streams, that a member of both
// sees each by choice and nothing without one, and that support sees every tenant's streams and none without a tenant.
func TestGrants(t *testing.T) {
	t.Parallel()
	g, _ := withGrants(t)
	whole := list(t, valuesOf(t, g, inGroups(t, "logs-alpha"), "app", nil))
	mine := list(t, valuesOf(t, g, inGroups(t, "checkout-team"), "app", nil))
	rest := list(t, valuesOf(t, g, inGroups(t, "rest-team"), "app", nil))
	if fmt.Sprint(mine) != "[checkout]" || slices.Contains(rest, "checkout") || len(rest) != len(whole)-1 {
		t.Errorf("%v and %v of %v", mine, rest, whole)
	}
	both := inGroups(t, "checkout-team", "rest-team", "no such group ü/ /")
	if a := valuesOf(t, g, both, "app", nil); a.status != http.StatusForbidden || !bytes.Contains(a.body, []byte(`"grants":["checkout","rest"]`)) {
		t.Errorf("without a choice: %d %s", a.status, a.body)
	}
	for name, want := range map[string][]string{"checkout": mine, "rest": rest} {
		if got := list(t, valuesOf(t, g, both, "app", granted(name))); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"support", "by-group", "none"} {
		if a := valuesOf(t, g, both, "app", granted(name)); a.status != http.StatusForbidden || !bytes.Contains(a.body, []byte(`"grant_not_yours"`)) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := valuesOf(t, g, inGroups(t, "others"), "app", nil); a.status != http.StatusForbidden || !bytes.Contains(a.body, []byte(`"no_tenant"`)) {
		t.Errorf("no grant: %d %s", a.status, a.body)
	}
	support := tokenOf(t, demo.Claims{Subject: "sam", Extra: map[string]any{"roles": []string{"log-support"}}})
	if got := list(t, valuesOf(t, g, support, tenantLabel, narrowed("beta"))); fmt.Sprint(got) != "[beta]" {
		t.Errorf("support, narrowed: %v", got)
	}
	if on.configuration.OrgID == "{tenant}" { // no request reaches the organizations of all
		if a := valuesOf(t, g, support, tenantLabel, nil); a.status != http.StatusBadRequest || !bytes.Contains(a.body, []byte("X-Logfence-Tenant")) {
			t.Errorf("support, every tenant: %d %s", a.status, a.body)
		}
		return
	}
	all := list(t, valuesOf(t, g, support, tenantLabel, nil))
	if !slices.Contains(all, "alpha") || !slices.Contains(all, "beta") || slices.Contains(all, "") {
		t.Errorf("support sees the tenants %v", all)
	}
	// Each line of every tenant has one.
	a := g.send(t, request{path: "/api/v1/logs/query/instant", token: support, params: map[string][]string{
		"query": {`sum by (tenant_id) (count_over_time({app=~".+"}[` + on.across.span + `]))`}, "time": {nanoseconds(on.across.end)},
	}})
	if a.status != http.StatusOK || bytes.Contains(a.body, []byte(`"metric":{}`)) || !bytes.Contains(a.body, []byte(`"beta"`)) {
		t.Errorf("%d %.500s", a.status, a.body)
	}
}

// TestGrantsReload guarantees that each request under load is decided by the grants before a change or by those after it,
// and that a file with a mistake changes nothing.
func TestGrantsReload(t *testing.T) {
	t.Parallel()
	g, file := withGrants(t)
	token := inGroups(t, "checkout-team", "logs-beta")
	before := granted("checkout")
	if got := list(t, valuesOf(t, g, token, "app", before)); fmt.Sprint(got) != "[checkout]" {
		t.Fatalf("%v", got)
	}
	ended := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				a := valuesOf(t, g, token, tenantLabel, before)
				old, fresh := bytes.Contains(a.body, []byte(`["alpha"]`)), bytes.Contains(a.body, []byte(`["beta"]`))
				refused := a.status == http.StatusForbidden && bytes.Contains(a.body, []byte("access_changed")) // it was in flight
				if !refused && (a.status != http.StatusOK || old == fresh) {
					t.Errorf("neither the grants before nor those after: %d %s", a.status, a.body)
					return
				}
			}
		})
	}
	writeGrants(t, file, "grants:\n  - {name: checkout, when: [{claim: groups, values: [x]}], tenants: [beta gamma]}\n")
	hangUp(t, g)
	awaitLog(t, g, "grants stay as they were")
	if got := list(t, valuesOf(t, g, token, tenantLabel, before)); fmt.Sprint(got) != "[alpha]" {
		t.Errorf("with a mistake in the file: %v", got)
	}
	writeGrants(t, file, strings.Replace(grantsFile, "tenants: [alpha]\n    selector: '{app=\"checkout\"}'", "tenants: [beta]", 1))
	hangUp(t, g)
	awaitLog(t, g, "grants read again")
	if got := list(t, valuesOf(t, g, token, tenantLabel, before)); fmt.Sprint(got) != "[beta]" {
		t.Errorf("after the change: %v", got)
	}
	close(ended)
	load.Wait()
}

func hangUp(t *testing.T, g *gateway) {
	t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// awaitLog returns when the log has the text.
func awaitLog(t *testing.T, g *gateway, text string) {
	t.Helper()
	if err := poll.Until(t.Context(), func() (bool, error) { return bytes.Contains(g.said(), []byte(text)), nil }); err != nil {
		t.Fatalf("no %q in the log: %v", text, err)
	}
}
