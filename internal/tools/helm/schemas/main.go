// Command schemas writes the JSON schemas by which kubeconform checks the chart.
//
// Guarantee: what kubeconform accepts has no field that the API does not have; the schemas come from the
// sources of Kubernetes and of the custom resources themselves, at the versions named here, through the
// Go module proxy. (kubeconform's own default is to download converted ones, while it runs, from one
// branch of one repository.)
//
// Not promised here: what an API server finds beyond schemas, such as names that must be unique.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// kubernetes is the newest version that the chart is checked against; its APIs are all old and stable.
const kubernetes = "k8s.io/kubernetes@v1.37.0"

// resources are the custom ones that the chart can make.
var resources = []struct{ module, file string }{
	{"github.com/prometheus-operator/prometheus-operator@v0.93.0", "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"},
	{"github.com/prometheus-operator/prometheus-operator@v0.93.0", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"},
	{"sigs.k8s.io/gateway-api@v1.4.1", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"},
}

func main() {
	out := flag.String("out", "", "folder to write to")
	flag.Parse()
	if err := run(context.Background(), *out); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string) error {
	if out == "" {
		return errors.New("no folder given; write -out")
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	if err := writeKubernetes(ctx, out); err != nil {
		return err
	}
	for _, r := range resources {
		if err := writeCustom(ctx, r.module, r.file, out); err != nil {
			return err
		}
	}
	return nil
}

// object is a schema, or anything else in JSON.
type object = map[string]any

// writeKubernetes writes a file for each kind of Kubernetes' own, and one that they all refer to.
func writeKubernetes(ctx context.Context, out string) error {
	content, err := read(ctx, kubernetes, "api/openapi-spec/swagger.json")
	if err != nil {
		return err
	}
	var spec struct {
		Definitions map[string]object `json:"definitions"`
	}
	if err := json.Unmarshal(content, &spec); err != nil {
		return fmt.Errorf("read %s: %w", kubernetes, err)
	}
	for name, schema := range spec.Definitions {
		strict(schema)
		kinds, _ := schema["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 {
			continue // a part, or one of those that belong to every group
		}
		kind, _ := kinds[0].(object)
		if err := write(out, kind, object{"$ref": "_definitions.json#/definitions/" + name}); err != nil {
			return err
		}
	}
	return writeFile(filepath.Join(out, "_definitions.json"), object{"definitions": spec.Definitions})
}

// writeCustom writes a file for each version of a custom resource.
func writeCustom(ctx context.Context, module, file, out string) error {
	content, err := read(ctx, module, file)
	if err != nil {
		return err
	}
	var definition struct {
		Spec struct {
			Group    string `json:"group"`
			Names    object `json:"names"`
			Versions []struct {
				Name   string `json:"name"`
				Schema struct {
					OpenAPI object `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(content, &definition); err != nil {
		return fmt.Errorf("read %s of %s: %w", file, module, err)
	}
	if len(definition.Spec.Versions) == 0 {
		return fmt.Errorf("%s of %s has no versions", file, module)
	}
	for _, v := range definition.Spec.Versions {
		strict(v.Schema.OpenAPI)
		kind := object{"group": definition.Spec.Group, "version": v.Name, "kind": definition.Spec.Names["kind"]}
		if err := write(out, kind, v.Schema.OpenAPI); err != nil {
			return err
		}
	}
	return nil
}

// strict has a schema refuse fields that it does not know, as the API server does in its strict mode,
// and says in JSON Schema what Kubernetes says in extensions of its own.
func strict(schema object) {
	properties, hasProperties := schema["properties"].(object)
	_, open := schema["additionalProperties"]
	if preserved, _ := schema["x-kubernetes-preserve-unknown-fields"].(bool); hasProperties && !open && !preserved {
		schema["additionalProperties"] = false
	}
	if either, _ := schema["x-kubernetes-int-or-string"].(bool); either || schema["format"] == "int-or-string" {
		delete(schema, "type")
		delete(schema, "format")
		schema["anyOf"] = []any{object{"type": "integer"}, object{"type": "string"}}
	}
	for _, p := range properties {
		strictly(p)
	}
	for _, key := range []string{"items", "additionalProperties", "not"} {
		strictly(schema[key])
	}
	// Not into allOf, anyOf and oneOf: what they name is said whole beside them.
}

func strictly(schema any) {
	if s, ok := schema.(object); ok {
		strict(s)
	}
}

// write names the file as kubeconform looks it up: by kind, group and version.
func write(out string, kind, schema object) error {
	// Of the group, kubeconform takes what is before the first dot.
	group, _, _ := strings.Cut(fmt.Sprint(kind["group"]), ".")
	if group != "" {
		group += "-"
	}
	name := strings.ToLower(fmt.Sprintf("%v-%s%v.json", kind["kind"], group, kind["version"]))
	return writeFile(filepath.Join(out, name), schema)
}

func writeFile(path string, content any) error {
	text, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// read gives a file of a module, which is verified by Go's checksum database as every module is.
func read(ctx context.Context, module, file string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir() // outside any module: the version is the one named here
	said, err := cmd.Output()
	var downloaded struct{ Dir, Error string }
	if e := json.Unmarshal(said, &downloaded); e != nil || err != nil || downloaded.Error != "" {
		return nil, fmt.Errorf("fetch %s: %w", module, errors.Join(errors.New(downloaded.Error), err, e))
	}
	content, err := os.ReadFile(filepath.Join(downloaded.Dir, filepath.FromSlash(file)))
	if err != nil {
		return nil, fmt.Errorf("read from %s: %w", module, err)
	}
	return content, nil
}
