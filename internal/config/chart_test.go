package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/auth"
)

// chartSets are the settings that the chart makes out of values of its own.
var chartSets = []string{"ADDR", "ADMIN_ADDR", "DRAIN_DELAY", "DRAIN_TIMEOUT", "TLS_CERT_FILE", "TLS_KEY_FILE", "LIMITS_FILE", "ACCESS_FILE"}

// TestChartHasConfigurationSettings guarantees that the Helm chart takes every setting, and refuses what is
// none before a pod does. After a change:
//
//	go test ./internal/config -run Configuration -update
func TestChartHasConfigurationSettings(t *testing.T) {
	const file = "../../deploy/chart/values.schema.json"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := string(raw)
	for _, part := range []struct{ begin, end, schema string }{
		{"\n    \"config\": ", ",\n    \"issuers\": ", chartSchema(t)},
		{"\n    \"issuers\": ", ",\n    \"kubernetesKeys\": ", chartIssuers(t)},
		{"\n    \"grants\": ", ",\n    \"limits\": ", chartGrants(t)},
		{"\n    \"limits\": ", ",\n    \"tls\": ", chartLimits(t)},
	} {
		head, rest, ok := strings.Cut(want, part.begin)
		_, tail, okEnd := strings.Cut(rest, part.end)
		if !ok || !okEnd {
			t.Fatalf("%s has no part between %q and %q", file, part.begin, part.end)
		}
		want = head + part.begin + part.schema + part.end + tail
	}
	if !strings.HasSuffix(want, chartBounds) {
		t.Errorf("%s does not end with the bounds of issuers", file)
	}
	if want == string(raw) {
		return
	}
	if !*update {
		t.Fatal("the chart's schema of settings is stale; run: go test ./internal/config -run Configuration -update")
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// chartSchema is the JSON schema of the chart's value `config`, a line for each setting.
func chartSchema(t *testing.T) string {
	t.Helper()
	lines := make([]string, 0, len(settings))
	for i := range settings {
		if s := &settings[i]; !slices.Contains(chartSets, s.name) {
			lines = append(lines, fmt.Sprintf("        %q: %s", s.Name(), valueSchema(t, s)))
		}
	}
	return "{\n" +
		"      \"type\": \"object\",\n" +
		"      \"description\": \"logfence's settings, by their names\",\n" +
		"      \"properties\": {\n" + strings.Join(lines, ",\n") + "\n      },\n" +
		"      \"additionalProperties\": false\n    }"
}

// chartIssuers is that of the value `issuers`, a line for each key of an issuer. More than one issuer
// means that each has a bound: see chartBounds.
func chartIssuers(t *testing.T) string {
	t.Helper()
	lines := make([]string, 0, len(issuerKeys))
	for _, k := range issuerKeys {
		s := k.setting(&auth.Issuer{})
		s.meaning = k.meaning
		lines = append(lines, fmt.Sprintf("          %q: %s", k.key, valueSchema(t, s)))
	}
	return "{\n" +
		"      \"type\": \"array\",\n" +
		"      \"description\": \"several issuers, in place of `LOGFENCE_JWT_ISSUER` and its like; each with the tenants that its tokens may name\",\n" +
		"      \"items\": {\n" +
		"        \"type\": \"object\",\n" +
		"        \"properties\": {\n" + strings.Join(lines, ",\n") + "\n        },\n" +
		"        \"additionalProperties\": false,\n" +
		"        \"required\": [\"audience\"],\n" +
		"        \"oneOf\": [{\"required\": [\"issuer\"]}, {\"required\": [\"trust_domain\"]}]\n      }\n    }"
}

// chartBounds is the end of the schema: without grants, each of several issuers has a bound, as logfence itself has it.
const chartBounds = `
  "if": {"properties": {"issuers": {"minItems": 2}, "grants": {"maxItems": 0}}},
  "then": {"properties": {"issuers": {"items": {"anyOf": [
    {"required": ["tenants"]},
    {"required": ["tenant_pattern"]},
    {"required": ["any_tenant"], "properties": {"any_tenant": {"enum": [true, "true"]}}}
  ]}}}},
  "additionalProperties": false
}
`

// chartGrants is that of the value `grants`: the published schema of the file.
func chartGrants(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/access.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(raw), "    \"grants\": ")
	part, _, okEnd := strings.Cut(rest, "\n  },\n")
	if !ok || !okEnd {
		t.Fatal("docs/access.schema.json has no grants")
	}
	return part
}

// chartLimits is that of the value `limits`, a line for each limit that a tenant or a class may have of its own.
func chartLimits(t *testing.T) string {
	t.Helper()
	var lines []string
	for i := range settings {
		if s := &settings[i]; s.perTenant != "" {
			lines = append(lines, fmt.Sprintf("              %q: %s", s.perTenant, valueSchema(t, s)))
		}
	}
	return "{\n" +
		"      \"type\": \"object\",\n" +
		"      \"description\": \"limits of classes and of single tenants, as the file of `LOGFENCE_LIMITS_FILE` has them; changes need no restart\",\n" +
		"      \"properties\": {\n" +
		"        \"classes\": {\n" +
		"          \"type\": \"object\",\n" +
		"          \"description\": \"limits that several tenants share, by the class's name\",\n" +
		"          \"additionalProperties\": {\n" +
		"            \"type\": \"object\",\n" +
		"            \"properties\": {\n" + strings.Join(lines, ",\n") + "\n            },\n" +
		"            \"additionalProperties\": false\n          }\n        },\n" +
		"        \"tenants\": {\n" +
		"          \"type\": \"object\",\n" +
		"          \"description\": \"a class, or limits of the tenant's own, by the tenant's name\",\n" +
		"          \"additionalProperties\": {\n" +
		"            \"if\": {\"type\": \"string\"},\n" +
		"            \"then\": {\"minLength\": 1},\n" +
		"            \"else\": {\"$ref\": \"#/properties/limits/properties/classes/additionalProperties\"}\n          }\n        }\n      },\n" +
		"      \"additionalProperties\": false\n    }"
}

// valueSchema is that of one setting's value, on one line.
func valueSchema(t *testing.T, s *setting) []byte {
	t.Helper()
	value := map[string]any{"description": s.sentence(strings.NewReplacer())}
	switch s.kind {
	case kindNumber:
		value["type"], value["pattern"] = []string{"integer", "string"}, "^[0-9]+$"
	case kindSize:
		value["type"], value["pattern"] = []string{"integer", "string"}, "^[0-9]+(KiB|MiB|GiB|TiB)?$"
	case kindLabel: // as package tenancy takes them
		value["type"], value["pattern"] = "string", "^([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9_]*$"
	case kindSwitch:
		value["enum"] = []any{true, false, "true", "false"}
	case kindList, kindNetworks, kindURLs:
		value["type"], value["items"] = []string{"array", "string"}, map[string]string{"type": "string"}
	case kindDuration:
		value["type"], value["pattern"] = "string", "^[0-9.]+(ms|s|m|h)([0-9.]+(ms|s|m|h))*$"
	case kindLevel, kindFormat, kindQueries, kindLogged:
		value["enum"] = strings.Split(string(s.kind), ", ")
	case kindURL: // in a ConfigMap, which is no place for a password
		value["type"], value["minLength"], value["not"] = "string", 1, map[string]string{"pattern": "://[^/@]*:[^/@]+@"}
	default:
		value["type"], value["minLength"] = "string", 1
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // for readers
	if err := encoder.Encode(value); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(text.Bytes())
}
