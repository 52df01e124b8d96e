// Package internal holds the arrows between logfence's packages.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/logfence/logfence/"
	syntax = "github.com/grafana/loki/v3/pkg/logql"
)

// mayImport are the packages of this module that each may import: a package that is missing here may
// import none, and must be added here first.
var mayImport = map[string][]string{
	"internal/auth":    {"internal/access", "internal/claimpath", "internal/fielderror", "internal/refresh", "internal/strictjson", "internal/tenant"},
	"internal/audit":   {"internal/fielderror", "internal/tenant"},
	"internal/limits":  {"internal/fielderror", "internal/refresh", "internal/tenant"},
	"internal/tenancy": {"internal/fielderror", "internal/tenant"},
	"internal/access":  {"internal/claimpath", "internal/fielderror", "internal/tenancy", "internal/tenant"},
	"internal/loki":    {"internal/fielderror", "internal/refresh", "internal/tenancy", "internal/tenant", "internal/cpuslots"},
	"internal/pages":   {"internal/loki"},
	"internal/tail":    {"internal/loki", "internal/pages", "internal/tenancy", "internal/tenant"},
	"internal/config": {
		"internal/access", "internal/audit", "internal/auth", "internal/fielderror", "internal/limits", "internal/loki", "internal/refresh", "internal/telemetry",
		"internal/tenancy", "internal/tenant", "internal/web",
	},
	"internal/httpapi": {
		"gen/api", "internal/access", "internal/audit", "internal/auth", "internal/fielderror", "internal/hint", "internal/limits", "internal/loki", "internal/pages",
		"internal/strictjson", "internal/tail", "internal/telemetry", "internal/tenancy", "internal/tenant", "internal/cpuslots", "internal/web",
	},
	"internal/telemetry": {"internal/audit", "internal/tenant"},
	"internal/web":       {"gen/explore", "gen/reference", "internal/fielderror"},
	"internal/gateway": {
		"internal/access", "internal/audit", "internal/auth", "internal/config", "internal/httpapi", "internal/limits", "internal/loki", "internal/refresh",
		"internal/telemetry", "internal/tenancy", "internal/tenant",
	},
	"cmd/logfence":           {"internal/access", "internal/auth", "internal/config", "internal/gateway", "internal/tenancy", "internal/tenant"},
	"cmd/logfence-demo":      {"internal/config", "internal/demo", "internal/gateway", "internal/tenancy"},
	"internal/bench":         {"internal/demo"},
	"internal/demo/findloki": {"internal/demo"},
	"internal/demo/lokis":    {"internal/demo"},
	"internal/demo/stack":    {"internal/demo"},
}

// mayParse are the packages that may import Loki's LogQL: the fence, and the fake Loki of the tests,
// which is never linked into the binary.
var mayParse = []string{"internal/tenancy", "internal/lokitest"}

type listed struct {
	ImportPath, Name   string
	Imports, Deps      []string
	TestGoFiles, Match []string
}

func list(t *testing.T, patterns ...string) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Name,Imports,Deps"}, patterns...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// TestArrows guarantees who imports whom: the fence is one package that depends on none of ours but two leaves, and
// no other touches LogQL.
func TestArrows(t *testing.T) {
	t.Parallel()
	packages := list(t, module+"...")
	if len(packages) < 8 {
		t.Fatalf("only %d packages found", len(packages))
	}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			if ours, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(mayImport[name], ours) {
				t.Errorf("%s may not import %s", name, ours)
			}
			if strings.HasPrefix(imported, syntax) && !slices.Contains(mayParse, name) {
				t.Errorf("%s may not import %s: only the fence touches LogQL", name, imported)
			}
		}
	}
}

// notInBinary are modules and packages, with all below them, that only tests and the demo link.
var notInBinary = []string{
	module + "internal/demo",     // a real Loki and an identity provider that signs any token
	module + "internal/lokitest", // the fake Loki
	module + "internal/poll",     // what waits for other processes
	module + "internal/testlog",  // a log that is read while it is written
	"github.com/zitadel/oidc",    // the demo's OpenID Connect provider
	"github.com/go-jose/go-jose", // its JOSE library; logfence verifies tokens with one alone, jwx
	"github.com/oauth2-proxy/mockoidc",
}

// TestBinary guarantees that nothing of the demo, no second JOSE library and no test support is linked into what
// users run, and that the demo, which is looked for here, is where this test thinks.
func TestBinary(t *testing.T) {
	t.Parallel()
	for command, clean := range map[string]bool{"cmd/logfence": true, "cmd/logfence-demo": false} {
		packages := list(t, module+command)
		if len(packages) != 1 || len(packages[0].Deps) == 0 {
			t.Fatalf("%s: %d packages", command, len(packages))
		}
		linked := map[string]bool{}
		for _, dep := range packages[0].Deps {
			// Not "testing" itself: Loki's syntax package imports it.
			for _, not := range notInBinary {
				if dep == not || strings.HasPrefix(dep, not+"/") {
					linked[not] = true
					if clean {
						t.Errorf("%s links %s", command, dep)
					}
				}
			}
		}
		if !clean && (!linked[notInBinary[0]] || !linked["github.com/zitadel/oidc"] || !linked["github.com/go-jose/go-jose"]) {
			t.Errorf("%s links only %v: the names in notInBinary are no longer those of the demo", command, linked)
		}
	}
}
