package demo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestConfigurationNamed guarantees that every configuration is found by its name, that no name is the default, and that an
// unknown name is an error which lists those there are.
func TestConfigurationNamed(t *testing.T) {
	t.Parallel()
	for _, want := range append(slices.Clone(Configurations), Configuration{}) {
		got, err := ConfigurationNamed(want.Name)
		if want.Name == "" {
			want.Name = "default"
		}
		if err != nil || got.Name != want.Name {
			t.Errorf("%q: %q, %v", want.Name, got.Name, err)
		}
	}
	if _, err := ConfigurationNamed("cache"); err == nil || !strings.Contains(err.Error(), "caches-and-patterns") {
		t.Errorf("unknown: %v", err)
	}
}

// TestConfigurationSince guarantees by which versions a configuration is known.
func TestConfigurationSince(t *testing.T) {
	t.Parallel()
	c := Configuration{Since: "3.6"}
	for version, want := range map[string]bool{"3.6.0": true, "3.7.8": true, "4.0.0": true, "3.10.1": true, "3.5.9": false, "2.9.1": false, "main-12": false} {
		if c.In(version) != want {
			t.Errorf("%s: %t", version, !want)
		}
	}
	if !(Configuration{}).In("3.1.2") {
		t.Error("one that all versions have")
	}
}

// TestApply guarantees that what a test needs and what the configuration has are both there, and that the configuration's
// arguments come last, where they win.
func TestApply(t *testing.T) {
	t.Parallel()
	base := []string{"-a=1", "-querier.cache-results=false"}
	c, err := ConfigurationNamed("caches-and-patterns")
	if err != nil {
		t.Fatal(err)
	}
	got := c.Apply(LokiOptions{Binary: "x", MultiTenant: true, Args: base})
	if got.Binary != "x" || !got.MultiTenant || !got.PersistPatterns || !slices.Equal(got.Args, append(slices.Clone(base), cacheArgs...)) || len(base) != 2 {
		t.Errorf("%+v", got)
	}
	tenants, err := ConfigurationNamed("organization-per-tenant")
	if err != nil {
		t.Fatal(err)
	}
	for tenant, want := range map[string]string{"alpha": "alpha", "beta": "beta", "ALPHA": "ALPHA", "": "alpha", "alpha|beta": "alpha", " alpha": "alpha", "alpha\n": "alpha"} {
		if got := tenants.Apply(LokiOptions{}).Organization(map[string]string{"tenant_id": tenant}); got != want {
			t.Errorf("%q is written to %q, want %q", tenant, got, want)
		}
	}
}

// TestNightlyVersions guarantees that the nightly workflow runs the matrix with every version that has a module.
func TestNightlyVersions(t *testing.T) {
	t.Parallel()
	versions, err := Versions()
	if err != nil {
		t.Fatal(err)
	}
	workflow, err := os.ReadFile(filepath.Join("..", "..", ".github", "workflows", "lokis.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `version: ["` + strings.Join(versions, `", "`) + `"]`; !strings.Contains(string(workflow), want) {
		t.Errorf("no %s in the workflow", want)
	}
}
