package main

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const formMediaType = "application/x-www-form-urlencoded"

// form is the POST that takes the query parameters of a GET as a form.
func (b *builder) form(path string, item, operation *yaml.Node, schema string) (*yaml.Node, error) {
	example, ok := b.examples[schema]
	if !ok {
		return nil, fmt.Errorf("%s: there is no form %s in native.yaml", path, schema)
	}
	sample, err := formSample(b.examplePath(path, item), example)
	if err != nil {
		return nil, err
	}
	post := clone(operation)
	set(post, "operationId", scalar(text(operation, "operationId")+"Form"))
	set(post, "summary", scalar(text(operation, "summary")+b.Forms.Summary))
	if get(post, "x-logfence-unknown-parameters") != nil {
		get(post, "description").Value += "\n" + b.Forms.Tolerant
	} else {
		get(post, "description").Value += "\n" + b.Forms.Description
	}
	body := mapping("required", scalar("true"), "content", mapping(
		formMediaType, mapping("schema", reference("schemas", schema), "example", clone(example))))
	if headers := b.headers(operation); len(headers.Content) > 0 {
		set(post, "parameters", headers)
		insertAfter(post, "parameters", "requestBody", body)
	} else {
		remove(post, "parameters")
		insertAfter(post, "security", "requestBody", body)
	}
	set(post, "x-codeSamples", sample)
	responses := get(post, "responses")
	for status, name := range b.Forms.Responses {
		set(responses, status, reference("responses", name))
	}
	sortKeys(responses)
	return post, nil
}

// headers are the parameters of an operation that a form does not carry.
func (b *builder) headers(operation *yaml.Node) *yaml.Node {
	headers := sequence()
	for _, ref := range list(get(operation, "parameters")) {
		if text(b.resolve(ref), "in") != "query" {
			headers.Content = append(headers.Content, clone(ref))
		}
	}
	return headers
}

// formSample is how curl sends the example of a form.
func formSample(path string, example *yaml.Node) (*yaml.Node, error) {
	lines := []string{fmt.Sprintf(`curl "$LOGFENCE%s"`, path), `--header "Authorization: Bearer $TOKEN"`}
	for key, value := range pairs(example) {
		values := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			values = value.Content
		}
		for _, v := range values {
			if strings.Contains(v.Value, "'") {
				return nil, fmt.Errorf("native.yaml:%d: an apostrophe would end the shell's quotes", v.Line)
			}
			lines = append(lines, fmt.Sprintf("--data-urlencode '%s=%s'", key.Value, v.Value))
		}
	}
	source := scalar(strings.Join(lines, " \\\n  ") + "\n")
	source.Style = yaml.LiteralStyle
	return sequence(mapping("lang", scalar("Shell"), "label", scalar("curl"), "source", source)), nil
}

// fillForms writes the schemas of forms: the query parameters of an operation as properties.
func (b *builder) fillForms() error {
	for name, schema := range pairs(get(b.components, "schemas")) {
		id := text(schema, extFormOf)
		if id == "" {
			continue
		}
		of, ok := b.operations[id]
		if !ok {
			return fmt.Errorf("native.yaml:%d: %s is a form of %s, which is no operation", name.Line, name.Value, id)
		}
		description := get(schema, "description")
		properties, required := b.properties(of.node)
		schema.Content = mapping("type", scalar("object"), "description", description, "additionalProperties", scalar("false")).Content
		if len(required) > 0 {
			set(schema, "required", flow(required...))
		}
		set(schema, "properties", properties)
	}
	return nil
}

func (b *builder) properties(operation *yaml.Node) (properties *yaml.Node, required []*yaml.Node) {
	properties = mapping()
	for _, ref := range list(get(operation, "parameters")) {
		parameter := b.resolve(ref)
		if text(parameter, "in") != "query" {
			continue
		}
		name := text(parameter, "name")
		if text(parameter, "required") == "true" {
			required = append(required, scalar(name))
		}
		schema := clone(get(parameter, "schema"))
		// A reference cannot have a Go name of its own.
		if goName := get(parameter, "x-go-name"); goName != nil && get(schema, "$ref") != nil {
			schema = clone(b.resolve(schema))
			set(schema, "x-go-name", clone(goName))
		}
		set(properties, name, schema)
	}
	return properties, required
}

// sortKeys sorts the pairs of a mapping by key.
func sortKeys(n *yaml.Node) {
	all := slices.Collect(slices.Chunk(n.Content, 2))
	slices.SortStableFunc(all, func(a, b []*yaml.Node) int { return strings.Compare(a[0].Value, b[0].Value) })
	n.Content = slices.Concat(all...)
}
