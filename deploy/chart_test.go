// Package deploy tests what is in this folder, by the tools that its users have.
package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/logfence/logfence/internal/config"
)

var (
	tools  = flag.String("tools", "", "folder with helm, kubeconform and their schemas, as make check-deploy makes it")
	update = flag.Bool("update", false, "write what is generated: the table of values, and the chart's copies of files")
)

// kubeVer is the version of Kubernetes that the schemas are of (see internal/tools/helm/schemas).
const kubeVer = "1.37.0"

// least are the settings without which logfence does not start.
const least = `config: {LOGFENCE_LOKI_URL: "http://loki:3100", LOGFENCE_JWT_ISSUER: "https://id.example.com", LOGFENCE_JWT_AUDIENCE: logfence}`

// TestChart guarantees, for each of the values in chart/ci, that the chart passes helm's strict lint, that
// what it makes has no field that Kubernetes or the operators' resources do not have, and that logfence
// takes the settings that it would find in the container.
func TestChart(t *testing.T) {
	needTools(t)
	files, err := filepath.Glob("chart/ci/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no values in chart/ci", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			if out, err := helm("lint", "--strict", "--quiet", "--kube-version", kubeVer, "-f", file, "chart"); err != nil {
				t.Fatalf("lint: %v\n%s", err, out)
			}
			made, err := template(file)
			if err != nil {
				t.Fatalf("template: %v\n%s", err, made)
			}
			conform(t, made)
			settings(t, made)
		})
	}
}

// TestChartOnOpenShift guarantees that no id of a user or a group is left in the pods, and that the rest of what they may
// not do is.
func TestChartOnOpenShift(t *testing.T) {
	needTools(t)
	made, err := template("chart/ci/openshift.yaml")
	if err != nil {
		t.Fatalf("template: %v\n%s", err, made)
	}
	for _, id := range []string{"runAsUser", "runAsGroup", "fsGroup"} {
		if bytes.Contains(made, []byte(id)) {
			t.Errorf("%s is set", id)
		}
	}
	if n := bytes.Count(made, []byte("runAsNonRoot: true")); n != 2 {
		t.Errorf("runAsNonRoot is set %d times, want 2: the gateway and its test", n)
	}
}

// TestChartBelowPath guarantees that the routes lead the base path to logfence, and that its probes, which are on the admin
// listener, stay as they are.
func TestChartBelowPath(t *testing.T) {
	needTools(t)
	file := filepath.Join(t.TempDir(), "values.yaml")
	values := strings.Replace(least, "config: {", "config: {LOGFENCE_BASE_PATH: /portal/logs, ", 1) +
		"\ningress: {enabled: true, host: portal.example.com}\nhttpRoute: {enabled: true, parentRefs: [{name: public}]}\n"
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := template(file)
	if err != nil {
		t.Fatalf("template: %v\n%s", err, made)
	}
	conform(t, made)
	settings(t, made)
	for text, n := range map[string]int{"path: /portal/logs\n": 1, "value: /portal/logs\n": 1, "path: /healthz\n": 2, "path: /readyz?exclude=loki\n": 1} {
		if got := strings.Count(string(made), text); got != n {
			t.Errorf("%q is there %d times, want %d", text, got, n)
		}
	}
}

// TestChartRefuses guarantees that a mistake in the values is found before anything is installed.
func TestChartRefuses(t *testing.T) {
	needTools(t)
	for _, tt := range []struct{ name, values, want string }{
		{"a value that is none", "replica: 3", "replica"},
		{"a setting that is none", "config: {LOGFENCE_MAX_RNAGE: 1h}", "LOGFENCE_MAX_RNAGE"},
		{"a setting of another kind", "config: {LOGFENCE_MAX_LINES: many}", "LOGFENCE_MAX_LINES"},
		{"a duration without a unit", "config: {LOGFENCE_MAX_RANGE: '720'}", "LOGFENCE_MAX_RANGE"},
		{"a setting that the chart sets", "config: {LOGFENCE_ADMIN_ADDR: ':1'}", "LOGFENCE_ADMIN_ADDR"},
		{"a setting among the other variables", "extraEnv: [{name: LOGFENCE_ADDR, value: ':1'}]", "extraEnv"},
		{"a tenant's limit that is none", "limits: {tenants: {acme: {rats: 5}}}", "rats"},
		{"issuers of which one is not bounded", "issuers: [{issuer: 'https://a.example', audience: a, tenants: [acme]}, {issuer: 'https://b.example', audience: b}]", "issuers"},
		{"an issuer's key that is none", "issuers: [{issuer: 'https://a.example', audience: a, tenant: acme}]", "tenant"},
		{"an image without its digest's kind", "image: {digest: 012345}", "digest"},
		{"Prometheus that is kept out", "serviceMonitor: {enabled: true}", "adminFrom"},
		{"every pod as Loki's", "lokiNetworkPolicy: {enabled: true}", "podLabels"},
		{"neither Loki's URL nor a Secret", "config: {LOGFENCE_JWT_ISSUER: 'https://id.example.com', LOGFENCE_JWT_AUDIENCE: logfence}", "LOGFENCE_LOKI_URL"},
		{"a password in a ConfigMap", "config: {LOGFENCE_LOKI_URL: 'http://loki', LOGFENCE_REDIS_URL: 'redis://:hunter2@redis:6379'}", "LOGFENCE_REDIS_URL"},
		{"two bounds of disruption", "podDisruptionBudget: {minAvailable: 1}", "exclude each other"},
		{"a network policy that cuts off Loki", "networkPolicy: {egress: {enabled: true}}", "egress.to"},
		{"an Ingress without a host", "ingress: {enabled: true}", "ingress.host"},
		{"a route of no gateway", "httpRoute: {enabled: true}", "parentRefs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "values.yaml")
			values := tt.values + "\n"
			if !strings.HasPrefix(values, "config:") {
				values += least + "\n"
			}
			if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := template(file); err == nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v, want a word about %s\n%.600s", err, tt.want, out)
			}
		})
	}
}

func needTools(t *testing.T) {
	t.Helper()
	if *tools == "" {
		t.Skip("SKIPPED: no helm given; run make check-deploy")
	}
}

func helm(args ...string) ([]byte, error) {
	return exec.Command(filepath.Join(*tools, "helm"), args...).CombinedOutput()
}

func template(values string) ([]byte, error) {
	return helm("template", "logfence", "chart", "-n", "logs", "--kube-version", kubeVer, "-f", values)
}

// TestSchemasAreStrict guarantees that the schemas, which are made here, find a field that does not exist.
func TestSchemasAreStrict(t *testing.T) {
	needTools(t)
	made, err := template("chart/ci/everything.yaml")
	if err != nil {
		t.Fatalf("template: %v\n%s", err, made)
	}
	for _, field := range []string{"enableServiceLinks:", "maxUnavailable: 1\n", "endpoints:", "backendRefs:", "policyTypes:", "averageUtilization:"} {
		wrong := bytes.Replace(made, []byte(field), []byte("x"+field), 1)
		if said := kubeconform(t, wrong); said.Invalid != 1 {
			t.Errorf("x%s was not found: %+v", field, said)
		}
	}
}

// summary is what kubeconform says at its end.
type summary struct{ Valid, Invalid, Errors, Skipped int }

// conform holds what was made against the APIs' schemas.
func conform(t *testing.T, made []byte) {
	t.Helper()
	said := kubeconform(t, made)
	if n := bytes.Count(made, []byte("\nkind: ")); said.Valid != n {
		t.Errorf("kubeconform found %+v of %d", said, n)
	}
}

func kubeconform(t *testing.T, made []byte) summary {
	t.Helper()
	cmd := exec.Command(filepath.Join(*tools, "kubeconform"), "-strict", "-summary", "-output", "json", "-kubernetes-version", kubeVer,
		"-schema-location", filepath.Join(*tools, "schemas", "{{.ResourceKind}}{{.KindSuffix}}.json"))
	cmd.Stdin = bytes.NewReader(made)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var said struct{ Summary summary }
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatalf("kubeconform: %v\n%s", err, out)
	}
	if exit != nil {
		t.Logf("%s", out)
	}
	return said.Summary
}

// settings has logfence read what the container would be given.
func settings(t *testing.T, made []byte) {
	t.Helper()
	type object struct {
		Kind string
		Data map[string]string
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Env     []struct{ Name, Value string }
						EnvFrom []struct {
							SecretRef struct{ Name string } `yaml:"secretRef"`
						} `yaml:"envFrom"`
					}
				}
			}
		}
	}
	dir := t.TempDir()
	var env []string
	for _, document := range strings.Split(string(made), "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		for name, text := range o.Data {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if o.Kind != "Deployment" {
			continue
		}
		container := o.Spec.Template.Spec.Containers[0]
		for _, v := range container.Env {
			if strings.HasPrefix(v.Name, "LOGFENCE_TLS_") {
				continue // files that are not here
			}
			env = append(env, v.Name+"="+strings.NewReplacer("/etc/logfence/limits", dir, "/etc/logfence/access", dir).Replace(v.Value))
		}
		if len(container.EnvFrom) > 0 && !strings.Contains(string(made), "LOGFENCE_LOKI_URL") { // as the Secret would
			env = append(env, "LOGFENCE_LOKI_URL=http://loki:3100", "LOGFENCE_JWT_ISSUER=https://id.example.com", "LOGFENCE_JWT_AUDIENCE=logfence")
		}
	}
	c, err := config.Load(env, filepath.Join(dir, "config.yaml"))
	if err != nil {
		t.Fatalf("logfence does not take the settings: %v", err)
	}
	if c.AdminAddr != ":9090" || c.DrainDelay == 0 {
		t.Errorf("not the settings of the chart: %+v", c.Effective())
	}
}

// TestValues guarantees that the table in the chart's README is that of its values: each with its default
// and what the schema says of it, and none that only one of the two knows. After a change:
//
//	go test ./deploy -update
func TestValues(t *testing.T) {
	var schema property
	read(t, "chart/values.schema.json", &schema)
	var values map[string]any
	read(t, "chart/values.yaml", &values)
	delete(schema.Properties, "global") // Helm's own
	table := "| value | default | meaning |\n| --- | --- | --- |\n" + strings.Join(rows(t, "", schema, values), "")
	generated(t, "chart/README.md", "<!-- values -->\n", "<!-- /values -->", table)
}

// TestCopies guarantees that the chart, which cannot reach beyond its own folder, has the alerts and the
// dashboard that are beside it. After a change:
//
//	go test ./deploy -update
func TestCopies(t *testing.T) {
	t.Parallel()
	for from, to := range map[string]string{
		"prometheus/alerts.yaml": "chart/files/alerts.yaml",
		"grafana/logfence.json":  "chart/files/dashboard.json",
	} {
		want, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(to)
		switch {
		case err == nil && bytes.Equal(got, want):
		case !*update:
			t.Errorf("%s is not %s; run: go test ./deploy -update", to, from)
		default:
			if err := os.WriteFile(to, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

type property struct {
	Description string
	Properties  map[string]property
}

func rows(t *testing.T, path string, p property, values map[string]any) (table []string) {
	t.Helper()
	for name := range values {
		if _, ok := p.Properties[name]; !ok {
			t.Errorf("%s%s is in values.yaml, and not in the schema", path, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		of := p.Properties[name]
		value, ok := values[name]
		inner, nested := value.(map[string]any)
		switch {
		case path+name == "resources" || path+name == "config" || path+name == "limits" || path+name == "grants" || !nested || of.Properties == nil:
			if !ok && path == "" {
				t.Errorf("%s is in the schema, and not in values.yaml", name)
			}
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			meaning := of.Description
			if path+name == "resources" {
				meaning = "what the scheduler reserves, and what the kernel allows; `GOMEMLIMIT` becomes nine tenths of the memory"
			}
			table = append(table, fmt.Sprintf("| `%s` | `%s` | %s |\n", path+name, text, meaning))
		default:
			table = append(table, rows(t, path+name+".", of, inner)...)
		}
	}
	return table
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err == nil && strings.HasSuffix(file, ".json") {
		err = json.Unmarshal(content, into)
	} else if err == nil {
		err = yaml.Unmarshal(content, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// generated holds the part of a file between two marks, or writes it.
func generated(t *testing.T, file, begin, end, want string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(content), begin)
	part, tail, okEnd := strings.Cut(rest, end)
	switch {
	case !ok || !okEnd:
		t.Fatalf("%s has nothing between %q and %q", file, begin, end)
	case part == want:
	case !*update:
		t.Errorf("%s is stale; run: go test ./deploy -update", file)
	default:
		if err := os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
