package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// chartSets are the settings that the chart makes out of values of its own.
var chartSets = []string{"ADDR", "ADMIN_ADDR", "DRAIN_DELAY", "DRAIN_TIMEOUT", "TLS_CERT_FILE", "TLS_KEY_FILE", "LIMITS_FILE"}

// TestChartKnowsREADMEsSettings guarantees that the Helm chart takes every setting, and refuses what is
// none before a pod does. After a change:
//
//	go test ./internal/config -run README -update
func TestChartKnowsREADMEsSettings(t *testing.T) {
	const file, begin, end = "../../deploy/chart/values.schema.json", "    \"config\": ", ",\n    \"issuers\": "
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(raw), begin)
	part, tail, okEnd := strings.Cut(rest, end)
	if !ok || !okEnd {
		t.Fatalf("%s has no part between %q and %q", file, begin, end)
	}
	want := chartSchema(t)
	if part == want {
		return
	}
	if !*update {
		t.Fatal("the chart's schema of settings is stale; run: go test ./internal/config -run README -update")
	}
	if err := os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// chartSchema is the JSON schema of the chart's value `config`, a line for each setting.
func chartSchema(t *testing.T) string {
	t.Helper()
	lines := make([]string, 0, len(settings))
	for i := range settings {
		s := &settings[i]
		if slices.Contains(chartSets, s.name) {
			continue
		}
		value := map[string]any{"description": s.sentence(strings.NewReplacer())}
		switch s.kind {
		case kindNumber:
			value["type"], value["pattern"] = []string{"integer", "string"}, "^[0-9]+$"
		case kindSize:
			value["type"], value["pattern"] = []string{"integer", "string"}, "^[0-9]+(KiB|MiB)?$"
		case kindSwitch:
			value["enum"] = []any{true, false, "true", "false"}
		case kindList, kindNetworks:
			value["type"], value["items"] = []string{"array", "string"}, map[string]string{"type": "string"}
		case kindDuration:
			value["type"], value["pattern"] = "string", "^[0-9.]+(ms|s|m|h)([0-9.]+(ms|s|m|h))*$"
		default:
			value["type"], value["minLength"] = "string", 1
		}
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false) // for people to read
		if err := encoder.Encode(value); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("        %q: %s", s.Name(), bytes.TrimSpace(text.Bytes())))
	}
	return "{\n" +
		"      \"type\": \"object\",\n" +
		"      \"description\": \"logfence's settings, by their names\",\n" +
		"      \"properties\": {\n" + strings.Join(lines, ",\n") + "\n      },\n" +
		"      \"additionalProperties\": false\n    }"
}
