package web

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	all, err := Pages("")
	if err != nil {
		t.Fatal(err)
	}
	h, ok := all[path]
	if !ok {
		t.Fatalf("no page %s", path)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestPagesAreSafeToShow guarantees of every page the headers that keep a browser from anything but it.
func TestPagesAreSafeToShow(t *testing.T) {
	t.Parallel()
	all, err := Pages("")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(files) {
		t.Fatalf("%d pages of %d files", len(all), len(files))
	}
	for path := range all {
		w := get(t, path)
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: %d, %d bytes", path, w.Code, w.Body.Len())
		}
		h := w.Result().Header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache",
			"Cross-Origin-Opener-Policy": "same-origin", "Vary": "Accept-Encoding", "Content-Security-Policy": policy,
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if h.Get("Content-Type") == "" || h.Get("ETag") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

// TestPolicyIsStrict guarantees that no script runs but files of logfence's own.
func TestPolicyIsStrict(t *testing.T) {
	t.Parallel()
	for _, loose := range []string{"unsafe", "http:", "https:", "*", "script-src 'self' "} {
		if strings.Contains(policy, loose) {
			t.Errorf("the policy holds %s", loose)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; ") {
		t.Errorf("the policy is %s", policy)
	}
}

// TestPagesHoldNoInlineCode guarantees that the policy has nothing to forbid in the pages themselves, and
// that they name no other host.
func TestPagesHoldNoInlineCode(t *testing.T) {
	t.Parallel()
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script[^>]*>[^<]|(src|href)="?(https?:)?//`)
	for _, path := range []string{"/docs", "/docs/problems"} {
		if found := inline.FindString(get(t, path).Body.String()); found != "" {
			t.Errorf("%s holds %q", path, found)
		}
	}
}

// TestRendererContactsNoOtherHost guarantees that the renderer names no host that it would load from. What
// is left are links for readers, and names of XML.
func TestRendererContactsNoOtherHost(t *testing.T) {
	t.Parallel()
	renderer := get(t, "/docs/redoc.js").Body.String()
	if found := regexp.MustCompile(`https?://[^"'\x60 ]*\bcdn\.redoc\.ly[^"'\x60 ]*`).FindString(renderer); found != "" {
		t.Errorf("the renderer would load %s", found)
	}
	if !strings.Contains(get(t, "/docs/docs.js").Body.String(), "disableTelemetry: true") {
		t.Error("the renderer would report to its makers")
	}
}

// TestPagesAreCompressed guarantees that gzip is sent to just those who take it, and is the same.
func TestPagesAreCompressed(t *testing.T) {
	t.Parallel()
	want := get(t, "/docs/redoc.js")
	for _, tt := range []struct {
		accept string
		gzip   bool
	}{
		{"gzip", true},
		{"gzip, deflate, br", true},
		{"br;q=1.0, GZIP;q=0.5", true},
		{"gzip; q=1", true},
		{"", false},
		{"identity", false},
		{"br", false},
		{"gzip;q=0", false},
		{"gzip;q=0.000", false},
		{"*", true},
		{"*;q=0", false},
		{"gzip;q=0, *", false},
		{"*, gzip;q=0", false},
		{"identity;q=0, *;q=0.1", true},
		{"gzip;q=x", false},
		{"x-gzip-not", false},
	} {
		w := get(t, "/docs/redoc.js", "Accept-Encoding", tt.accept)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != tt.gzip {
			t.Errorf("%q: gzip is %v", tt.accept, got)
		}
		body := w.Body.String()
		if tt.gzip {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			if w.Body.Len() > 800<<10 {
				t.Errorf("%d bytes, compressed", w.Body.Len())
			}
			plain, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			body = string(plain)
		}
		if body != want.Body.String() {
			t.Errorf("%q: another text", tt.accept)
		}
	}
}

// TestPagesAreAskedAboutOnly guarantees that a browser which has a page is not sent it again, and that
// what it has by one encoding does not stand for another.
func TestPagesAreAskedAboutOnly(t *testing.T) {
	t.Parallel()
	plain, zipped := get(t, "/docs").Header().Get("ETag"), get(t, "/docs", "Accept-Encoding", "gzip").Header().Get("ETag")
	if plain == zipped {
		t.Errorf("one tag, %s, for two encodings", plain)
	}
	if w := get(t, "/docs", "If-None-Match", plain); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
	if w := get(t, "/docs", "If-None-Match", zipped); w.Code != http.StatusOK {
		t.Errorf("%d", w.Code)
	}
}

// TestSpecIsTheFile guarantees that the spec is served as it is written, comments included, and that the
// JSON says the same in the same order.
func TestSpecIsTheFile(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if get(t, "/openapi.yaml").Body.String() != string(file) {
		t.Error("gen/reference/openapi.yaml is stale: run `make generate`")
	}
	served := get(t, "/openapi.json").Body.Bytes()
	var fromJSON, fromYAML any
	if err := json.Unmarshal(served, &fromJSON); err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSON(get(t, "/openapi.yaml").Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(asJSON, &fromYAML); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fromJSON, fromYAML) {
		t.Error("the JSON differs from the YAML")
	}
	for _, path := range [][2]string{{`"/api/v1/logs/query"`, `"/api/v1/logs/labels"`}, {`"openapi"`, `"info"`}, {`"paths"`, `"components"`}} {
		if strings.Index(string(served), path[0]) > strings.Index(string(served), path[1]) {
			t.Errorf("%s stands behind %s", path[0], path[1])
		}
	}
}

// TestPagesBelow guarantees that below a path the specification names its server and its pages there, in both forms, and that no
// page leads to the root: what is not of the API is relative.
func TestPagesBelow(t *testing.T) {
	t.Parallel()
	const base = "/portal/logs"
	all, err := Pages(base)
	if err != nil {
		t.Fatal(err)
	}
	root := regexp.MustCompile(`(?:["'(= ])/(?:docs|explore|openapi)\b[^)"' ]{0,20}`)
	var specs []any
	for path, h := range all {
		text := serve(t, h).Body.String()
		switch path {
		case "/docs/redoc.js", "/docs/redoc.LICENSE.txt":
			if text != get(t, path).Body.String() {
				t.Errorf("%s is changed", path)
			}
			continue
		case "/openapi.yaml":
			converted, err := yaml.YAMLToJSON([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			specs = append(specs, parsed(t, converted))
		case "/openapi.json":
			specs = append(specs, parsed(t, []byte(text)))
		}
		if found := root.FindString(text); found != "" {
			t.Errorf("%s leads to %s", path, found)
		}
	}
	if len(specs) != 2 || !reflect.DeepEqual(specs[0], specs[1]) {
		t.Error("the JSON differs from the YAML")
	}
	servers, err := json.Marshal(specs[0].(map[string]any)["servers"])
	if err != nil || !strings.Contains(string(servers), `"url":"/portal/logs"`) {
		t.Errorf("servers are %s", servers)
	}
}

func parsed(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// BenchmarkPages measures what the embedded pages add to the start.
func BenchmarkPages(b *testing.B) {
	for b.Loop() {
		if _, err := readPages(""); err != nil {
			b.Fatal(err)
		}
	}
}
