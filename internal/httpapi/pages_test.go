package httpapi

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/logfence/logfence/internal/limits"
)

// heading is what a code's section on the page of problems is headed by.
type heading struct{ status, title string }

// declared are the codes of this package as they stand in its source: each composite literal of type code.
func declared(t *testing.T) map[string]heading {
	t.Helper()
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]heading{}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if name, ok := literal.Type.(*ast.Ident); !ok || name.Name != "code" {
				return true
			}
			name, status, title := literal.Elts[0].(*ast.BasicLit), literal.Elts[1].(*ast.SelectorExpr), literal.Elts[2].(*ast.BasicLit)
			if _, again := codes[unquoted(t, name)]; again {
				t.Errorf("%s is declared twice", name.Value)
			}
			codes[unquoted(t, name)] = heading{strconv.Itoa(statusNamed(t, status.Sel.Name)), unquoted(t, title)}
			return true
		})
	}
	return codes
}

func unquoted(t *testing.T, literal *ast.BasicLit) string {
	t.Helper()
	s, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// statusNamed is the number of one of net/http's constants: StatusBadRequest is 400.
func statusNamed(t *testing.T, name string) int {
	t.Helper()
	for status := 400; status < 600; status++ {
		if "Status"+strings.NewReplacer(" ", "", "-", "").Replace(http.StatusText(status)) == name {
			return status
		}
	}
	t.Fatalf("no status is named %s", name)
	return 0
}

// explained are the codes as the page of problems has them.
func explained(t *testing.T) map[string]heading {
	t.Helper()
	a := newGateway(t).get("", "/docs/problems")
	if a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	codes := map[string]heading{}
	section := regexp.MustCompile(`<section id="([^"]+)">\s*<h3><a href="#([^"]+)"><code>([^<]+)</code></a> <span class="status">(\d+)</span> ([^<]+)</h3>\s*<p>`)
	for _, m := range section.FindAllStringSubmatch(a.text, -1) {
		if m[1] != m[2] || m[1] != m[3] || !strings.Contains(a.text, `<li><a href="#`+m[1]+`">`+m[1]+`</a></li>`) {
			t.Errorf("the section of %s names other codes, or is not in the list", m[1])
		}
		codes[m[1]] = heading{m[4], html.UnescapeString(m[5])}
	}
	if all := strings.Count(a.text, "<section"); all != len(codes) {
		t.Errorf("%d sections, %d of them as they ought to be", all, len(codes))
	}
	return codes
}

// TestProblemsAreExplained guarantees that every code has its section on the page that a problem's type
// leads to, with the same status and title, and that the page explains no other.
func TestProblemsAreExplained(t *testing.T) {
	t.Parallel()
	ours, page := declared(t), explained(t)
	if len(ours) < 20 {
		t.Fatalf("only %d codes found", len(ours))
	}
	for code, want := range ours {
		if got, ok := page[code]; !ok || got != want {
			t.Errorf("%s: the page has %+v, want %+v (internal/web/static/problems.html)", code, got, want)
		}
	}
	for code := range page {
		if _, ok := ours[code]; !ok {
			t.Errorf("the page explains %s, which is no code", code)
		}
	}
}

// codesNamed are the codes that a description names behind "Codes:".
func codesNamed(description string) []string {
	_, list, found := strings.Cut(description, "Codes:")
	if !found {
		return nil
	}
	var codes []string
	for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(list, -1) {
		codes = append(codes, m[1])
	}
	return codes
}

// TestDescribedCodesExist guarantees that every refusal of a native operation lists its codes, that they
// are codes of that status, and that each code is listed somewhere.
func TestDescribedCodesExist(t *testing.T) {
	t.Parallel()
	ours, listed := declared(t), map[string]bool{}
	each(t, func(method, path string, _ *openapi3.PathItem, op *openapi3.Operation) {
		responses := op.Responses.Map()
		for _, status := range slices.Sorted(maps.Keys(responses)) {
			response := responses[status].Value
			if status < "400" || response.Content.Get("application/problem+json") == nil {
				continue
			}
			codes := codesNamed(*response.Description)
			if len(codes) == 0 {
				t.Errorf("%s %s: %s lists no codes", method, path, status)
			}
			for _, code := range codes {
				listed[code] = true
				if ours[code].status != status {
					t.Errorf("%s %s: %s lists %s, a code of %q", method, path, status, code, ours[code].status)
				}
			}
		}
	})
	// What no operation responds with: other paths and methods, and what only Loki's clients see.
	for _, code := range []string{"not_found", "method_not_allowed", "upgrade_required", "origin_forbidden"} {
		if listed[code] {
			t.Errorf("%s is listed after all", code)
		}
		listed[code] = true
	}
	for code := range ours {
		if !listed[code] {
			t.Errorf("%s is listed by no operation", code)
		}
	}
}

// TestRefusalsHaveExamples guarantees that each code that a native operation lists has an example of its
// own, which is as the server would send it but for its detail, and a link to where it is explained.
func TestRefusalsHaveExamples(t *testing.T) {
	t.Parallel()
	ours := declared(t)
	for name, response := range freshSpec(t).Components.Responses {
		content := response.Value.Content.Get("application/problem+json")
		if content == nil {
			continue
		}
		codes := codesNamed(*response.Value.Description)
		for _, code := range codes {
			if !strings.Contains(*response.Value.Description, "[`"+code+"`](/docs/problems#"+code+")") {
				t.Errorf("%s does not link %s", name, code)
			}
		}
		for _, code := range codes {
			if content.Examples[code] == nil {
				t.Errorf("%s lists %s, and has examples of %v", name, code, slices.Sorted(maps.Keys(content.Examples)))
			}
		}
		for key, example := range content.Examples { // a second one of a code has a name of its own
			value, _ := example.Value.Value.(map[string]any)
			code, _ := value["code"].(string)
			if !slices.Contains(codes, code) || slices.Contains(codes, key) && key != code || value["title"] != ours[code].title || value["type"] != "/docs/problems#"+code ||
				strconv.Itoa(int(value["status"].(float64))) != ours[code].status {
				t.Errorf("%s: the example of %s is %v, want %+v", name, code, value, ours[code])
			}
		}
	}
}

// TestResponsesHaveExamples guarantees an example of each response, in each media type.
func TestResponsesHaveExamples(t *testing.T) {
	t.Parallel()
	each(t, func(method, path string, _ *openapi3.PathItem, op *openapi3.Operation) {
		for status, response := range op.Responses.Map() {
			for mediaType, content := range response.Value.Content {
				if len(content.Examples) == 0 && content.Example == nil {
					t.Errorf("%s %s: %s has no example of %s", method, path, status, mediaType)
				}
			}
		}
	})
}

// TestParametersAreDescribed guarantees that each parameter is described, has an example and is bounded.
func TestParametersAreDescribed(t *testing.T) {
	t.Parallel()
	bounded := func(s *openapi3.Schema) bool {
		return s.MaxLength != nil || len(s.Enum) > 0 || s.Type.Is(openapi3.TypeInteger) && s.Min != nil || s.Type.Is(openapi3.TypeBoolean)
	}
	each(t, func(method, path string, item *openapi3.PathItem, op *openapi3.Operation) {
		for _, p := range parametersOf(item, op) {
			s := p.Value.Schema.Value
			if s.Type.Is(openapi3.TypeArray) {
				s = s.Items.Value
			}
			if p.Value.Description == "" || p.Value.Example == nil || !bounded(s) {
				t.Errorf("%s %s: %s has no description, no example or no bounds", method, path, p.Value.Name)
			}
		}
	})
}

// TestOperationsSayHowTheyAreConfined guarantees that the prose of an operation agrees with its fence.
func TestOperationsSayHowTheyAreConfined(t *testing.T) {
	t.Parallel()
	const nothing = "Tenant isolation: no stream is read"
	says := map[string]string{"query": "Tenant isolation by query: ", "selector": "Tenant isolation by selector: ", "none": nothing}
	each(t, func(method, path string, _ *openapi3.PathItem, op *openapi3.Operation) {
		fence, _ := op.Extensions["x-logfence-fence"].(string)
		// What explains a query fences it, and sends nothing to Loki.
		if !strings.Contains(op.Description, says[fence]) && (fence != "query" || !strings.Contains(op.Description, nothing)) || op.Summary == "" {
			t.Errorf("%s %s: the description does not say %q", method, path, says[fence])
		}
	})
}

// TestSampleRequestsAreTaken guarantees that each operation has a request to copy, and that the server
// takes it as it stands.
func TestSampleRequestsAreTaken(t *testing.T) {
	t.Parallel()
	prepared, err := newOperationTable(freshSpec(t))
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(method, path string, _ *openapi3.PathItem, op *openapi3.Operation) {
		samples, _ := op.Extensions["x-codeSamples"].([]any)
		if len(samples) == 0 || len(samples) > 1 && op.OperationID != "listLines" { // of which there are pages and streams
			t.Errorf("%s %s: %d samples", method, path, len(samples))
		}
		for _, each := range samples {
			sample, _ := each.(map[string]any)
			if sample["label"] == "logcli" && op.OperationID == "lokiTail" {
				continue // a WebSocket, which curl has not: the tests against a real logcli hold it
			}
			source, _ := sample["source"].(string)
			if err := takes(t, prepared[method+" "+echoPath(path)], method, path, source); err != nil {
				t.Errorf("%s %s: %v:\n%s", method, path, err, source)
			}
		}
	})
}

// takes returns an error unless the server takes a sample as it stands.
func takes(t *testing.T, o *operation, method, path, source string) error {
	r, err := ofCurl(t, source)
	if err != nil {
		return err
	}
	inPath, ok := matched(path, r.URL.Path)
	if r.Method != method || !ok || r.Header.Get("Authorization") != "Bearer $TOKEN" {
		return fmt.Errorf("the sample is of %s %s, %v", r.Method, r.URL.Path, r.Header)
	}
	values, err := o.readParameters(r, DefaultMaxBody)
	if err != nil {
		return err
	}
	return o.validate(t.Context(), r, inPath, values)
}

// matched tells whether a path is one of a template, and its parameters.
func matched(template, path string) (map[string]string, bool) {
	parts, given := strings.Split(template, "/"), strings.Split(path, "/")
	values := map[string]string{}
	if len(parts) != len(given) {
		return nil, false
	}
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			values[strings.TrimSuffix(name, "}")] = given[i]
		} else if part != given[i] {
			return nil, false
		}
	}
	return values, true
}

// ofCurl is the request that a command of curl's sends, of the few options that the samples use.
func ofCurl(t *testing.T, command string) (*http.Request, error) {
	t.Helper()
	words, err := shellWords(command)
	if err != nil || len(words) == 0 || words[0] != "curl" {
		return nil, fmt.Errorf("no command of curl's: %w", err)
	}
	method, address, header, fields, body := http.MethodGet, "", http.Header{}, []string{}, ""
	inURL := false
	for words = words[1:]; len(words) > 0; words = words[1:] {
		switch words[0] {
		case "--get":
			inURL = true
			continue
		case "--no-buffer":
			continue
		case "--header", "--data", "--data-urlencode", "--output":
			if len(words) < 2 {
				return nil, fmt.Errorf("%s has no value", words[0])
			}
		default:
			if address != "" || strings.HasPrefix(words[0], "-") {
				return nil, fmt.Errorf("%s is not expected", words[0])
			}
			address = words[0]
			continue
		}
		switch option, value := words[0], words[1]; option {
		case "--header":
			name, content, _ := strings.Cut(value, ": ")
			header.Set(name, content)
		case "--data":
			body = value
		case "--data-urlencode":
			name, content, _ := strings.Cut(value, "=")
			fields = append(fields, name+"="+url.QueryEscape(content))
		}
		words = words[1:]
	}
	switch form := strings.Join(fields, "&"); {
	case inURL:
		address += "?" + form
	case form != "":
		method, body = http.MethodPost, form
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	case body != "":
		method = http.MethodPost
	}
	address, ok := strings.CutPrefix(address, "$LOGFENCE")
	if !ok {
		return nil, errors.New("the address is not one of $LOGFENCE")
	}
	r := httptest.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	r.Header = header
	return r, nil
}

// shellWords splits a command as a shell does that knows quotes, and backslashes at the end of a line.
func shellWords(command string) ([]string, error) {
	var words []string
	word := regexp.MustCompile(`^(?:'([^']*)'|"([^"\\]*)"|([^\s'"\\]+))(?:\s|$)`)
	for rest := strings.TrimSpace(strings.ReplaceAll(command, "\\\n", " ")); rest != ""; rest = strings.TrimSpace(rest) {
		m := word.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("unknown quoting: %s", rest)
		}
		words, rest = append(words, m[1]+m[2]+m[3]), rest[len(m[0]):]
	}
	return words, nil
}

// TestSettingsNamedExist guarantees that the settings which the spec and the page of problems send readers
// to are settings.
func TestSettingsNamedExist(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../config/settings.go")
	if err != nil {
		t.Fatal(err)
	}
	limit := func(name string) bool {
		return slices.ContainsFunc(limits.Table(), func(d limits.Descriptor) bool { return d.Setting == name })
	}
	g := newGateway(t)
	for _, path := range []string{"/openapi.yaml", "/docs/problems"} {
		for _, m := range regexp.MustCompile(`\bLOGFENCE_([A-Z_]+)`).FindAllStringSubmatch(g.get("", path).text, -1) {
			if !strings.Contains(string(source), `name: "`+m[1]+`"`) && !limit(m[1]) {
				t.Errorf("%s names %s, which is no setting", path, m[0])
			}
		}
	}
}
