package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestIsCurrent guarantees that the checked-in files are what spec/ generates.
func TestIsCurrent(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	document, err := build(read(t, root, "spec/native.yaml"), read(t, root, "spec/compat.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if string(document) != string(read(t, root, "openapi.yaml")) {
		t.Error("openapi.yaml is stale: run `make generate`")
	}
	encoded, err := toJSON(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(encoded) != string(read(t, root, "gen/reference/openapi.json")) {
		t.Error("gen/reference/openapi.json is stale: run `make generate`")
	}
}

// TestOneEdit guarantees that a description is written once, for GET and form, native and compatible.
func TestOneEdit(t *testing.T) {
	const old, edited = "What is there.", "What is to be seen."
	before, err := build([]byte(native), []byte(compat))
	if err != nil {
		t.Fatal(err)
	}
	after, err := build([]byte(strings.Replace(native, old, edited, 1)), []byte(compat))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.ReplaceAll(string(before), old, edited); got != string(after) || strings.Count(got, edited) != 4 {
		t.Errorf("the edited document has it %d times:\n%s", strings.Count(got, edited), after)
	}
}

// TestBuild guarantees the complete text of what is generated.
func TestBuild(t *testing.T) {
	got, err := build([]byte(native), []byte(compat))
	if err != nil {
		t.Fatal(err)
	}
	want := string(read(t, "testdata", "openapi.yaml"))
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
}

// TestMistakes guarantees that no mistake in the two files passes unnoticed.
func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ name, native, compat, want string }{
		{"an unknown native operation", "", "native: listLabels=>native: listLables", "there is no operation listLables"},
		{"an unknown form", "", "form: LabelsForm=>form: LablesForm", "there is no form LablesForm"},
		{"a column that is missing", "", "native: listLabels, =>", "the column native is missing"},
		{"a column that is not known", "", "empty: refused=>emty: refused", "field emty not found"},
		{"neither refused nor tolerated", "", "unknown: refused=>unknown: ignored", `the column unknown is "ignored"`},
		{"an unknown format of errors", "", "errors: text}=>errors: xml}", `the format of errors "xml" is not described`},
		{"a change of no operation", "", "lokiLabels:=>lokiLables:", "changes: lokiLables is no row"},
		{"an operation without a row", "", "lokiVersion:\n=>lokiVersions:\n", "it has no native operation and is not described"},
		{"a sample that has changed", "", "'since=': 'since[]='=>'from=': 'from[]='", "does not have from= once"},
		{"a response to replace that is none", "", "    sample: {'since=': 'since[]='}=>    responses: {'299': Labels}", "no response 299"},
		{"an unknown error response", "", "of: BadRequest=>of: BedRequest", "there is no response BedRequest"},
		{"an example that is gone", "", "without: [gone]=>without: [lost]", "no example lost"},
		{"a form of no operation", "x-form-of: listLabels=>x-form-of: listLables", "", "which is no operation"},
		{"a form without an example", "example: {since: 1h}=>x: {}", "", "the form LabelsForm needs an example"},
		{"an unknown text", "        {confined}=>        {confind}", "", "there is no text {confind}"},
		{"an unused text", "        {confined}=>        Confined.", "", "the text confined is not used"},
		{"a reference to nothing", "parameters/Since=>parameters/Sinc", "", "#/components/parameters/Sinc is not defined"},
		{"an id used twice", "operationId: listLabels=>operationId: lokiLabels", "native: listLabels=>native: lokiLabels", "missing or used twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := build([]byte(replaced(t, native, tt.native)), []byte(replaced(t, compat, tt.compat)))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestTolerance guarantees that the table's columns reach the document, where they are not the default.
func TestTolerance(t *testing.T) {
	got, err := build([]byte(native), []byte(strings.Replace(compat, "unknown: refused", "unknown: tolerated", 1)))
	if err != nil {
		t.Fatal(err)
	}
	for text, times := range map[string]int{
		"x-logfence-unknown-parameters: tolerated": 2, "More is ignored.": 2, "In the body or the URL.": 1, "In the body.": 1,
	} {
		if n := strings.Count(string(got), text); n != times {
			t.Errorf("%q is there %d times, want %d: on the GET and the form", text, n, times)
		}
	}
}

// TestOtherStatus guarantees that a format of errors may have another status than the native one, or no such response.
func TestOtherStatus(t *testing.T) {
	for _, tt := range []struct{ name, edit, has, hasNot string }{
		{"another status", "of: BadRequest,=>of: BadRequest, status: '422',", `"422":`, `      "400":`},
		{"none", "    schema: Text=>    schema: Text\n    without: [BadRequest]", "/loki/api/v1/version", "responses/LokiBadRequest"},
	} {
		got, err := build([]byte(native), []byte(replaced(t, compat, tt.edit)))
		if err != nil {
			t.Fatal(err)
		}
		_, own, _ := strings.Cut(string(got), "  /loki/")
		own, _, _ = strings.Cut(own, "\ncomponents:")
		if !strings.Contains("  /loki/"+own, tt.has) || strings.Contains(own, tt.hasNot) {
			t.Errorf("%s:\n%s", tt.name, own)
		}
	}
}

func read(t *testing.T, folder, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// replaced is a text with one change, "old=>new".
func replaced(t *testing.T, text, change string) string {
	t.Helper()
	if change == "" {
		return text
	}
	from, to, _ := strings.Cut(change, "=>")
	if !strings.Contains(text, from) {
		t.Fatalf("there is no %q", from)
	}
	return strings.Replace(text, from, to, 1)
}

const native = `# How to edit this file.

# What every reader should know.
openapi: 3.0.3
info: {title: t, version: 1.0.0}
x-texts:
  confined: |
    Confined to the tenant.
paths:
  /api/v1/labels/{name}:
    parameters:
      - $ref: '#/components/parameters/Name'
    get:
      operationId: listLabels
      x-form: LabelsForm
      tags: [Labels]
      summary: List labels
      description: |
        What is there.

        {confined}
      x-logfence-fence: selector
      security:
        - bearerAuth: []
      parameters:
        - $ref: '#/components/parameters/Since' # this comment stays
        - $ref: '#/components/parameters/Match'
        - $ref: '#/components/parameters/Flag'
      x-codeSamples:
        - lang: Shell
          label: curl
          source: |
            curl --get "$LOGFENCE/api/v1/labels/app" \
              --data-urlencode 'since=1h'
      responses:
        '200': {description: ok}
        '400':
          $ref: '#/components/responses/BadRequest'
        '503': {description: down}
components:
  parameters:
    Tenant: {name: X-Tenant, in: header, schema: {type: string}}
    Grant: {name: X-Grant, in: header, schema: {type: string}}
    Name: {name: name, in: path, required: true, schema: {type: string}, example: app}
    Flag: {name: X-Flag, in: header, schema: {type: string}}
    Since:
      name: since
      in: query
      required: true
      schema:
        $ref: '#/components/schemas/Duration'
    Match:
      name: 'match[]'
      in: query
      x-go-name: MatchBrackets
      schema:
        $ref: '#/components/schemas/List'
  schemas:
    Duration: {type: string}
    List: {type: array, items: {type: string}}
    LabelsForm:
      description: The parameters as a form.
      x-form-of: listLabels
      example: {since: 1h}
    Problem: {type: object}
    Text: {type: string}
  responses:
    BadRequest:
      description: >-
        The request is not valid.
        Codes: [query_invalid](/docs).
      headers: {}
      content:
        application/problem+json:
          schema: {$ref: '#/components/schemas/Problem'}
          examples:
            query_invalid: {value: {detail: "unexpected end", line: 1, column: 16}}
            parameter_invalid: {value: {detail: "limit: it is too low."}}
            gone: {value: {detail: "Gone."}}
`

const compat = `tag: Loki-compatible
operations:
  - {path: '/loki/api/v1/label/{name}', id: lokiLabels, native: listLabels, form: LabelsForm, unknown: refused, empty: refused, errors: text}
  - {path: /loki/api/v1/version, id: lokiVersion, native: none, form: none, unknown: refused, empty: refused, errors: text}
changes:
  lokiLabels:
    summary: List labels the old way
    sample: {'since=': 'since[]='}
forms:
  summary: ', by a form'
  description: |
    In the body.
  tolerant: |
    In the body or the URL.
  responses: {'415': BadRequest}
tolerance: |
  More is ignored.
errors:
  text:
    note: As text.
    mediaType: text/plain
    schema: Text
    responses:
      - {id: LokiBadRequest, of: BadRequest, without: [gone], examples: {more: "More.\n"}}
own:
  lokiVersion:
    summary: Get the version
    description: |
      The version.
    responses:
      '400':
        $ref: '#/components/responses/BadRequest'
`

// TestBuildIsRepeatable guarantees the same text each time: what is generated is committed and compared.
func TestBuildIsRepeatable(t *testing.T) {
	tolerant := []byte(strings.NewReplacer("unknown: refused", "unknown: tolerated", "empty: refused", "empty: tolerated").Replace(compat))
	first, err := build([]byte(native), tolerant)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if again, err := build([]byte(native), tolerant); err != nil || string(again) != string(first) {
			t.Fatalf("it differs, %v", err)
		}
	}
}
