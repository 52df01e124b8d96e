package httpapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"html"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
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
	// What no operation answers: other paths and methods, and what only Loki's clients see.
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
