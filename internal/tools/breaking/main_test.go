package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const spec = `openapi: 3.0.3
info: {title: t, version: 1.0.0}
paths:
  /logs:
    get:
      operationId: get
      parameters:
        - {name: limit, in: query, required: false, schema: {type: integer}}
      responses: {'200': {description: ok}}
`

// TestBreaks guarantees that a break of the last release fails, unless the CHANGELOG names it under a
// new major version.
func TestBreaks(t *testing.T) {
	required := strings.Replace(spec, "required: false", "required: true", 1)
	const named = "# Changelog\n\n## [2.0.0]\n\n- GET /logs needs limit.\n\n## [1.0.0]\n"
	for _, tt := range []struct{ name, tag, spec, changelog, want string }{
		{"no release", "", required, "", ""},
		{"the same", "v1.0.0", spec, "", ""},
		{"an addition", "v1.0.0", strings.Replace(spec, "description: ok", "description: all right", 1), "", ""},
		{"a break", "v1.0.0", required, "# Changelog\n", `GET /logs: `},
		{"a break, named", "v1.0.0", required, named, ""},
		{"a break, named under an old version", "v2.1.0", required, named, `under "## [3.0.0]"`},
		{"a break before 1.0", "v0.3.1", required, named, `under "## [0.4.0]"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repo := t.TempDir()
			write := func(name, text string) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(repo, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			do := func(args ...string) {
				t.Helper()
				if _, err := git(t.Context(), repo, args...); err != nil {
					t.Fatal(err)
				}
			}
			write("openapi.yaml", spec)
			do("init", "-q")
			do("add", ".")
			do("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "one")
			if tt.tag != "" {
				do("tag", tt.tag)
			}
			write("openapi.yaml", tt.spec)
			write("CHANGELOG.md", tt.changelog)
			err := run(t.Context(), repo, os.Stderr)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q in it", err, tt.want)
			}
		})
	}
}
