package lokitest_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/lokitest"
)

// TestDefaultsAreLokis guarantees that the defaults of the fake are those of the Loki that it imitates, by the source
// that the build uses: a fake with a wider range would let a handler pass that forgets the range.
func TestDefaultsAreLokis(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/grafana/loki/v3").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "pkg", "loghttp", "params.go"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"defaultSince":      fmt.Sprintf("%d * time.Hour", lokitest.DefaultSince/time.Hour),
		"defaultQueryLimit": strconv.Itoa(lokitest.DefaultLimit),
		"defaultLimit":      strconv.Itoa(lokitest.DefaultFields),
	} {
		if found := regexp.MustCompile(`\b` + name + `\s+= (.*)`).FindSubmatch(source); found == nil || string(found[1]) != want {
			t.Errorf("%s is %q in Loki's source, want %s", name, found, want)
		}
	}
}

// TestDefaultRange guarantees that every operation that reads a time range has the same default.
func TestDefaultRange(t *testing.T) {
	l := lokitest.New(t, stream("alpha", "new", at(-3599, "new"), at(-60, "new")), stream("alpha", "old", at(-3601, "old")))
	l.Now = func() time.Time { return noon }
	for _, tt := range []struct {
		path  string
		pairs []string
	}{
		{"query_range", []string{"query", `{tenant_id="alpha"}`}},
		{"label/app/values", nil},
		{"series", nil},
		{"index/volume", []string{"query", `{tenant_id="alpha"}`, "targetLabels", "app"}},
		{"index/volume_range", []string{"query", `{tenant_id="alpha"}`, "targetLabels", "app"}},
		{"patterns", []string{"query", `{tenant_id="alpha"}`}},
	} {
		status, body := get(t, l, tt.path, tt.pairs...)
		if status != http.StatusOK || !strings.Contains(body, "new") || strings.Contains(body, "old") {
			t.Errorf("%s: %d %s", tt.path, status, body)
		}
	}
	for path, want := range map[string]string{"detected_labels": `"label":"app","cardinality":1`, "index/stats": `"streams":1`} {
		if status, body := get(t, l, path, "query", `{tenant_id="alpha"}`); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %s in it", path, status, body, want)
		}
	}
}
