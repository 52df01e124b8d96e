package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// addErrorResponses adds the native error responses in every other format, each after its native one.
func (b *builder) addErrorResponses() error {
	responses := get(b.components, "responses")
	for _, name := range slices.Sorted(maps.Keys(b.Errors)) {
		format := b.Errors[name]
		for _, f := range format.Responses {
			native := get(responses, f.Of)
			if native == nil {
				return fmt.Errorf("compat.yaml: errors.%s: there is no response %s in native.yaml", name, f.Of)
			}
			response, err := f.response(format, native)
			if err != nil {
				return fmt.Errorf("compat.yaml: errors.%s: %s: %w", name, f.ID, err)
			}
			insertAfter(responses, f.Of, f.ID, response)
		}
	}
	return nil
}

func (f formatted) response(format format, native *yaml.Node) (*yaml.Node, error) {
	description := f.Description
	if description == "" {
		// What follows lists the codes, which only problems have.
		description, _, _ = strings.Cut(text(native, "description"), "Codes:")
	}
	description = strings.TrimSpace(description) + " " + format.Note
	examples, err := f.examples(get(get(get(native, "content"), "application/problem+json"), "examples"))
	if err != nil {
		return nil, err
	}
	return mapping(
		"description", folded(description),
		"headers", clone(get(native, "headers")),
		"content", mapping(format.MediaType, mapping("schema", reference("schemas", format.Schema), "examples", examples)),
	), nil
}

// examples are the details of the native examples, as text without a newline, as Loki writes its errors.
func (f formatted) examples(native *yaml.Node) (*yaml.Node, error) {
	all := mapping()
	for name, example := range pairs(native) {
		if slices.Contains(f.Without, name.Value) {
			continue
		}
		problem := get(example, "value")
		line := text(problem, "detail")
		if get(problem, "line") != nil {
			line = fmt.Sprintf("parse error at line %s, col %s: %s", text(problem, "line"), text(problem, "column"), line)
		}
		set(all, name.Value, mapping("value", quoted(line)))
	}
	for _, name := range f.Without {
		if get(native, name) == nil {
			return nil, fmt.Errorf("its native response has no example %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Examples)) {
		set(all, name, mapping("value", quoted(f.Examples[name])))
	}
	return all, nil
}

// reformat names the responses of an operation that are in another format.
func (b *builder) reformat(operation *yaml.Node, format string) error {
	known, ok := b.Errors[format]
	if !ok {
		return fmt.Errorf("the format of errors %q is not described under errors", format)
	}
	formats := map[string]formatted{}
	for _, f := range known.Responses {
		formats[f.Of] = f
	}
	responses := get(operation, "responses")
	var kept []*yaml.Node
	for status, response := range pairs(responses) {
		name := ""
		if ref := get(response, "$ref"); ref != nil {
			name = strings.TrimPrefix(ref.Value, "#/components/responses/")
		}
		f, other := formats[name]
		switch {
		case slices.Contains(known.Without, name):
			continue
		case other && f.Status != "":
			status = quoted(f.Status)
		}
		if other {
			response = reference("responses", f.ID)
		}
		kept = append(kept, status, response)
	}
	responses.Content = kept
	sortKeys(responses)
	return nil
}
