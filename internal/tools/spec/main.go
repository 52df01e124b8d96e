// Command spec writes openapi.yaml from spec/native.yaml and spec/compat.yaml, and openapi.json from openapi.yaml.
//
//	go -C internal/tools run ./spec -repo ../..
//	go -C internal/tools run ./spec -json -repo ../..
//
// Guarantee: the output depends on these files alone, and keeps the order and the comments of native.yaml. Whatever in
// compat.yaml or in an extension is unknown is an error, and so is a name that is used but not defined.
//
// Not promised here: that the result is good OpenAPI (`make lint-spec`), or that the server keeps it (package
// conformance tests).
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// header replaces the first comment of native.yaml, which says how to edit that file.
const header = `# Code generated from spec/native.yaml and spec/compat.yaml by "make generate"; DO NOT EDIT.
`

func main() {
	repo := flag.String("repo", ".", "the root of the repository")
	json := flag.Bool("json", false, "write gen/reference/openapi.json from openapi.yaml")
	flag.Parse()
	write := writeYAML
	if *json {
		write = writeJSON
	}
	if err := write(*repo); err != nil {
		fmt.Fprintln(os.Stderr, "spec:", err)
		os.Exit(1)
	}
}

func writeYAML(repo string) error {
	native, err := os.ReadFile(filepath.Join(repo, "spec", "native.yaml"))
	if err != nil {
		return err
	}
	compat, err := os.ReadFile(filepath.Join(repo, "spec", "compat.yaml"))
	if err != nil {
		return err
	}
	out, err := build(native, compat)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(repo, "openapi.yaml"), out)
}

func writeJSON(repo string) error {
	document, err := os.ReadFile(filepath.Join(repo, "openapi.yaml"))
	if err != nil {
		return err
	}
	out, err := toJSON(document)
	if err != nil {
		return fmt.Errorf("openapi.yaml: %w", err)
	}
	return replaceFile(filepath.Join(repo, "gen", "reference", "openapi.json"), out)
}

// replaceFile leaves a file alone that has the content already: its time of change is what make compares.
func replaceFile(name string, content []byte) error {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, content) {
		return nil
	}
	return os.WriteFile(name, content, 0o644)
}
