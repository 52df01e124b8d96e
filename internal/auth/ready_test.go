package auth

import "testing"

// TestReadyWithoutOneIssuer guarantees that an issuer that is gone does not make the others' tokens fail: while one
// has keys the Verifier is ready, unless the configuration requires the one that is gone, and the detail names it.
func TestReadyWithoutOneIssuer(t *testing.T) {
	const otherIssuer, otherKeys = "https://login.example.org", "https://login.example.org/keys"
	for _, tt := range []struct {
		name          string
		gone          []string
		required      bool
		ready, detail string
	}{
		{"both there", nil, false, "", ""},
		{"one gone", []string{otherKeys}, false, "", "issuer https://login.example.org: verification keys unavailable: none fetched yet; last fetch: keys: the provider returned status 404"},
		{"a required one gone", []string{otherKeys}, true, "issuer https://login.example.org: verification keys unavailable: none fetched yet; last fetch: keys: the provider returned status 404", "as ready"},
		{
			"all gone",
			[]string{otherKeys, testJWKS},
			false,
			"issuer https://id.example.com/: verification keys unavailable: none fetched yet; last fetch: keys: the provider returned status 404\n" +
				"issuer https://login.example.org: verification keys unavailable: none fetched yet; last fetch: keys: the provider returned status 404", "as ready",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys := jwksOf(t, genuine().jwk(t, nil))
			p := newProvider(keys)
			p.serve(otherKeys, keys)
			for _, url := range tt.gone {
				p.servePage(url, page{status: 404})
			}
			v := start(t, p, func(c *Config) {
				c.Issuers[0].AnyTenant = true
				c.Issuers = append(c.Issuers, Issuer{
					URL: otherIssuer, Audiences: []string{testAudience}, JWKSURL: otherKeys, TenantClaim: "tenant_id", AnyTenant: true, Required: tt.required,
				})
			})
			if tt.detail == "as ready" {
				tt.detail = tt.ready
			}
			if got := errorText(v.Ready()); got != tt.ready {
				t.Errorf("Ready: %s\nwant %s", got, tt.ready)
			}
			if got := errorText(v.Unusable()); got != tt.detail {
				t.Errorf("Unusable: %s\nwant %s", got, tt.detail)
			}
			if len(tt.gone) < 2 {
				mustPass(t, v, genuine())
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
