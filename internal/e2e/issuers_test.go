package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/demo"
)

// TestRestartWithAnIssuerGone guarantees that with two issuers, one of which cannot be reached, processes become ready
// and a rolling restart loses no request of the other issuer's users.
func TestRestartWithAnIssuerGone(t *testing.T) { // alone: its load would slow the others
	gone, err := demo.StartIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	type issuer struct {
		Issuer   string   `json:"issuer"`
		Audience string   `json:"audience"`
		JWKSURL  string   `json:"jwks_url"`
		Tenants  []string `json:"tenants"`
	}
	text, err := json.Marshal(map[string]any{"issuers": []issuer{ // JSON is YAML
		{on.issuer.URL(), demo.Audience, on.issuer.JWKSURL(), []string{demo.Alpha}},
		{gone.URL(), demo.Audience, gone.JWKSURL(), []string{demo.Beta}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	leaving, staying := withIssuers(t, file, "LOGFENCE_DRAIN_DELAY=10s"), withIssuers(t, file)
	_, said, err := get(t.Context(), staying.admin+"/readyz")
	if err != nil || !strings.Contains(string(said), gone.URL()) {
		t.Errorf("/readyz does not name the issuer that is gone: %s %v", said, err)
	}
	handOver(t, leaving, staying)
}

// withIssuers starts a logfence whose issuers are in a file.
func withIssuers(t *testing.T, file string, settings ...string) *gateway {
	t.Helper()
	g, err := startWithout(t.Context(), "LOGFENCE_JWT_", on.issuer, on.mixed.URL(), []string{"--config", file}, settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.stop() })
	return g
}
