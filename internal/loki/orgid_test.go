package loki

import (
	"errors"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/tenant"
)

// TestOrgIDOf guarantees that no tenant's name makes up an organization, even where package tenancy would
// let it through.
func TestOrgIDOf(t *testing.T) {
	for _, tt := range []struct {
		name    string
		org     orgID
		tenants []string
		want    string
		refused bool
	}{
		{"none", "", []string{"alpha"}, "", false},
		{"fixed, several, sorted", "b|a|b", nil, "a|b", false},
		{"all that Loki takes", "{tenant}", []string{"aZ09!-_.*'()"}, "aZ09!-_.*'()", false},
		{"longest", "{tenant}", []string{strings.Repeat("a", 150)}, strings.Repeat("a", 150), false},
		{"no tenant", "{tenant}", nil, "", true},
		{"every tenant", "{tenant}", []string{"*"}, "", true},
		{"every tenant, fixed", "shared", []string{"*"}, "shared", false},
		{"empty tenant", "org-{tenant}", []string{""}, "", true},
		{"two in one", "{tenant}", []string{"alpha|beta"}, "", true},
		{"one bad of two", "{tenant}", []string{"alpha", "be ta"}, "", true},
		{"dots", "{tenant}", []string{".."}, "", true},
		{"dot", "{tenant}", []string{"."}, "", true},
		{"path", "{tenant}", []string{"../x"}, "", true},
		{"subtenant", "{tenant}", []string{"a:b"}, "", true},
		{"newline", "{tenant}", []string{"a\r\nX-Other: b"}, "", true},
		{"not ASCII", "{tenant}", []string{"é"}, "", true},
		{"too long", "{tenant}", []string{strings.Repeat("a", 151)}, "", true},
		{"too long by its template", "o{tenant}", []string{strings.Repeat("a", 150)}, "", true},
		{"template in a tenant", "{tenant}", []string{"{tenant}"}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.org.forTenants(tenant.Names(tt.tenants))
			if got != tt.want || errors.Is(err, ErrOrgID) != tt.refused || !tt.refused && err != nil {
				t.Errorf("of %q: %q, %v", tt.tenants, got, err)
			}
		})
	}
}
