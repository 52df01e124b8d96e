package tenancy_test

import (
	"testing"

	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// TestFingerprint guarantees that a fingerprint is of one scope and one text, and the same in every process.
func TestFingerprint(t *testing.T) {
	made := map[[32]byte]string{}
	for _, tt := range []struct {
		label   string
		tenants []tenant.Name
		extra   string
		text    string
	}{
		{"", []tenant.Name{"alpha"}, "", `{app="a"}`},
		{"", []tenant.Name{"alpha"}, "", `{app="a"} `},
		{"", []tenant.Name{"beta"}, "", `{app="a"}`},
		{"", []tenant.Name{"alpha", "beta"}, "", `{app="a"}`},
		{"", []tenant.Name{"alpha"}, `{env="prod"}`, `{app="a"}`},
		{"org", []tenant.Name{"alpha"}, "", `{app="a"}`},
		{"", []tenant.Name{"alpha"}, "", ``},
	} {
		var both [2][32]byte
		for i := range both {
			f, err := tenancy.New(tenancy.Config{Label: tt.label})
			if err != nil {
				t.Fatal(err)
			}
			s, err := f.Scope(tt.tenants, tt.extra)
			if err != nil {
				t.Fatal(err)
			}
			both[i] = s.Fingerprint(tt.text)
		}
		if both[0] != both[1] {
			t.Errorf("%v: two fences make two fingerprints", tt)
		}
		if other, ok := made[both[0]]; ok {
			t.Errorf("%v and %s have the same fingerprint", tt, other)
		}
		made[both[0]] = tt.text
	}
}
