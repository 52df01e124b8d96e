package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Extensions that native.yaml is written with. The output has none of them.
const (
	extTexts  = "x-texts"   // at the top: paragraphs by name; a description has the paragraph of `{name}` in its place
	extForm   = "x-form"    // of a GET: the schema of the form by which the operation is served as a POST, too
	extFormOf = "x-form-of" // of a schema: the operation whose parameters are the form's fields
)

// table is compat.yaml.
type table struct {
	Tag    string            `yaml:"tag"`
	Errors map[string]format `yaml:"errors"`
	Forms  struct {
		Summary     string            `yaml:"summary"`     // appended to the summary of the GET
		Description string            `yaml:"description"` // appended to the description of the GET, as a paragraph
		Responses   map[string]string `yaml:"responses"`   // added to those of the GET: response by status
		Tolerant    string            `yaml:"tolerant"`    // the description of a form that tolerates unknown parameters
	} `yaml:"forms"`
	// Tolerance is appended to the description of an operation that tolerates unknown parameters.
	Tolerance  string               `yaml:"tolerance"`
	Operations []row                `yaml:"operations"`
	Changes    map[string]change    `yaml:"changes"`
	Own        map[string]yaml.Node `yaml:"own"`
}

// row is one path of Loki's.
type row struct {
	Path   string `yaml:"path"`
	ID     string `yaml:"id"`     // of the GET; the form's is the same and "Form"
	Native string `yaml:"native"` // the operation that it is a copy of; "none" where compat.yaml has it under own
	Form   string `yaml:"form"`   // the form's schema; "none" where there is no POST
	// What happens to a parameter that is not described, and to an empty value of one that is: refused or tolerated.
	Unknown string `yaml:"unknown"`
	Empty   string `yaml:"empty"`
	Errors  string `yaml:"errors"` // the format of the errors, a key of errors
}

// change is what differs in a copy from its native operation.
type change struct {
	Summary    string            `yaml:"summary"`
	Parameters []string          `yaml:"parameters"` // components that come before the native operation's
	Sample     map[string]string `yaml:"sample"`     // text replaced in the code sample
	// Description is appended to the native one, as a paragraph.
	Description string            `yaml:"description"`
	Responses   map[string]string `yaml:"responses"` // components in place of the native ones, by status
}

// format is another form of the native error responses.
type format struct {
	Note      string      `yaml:"note"` // appended to each description
	MediaType string      `yaml:"mediaType"`
	Schema    string      `yaml:"schema"`
	Responses []formatted `yaml:"responses"`
	// Without are native responses that no operation in this format has: another one says it.
	Without []string `yaml:"without"`
}

// formatted is one native response in another format.
type formatted struct {
	Of          string            `yaml:"of"`
	ID          string            `yaml:"id"`
	Description string            `yaml:"description"` // instead of the native one
	Status      string            `yaml:"status"`      // instead of the native one
	Without     []string          `yaml:"without"`     // examples that are left out
	Examples    map[string]string `yaml:"examples"`    // examples that are added
}

// builder holds the document while it grows.
type builder struct {
	table
	root       *yaml.Node
	paths      *yaml.Node
	components *yaml.Node
	operations map[string]located // by operationId
	examples   map[string]*yaml.Node
}

type located struct {
	path string
	item *yaml.Node
	node *yaml.Node
}

// build is the complete OpenAPI document.
func build(native, compat []byte) ([]byte, error) {
	b := builder{operations: map[string]located{}, examples: map[string]*yaml.Node{}}
	var document yaml.Node
	if err := yaml.Unmarshal(native, &document); err != nil {
		return nil, fmt.Errorf("native.yaml: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(compat))
	decoder.KnownFields(true)
	if err := decoder.Decode(&b.table); err != nil {
		return nil, fmt.Errorf("compat.yaml: %w", err)
	}
	b.root = document.Content[0]
	b.paths, b.components = get(b.root, "paths"), get(b.root, "components")
	for _, step := range []func() error{
		b.expandTexts, b.collect, b.addErrorResponses, b.takeExamples, b.addNativeForms, b.addCompat, b.fillForms, b.check,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	document.HeadComment = ""
	return print(&document)
}

func print(document *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(header + "\n")
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(document); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// placeholders are lines that name a paragraph.
var placeholders = regexp.MustCompile(`(?m)^\{[a-z-]+\}$`)

// expandTexts puts the paragraphs of x-texts where descriptions name them.
func (b *builder) expandTexts() error {
	texts := get(b.root, extTexts)
	if texts == nil {
		return nil
	}
	remove(b.root, extTexts)
	used, unknown := map[string]bool{}, ""
	walk(b.root, func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Style != yaml.LiteralStyle {
			return
		}
		for name, text := range pairs(texts) {
			if placeholder := "{" + name.Value + "}\n"; strings.Contains(n.Value, placeholder) {
				n.Value = strings.ReplaceAll(n.Value, placeholder, text.Value)
				used[name.Value] = true
			}
		}
		if left := placeholders.FindString(n.Value); left != "" {
			unknown = fmt.Sprintf("native.yaml:%d: there is no text %s", n.Line, left)
		}
	})
	if unknown != "" {
		return errors.New(unknown)
	}
	for name := range pairs(texts) {
		if !used[name.Value] {
			return fmt.Errorf("native.yaml:%d: the text %s is not used", name.Line, name.Value)
		}
	}
	return nil
}

// collect finds the operations of native.yaml.
func (b *builder) collect() error {
	for path, item := range pairs(b.paths) {
		for method, operation := range pairs(item) {
			if method.Value != "get" && method.Value != "post" {
				continue
			}
			if err := b.add(path.Value, item, operation); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *builder) add(path string, item, operation *yaml.Node) error {
	id := text(operation, "operationId")
	if _, twice := b.operations[id]; twice || id == "" {
		return fmt.Errorf("%s: operationId %q is missing or used twice", path, id)
	}
	b.operations[id] = located{path, item, operation}
	return nil
}

// takeExamples takes the example of each form out of its schema: it belongs to the request bodies.
func (b *builder) takeExamples() error {
	for name, schema := range pairs(get(b.components, "schemas")) {
		if get(schema, extFormOf) == nil {
			continue
		}
		example := get(schema, "example")
		if example == nil {
			return fmt.Errorf("native.yaml:%d: the form %s needs an example", name.Line, name.Value)
		}
		remove(schema, "example")
		b.examples[name.Value] = example
	}
	return nil
}

// addNativeForms adds the POST to each native GET that names a form.
func (b *builder) addNativeForms() error {
	for path, item := range pairs(b.paths) {
		operation := get(item, "get")
		form := text(operation, extForm)
		if form == "" {
			continue
		}
		remove(operation, extForm)
		post, err := b.form(path.Value, item, operation, form)
		if err != nil {
			return err
		}
		set(item, "post", post)
		if err := b.add(path.Value, item, post); err != nil {
			return err
		}
	}
	return nil
}

// addCompat adds the paths of the table.
func (b *builder) addCompat() error {
	for _, r := range b.Operations {
		item, err := b.pathItem(r)
		if err != nil {
			return fmt.Errorf("compat.yaml: %s: %w", r.ID, err)
		}
		if get(b.paths, r.Path) != nil {
			return fmt.Errorf("compat.yaml: the path %s is there twice", r.Path)
		}
		set(b.paths, r.Path, item)
	}
	return nil
}

func (b *builder) pathItem(r row) (*yaml.Node, error) {
	if err := r.valid(); err != nil {
		return nil, err
	}
	operation, parameters, err := b.copied(r)
	if err != nil {
		return nil, err
	}
	set(operation, "tags", flow(scalar(b.Tag)))
	if err := b.reformat(operation, r.Errors); err != nil {
		return nil, err
	}
	if r.tolerate(operation); r.Unknown == "tolerated" {
		get(operation, "description").Value += "\n" + b.Tolerance
	}
	item := mapping("parameters", parameters, "get", operation)
	if err := b.add(r.Path, item, operation); err != nil {
		return nil, err
	}
	if r.Form == "none" {
		return item, nil
	}
	post, err := b.form(r.Path, item, operation, r.Form)
	if err != nil {
		return nil, err
	}
	if err := b.reformat(post, r.Errors); err != nil {
		return nil, err
	}
	set(item, "post", post)
	return item, b.add(r.Path, item, post)
}

func (r row) valid() error {
	for column, value := range map[string]string{"path": r.Path, "id": r.ID, "native": r.Native, "form": r.Form, "errors": r.Errors} {
		if value == "" {
			return fmt.Errorf("the column %s is missing", column)
		}
	}
	for column, value := range map[string]string{"unknown": r.Unknown, "empty": r.Empty} {
		if value != "refused" && value != "tolerated" {
			return fmt.Errorf("the column %s is %q; it must be refused or tolerated", column, value)
		}
	}
	return nil
}

// tolerate marks what the operation tolerates. Nothing marks the default, which is to refuse.
func (r row) tolerate(operation *yaml.Node) {
	for _, mark := range [][2]string{{"x-logfence-empty-values", r.Empty}, {"x-logfence-unknown-parameters", r.Unknown}} {
		if mark[1] == "tolerated" {
			set(operation, mark[0], scalar(mark[1]))
		}
	}
}

// copied is the GET of a row, and the parameters of its path.
func (b *builder) copied(r row) (operation, parameters *yaml.Node, err error) {
	if r.Native == "none" {
		own, ok := b.Own[r.ID]
		if !ok {
			return nil, nil, errors.New("it has no native operation and is not described under own")
		}
		delete(b.Own, r.ID)
		operation = clone(&own)
		operation.Content = slices.Concat(mapping("operationId", scalar(r.ID), "tags", flow()).Content, operation.Content)
		return operation, sequence(reference("parameters", "Tenant"), reference("parameters", "Grant")), nil
	}
	native, ok := b.operations[r.Native]
	if !ok {
		return nil, nil, fmt.Errorf("there is no operation %s in native.yaml", r.Native)
	}
	operation, parameters = clone(native.node), clone(get(native.item, "parameters"))
	set(operation, "operationId", scalar(r.ID))
	return operation, parameters, b.change(r, native, operation)
}

func (b *builder) change(r row, native located, operation *yaml.Node) error {
	change := b.Changes[r.ID]
	delete(b.Changes, r.ID)
	if change.Summary != "" {
		set(operation, "summary", scalar(change.Summary))
	}
	if change.Description != "" {
		get(operation, "description").Value += "\n" + change.Description
	}
	if len(change.Parameters) > 0 {
		list := get(operation, "parameters")
		var first []*yaml.Node
		for _, name := range change.Parameters {
			first = append(first, reference("parameters", name))
		}
		list.Content = slices.Concat(first, list.Content)
	}
	for status, name := range change.Responses {
		responses := get(operation, "responses")
		if get(responses, status) == nil {
			return fmt.Errorf("its native operation has no response %s", status)
		}
		set(responses, status, reference("responses", name))
	}
	source := get(get(operation, "x-codeSamples").Content[0], "source")
	from, to := b.examplePath(native.path, native.item), b.examplePath(r.Path, native.item)
	replaced := map[string]string{`"$LOGFENCE` + from + `"`: `"$LOGFENCE` + to + `"`}
	for old, new := range change.Sample {
		replaced[old] = new
	}
	for old, new := range replaced {
		if strings.Count(source.Value, old) != 1 {
			return fmt.Errorf("its native code sample does not have %s once", old)
		}
		source.Value = strings.Replace(source.Value, old, new, 1)
	}
	return nil
}

// examplePath is a path with the examples of its parameters.
func (b *builder) examplePath(path string, item *yaml.Node) string {
	for _, ref := range get(item, "parameters").Content {
		parameter := b.resolve(ref)
		if text(parameter, "in") == "path" {
			path = strings.ReplaceAll(path, "{"+text(parameter, "name")+"}", text(parameter, "example"))
		}
	}
	return path
}

// check fails for what the table or native.yaml has and nothing used.
func (b *builder) check() error {
	var errs []error
	for id := range b.Changes {
		errs = append(errs, fmt.Errorf("compat.yaml: changes: %s is no row with a native operation", id))
	}
	for id := range b.Own {
		errs = append(errs, fmt.Errorf("compat.yaml: own: %s is no row without a native operation", id))
	}
	walk(b.root, func(n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			return
		}
		if ref := text(n, "$ref"); ref != "" && b.resolve(n) == nil {
			errs = append(errs, fmt.Errorf("%s is not defined", ref))
		}
		for key := range pairs(n) {
			if slices.Contains([]string{extForm, extFormOf, extTexts}, key.Value) {
				errs = append(errs, fmt.Errorf("native.yaml:%d: %s has no meaning here", key.Line, key.Value))
			}
		}
	})
	return errors.Join(errs...)
}
