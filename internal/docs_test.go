package internal_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	linked  = regexp.MustCompile(`(?:\]\(|<img src=")([^)"\s]+)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	// packageRow is a row of a table in docs/architecture.md whose second cell is a package, and whose third names functions.
	packageRow = regexp.MustCompile("(?m)^\\|[^|]*\\| `([a-z/-]+)` \\| (`[^|]+`) \\|$")
	quoted     = regexp.MustCompile("`([^`]+)`")
)

// TestLinks guarantees that every link of the documents to a file of the project, or to a section of one, leads somewhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	files, err := exec.CommandContext(t.Context(), "git", "-C", "..", "ls-files", "-z", "--", "*.md").Output()
	if err != nil {
		t.Skipf("not a git checkout: %v", err)
	}
	for _, file := range strings.Split(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		for _, link := range linked.FindAllStringSubmatch(read(t, file), -1) {
			path, section, _ := strings.Cut(link[1], "#")
			if strings.Contains(path, "://") || strings.HasPrefix(path, "mailto:") || strings.HasPrefix(path, "/") {
				continue
			}
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(filepath.Join("..", target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", file, link[1])
			} else if section != "" && !hasSection(read(t, target), section) {
				t.Errorf("%s links to %s, which has no such section", file, link[1])
			}
		}
	}
}

// TestArchitecture guarantees that docs/architecture.md names every package, and that the functions that it names in
// the life of a query exist in their packages.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/architecture.md")
	for _, p := range list(t, module+"...") {
		if name := strings.TrimPrefix(p.ImportPath, module); name != "internal" && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/architecture.md does not name the package %s", name)
		}
	}
	rows := packageRow.FindAllStringSubmatch(text, -1)
	if len(rows) < 10 {
		t.Fatalf("only %d rows name functions of a package", len(rows))
	}
	for _, row := range rows {
		files, err := filepath.Glob(filepath.Join("..", row[1], "*.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("docs/architecture.md names the package %s, which does not exist", row[1])
			continue
		}
		var code strings.Builder
		for _, f := range files {
			code.WriteString(read(t, strings.TrimPrefix(f, "../")))
		}
		for _, name := range quoted.FindAllStringSubmatch(row[2], -1) {
			if !regexp.MustCompile(`(?m)^func (\([^)]+\) )?` + regexp.QuoteMeta(name[1]) + `[(\[]`).MatchString(code.String()) {
				t.Errorf("docs/architecture.md names %s of %s, which does not exist", name[1], row[1])
			}
		}
	}
}

// TestTargets guarantees that the make targets that docs/development.md and CONTRIBUTING.md name exist.
func TestTargets(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	for _, file := range []string{"docs/development.md", "CONTRIBUTING.md"} {
		for _, target := range regexp.MustCompile("(?m)(?:`|^    )make ([a-z-]+)").FindAllStringSubmatch(read(t, file), -1) {
			if !strings.Contains(makefile, "\n"+target[1]+":") {
				t.Errorf("%s names the target %s, which does not exist", file, target[1])
			}
		}
	}
}

// TestNamedTests guarantees that the tests which documents name exist: a guarantee that is "shown by" a test is shown by none
// when the test has another name.
func TestNamedTests(t *testing.T) {
	t.Parallel()
	tests, err := exec.CommandContext(t.Context(), "git", "-C", "..", "grep", "-ohE", `^func Test\w+\(`, "--", "*_test.go").Output()
	if err != nil {
		t.Skipf("not a git checkout: %v", err)
	}
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil || len(documents) < 5 {
		t.Fatal("too few documents", documents, err)
	}
	for _, file := range documents {
		for _, name := range regexp.MustCompile("`(Test[A-Z]\\w*)`").FindAllStringSubmatch(read(t, strings.TrimPrefix(file, "../")), -1) {
			if !strings.Contains(string(tests), "func "+name[1]+"(") {
				t.Errorf("%s names the test %s, which does not exist", file, name[1])
			}
		}
	}
}

// hasSection reports whether a document has a heading with that anchor, as GitHub makes it.
func hasSection(text, anchor string) bool {
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', r >= 'a' && r <= 'z', r >= '0' && r <= '9':
				return r
			default:
				return -1
			}
		}, strings.ToLower(strings.TrimSpace(h[1])))
		if name == anchor {
			return true
		}
	}
	return false
}

// read gives the text of a file of the project.
func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
