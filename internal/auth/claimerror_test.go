package auth

import (
	"errors"
	"strings"
	"testing"
)

// TestClaimErrors guarantees that the error of a tenant claim in a shape that is refused names the shape, so that the
// token's holder can say what is wrong with it, and nothing of its values.
func TestClaimErrors(t *testing.T) {
	many := `"` + strings.Repeat(`g","`, 64) + `g"`
	for _, tt := range []struct{ name, shape, claim, want string }{
		{"a number", "", `123`, "the tenant claim is a number, and not text or a list of texts"},
		{"a number in a list", "", `["secret",123]`, "the tenant claim has a number in the place of a name, which is text"},
		{"an object", "", `{"secret":1}`, "the tenant claim is an object, and not text or a list of texts"},
		{"true", "", `true`, "the tenant claim is true or false, and not text or a list of texts"},
		{"the path of a group", "", `["/secret"]`, "the tenant claim has a name that begins with a slash, as the paths of groups do"},
		{"65 names", "", `[` + many + `]`, "the tenant claim holds 65 names; 1 to 64 are accepted"},
		{"no names", "", `[]`, "the tenant claim holds 0 names; 1 to 64 are accepted"},
		{"commas", "", `"secret,other"`, "the tenant claim has a name with a comma; several names are a list, not one text with commas"},
		{"spaces", "", `"secret other"`, "the tenant claim has a name with a space; several names are a list, not one text with spaces"},
		{"an empty name", "", `""`, "the tenant claim has an empty name"},
		{"a long name", "", `"` + strings.Repeat("s", 129) + `"`, "the tenant claim has a name of 129 bytes; a name is 1 to 128 bytes of [A-Za-z0-9._-]"},
		{"another character", "", `"secret|other"`, "the tenant claim has a name with a character that is not accepted; a name is 1 to 128 bytes of [A-Za-z0-9._-]"},
		{"text where keys are read", "keys", `"secret"`, "the tenant claim is text, and not an object, whose keys name tenants"},
		{"text where a number is read", "number", `"secret"`, "the tenant claim has text where this server expects another type"},
		{"a list where text is split", "split:comma", `["secret"]`, "the tenant claim is a list, and not one text with the names"},
		{"nothing that matches", "match:logs-(?P<tenant>.*)", `["secret"]`, "the tenant claim holds 1 values, none of which names a tenant"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := genuineVerifier(t, func(c *Config) { c.Issuers[0].TenantClaim, c.Issuers[0].TenantShape = "t", tt.shape })
			rest := without(strings.TrimPrefix(claims(t, nil), "{"), "tenant_id")
			_, err := v.Verify(t.Context(), genuine().sign(t, genuine().header(), `{"t":`+tt.claim+","+rest))
			var claim *ClaimError
			if !errors.Is(err, ErrNoTenant) || !errors.As(err, &claim) {
				t.Fatalf("Verify: %v", err)
			}
			if claim.Error() != tt.want {
				t.Errorf("got  %s\nwant %s", claim, tt.want)
			}
		})
	}
}
