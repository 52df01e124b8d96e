package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

const testBase = "/portal/logs"

// below is a gateway whose callers find everything below a path.
func below(t *testing.T, change func(*Config)) *gateway {
	t.Helper()
	return newGateway(t, func(c *Config, _ *loki.Config) {
		c.BasePath, c.Explore = testBase, &Explore{}
		if change != nil {
			change(c)
		}
	})
}

// TestBasePath guarantees that everything is served below the base path, and nothing beside it, however the path is written.
func TestBasePath(t *testing.T) {
	t.Parallel()
	g := below(t, nil)
	for path, want := range map[string]string{
		"/api/v1/logs/query?query=" + url.QueryEscape(`{app="api"}`):       "alpha one",
		"/loki/api/v1/query_range?query=" + url.QueryEscape(`{app="api"}`): "alpha one",
		"/prometheus/api/v1/rules":                                         `"groups"`,
		"/api/v1/logs/labels/app%3Ax/values":                               "success",
		"/ready":                                                           "ready", "/docs": "redoc", "/docs/problems": "query_invalid", "/docs/docs.js": "redoc", "/explore": `id="app"`, "/openapi.yaml": "openapi:",
	} {
		if a := g.get(alphaToken, testBase+path); a.StatusCode != http.StatusOK || !strings.Contains(a.text, want) || strings.Contains(a.text, "beta one") {
			t.Errorf("%s: %d %.200s", testBase+path, a.StatusCode, a.text)
		}
		for _, other := range []string{
			path, "/portal" + path, "/logs" + path, testBase + testBase + path, testBase + "x" + path, "/portal//logs" + path, "/PORTAL/logs" + path,
			"/portal%2Flogs" + path, "/p%6Frtal/logs" + path, "/./portal/logs" + path, testBase + "/." + path, testBase + "/.." + testBase + path, "/x/.." + testBase + path,
		} {
			if a := g.get(alphaToken, other); a.StatusCode != http.StatusNotFound || strings.Contains(a.text, "alpha") {
				t.Errorf("%s: %d %.200s", other, a.StatusCode, a.text)
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		w := newRecorder()
		g.server.Admin().ServeHTTP(w, newProbe(t, path))
		if path != "/metrics" && w.Code == http.StatusNotFound {
			t.Errorf("the admin listener has no %s", path)
		}
		if a := g.get(alphaToken, testBase+path); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", testBase+path, a.StatusCode)
		}
	}
}

// TestBasePathStripped guarantees that behind a proxy which removes the base path requests are as at the root, and
// responses lead below it.
func TestBasePathStripped(t *testing.T) {
	t.Parallel()
	g := below(t, func(c *Config) { c.BasePathStripped = true })
	if a := g.get(alphaToken, "/loki/api/v1/labels"); a.StatusCode != http.StatusOK {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := g.get(alphaToken, testBase+"/loki/api/v1/labels"); a.StatusCode != http.StatusNotFound {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	checkProblemType(t, g.get("", "/api/v1/me"), testBase+"/docs/problems#unauthorized")
	if a := g.get("", "/explore/"); a.Header.Get("Location") != testBase+"/explore" {
		t.Errorf("%d to %s", a.StatusCode, a.Header.Get("Location"))
	}
	if a := g.get("", "/openapi.yaml"); !strings.Contains(a.text, "\nservers:\n  - url: "+testBase+"\n") {
		t.Error("the specification names another server")
	}
}

func checkProblemType(t *testing.T, a apiResponse, want string) {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(a.text), &p); err != nil || p.Type != want {
		t.Errorf("%d: type %q, want %q (%v)", a.StatusCode, p.Type, want, err)
	}
}

// TestProblemTypesLeadBelow guarantees for every place that writes a problem that its type leads below the base path: a
// response, the last line of an export, and the last event of a stream.
func TestProblemTypesLeadBelow(t *testing.T) {
	t.Parallel()
	g := below(t, func(c *Config) {
		c.Limits = newLimiter(t, func(l *limits.Config) { l.MaxLines, l.MaxExportLines = 10, 200 })
	})
	checkProblemType(t, g.get("", testBase+"/api/v1/me"), testBase+"/docs/problems#unauthorized")
	checkProblemType(t, g.get("", "/api/v1/me"), testBase+"/docs/problems#not_found")

	addExported(g.loki, 100)
	whole := &lokitest.Loki{Now: func() time.Time { return now }}
	addExported(whole, 100)
	var requests atomic.Int64
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 3 {
			http.Error(w, "crash", http.StatusInternalServerError)
			return
		}
		whole.ServeHTTP(w, r)
	}))
	_, failed := jsonLines(t, g.get(alphaToken, testBase+exportPath, "query", `{app="export"}`).text)
	if failed == nil || failed.Type != testBase+"/docs/problems#loki_failed" {
		t.Errorf("the export ends with %+v", failed)
	}

	g.loki.Instead(lokitest.Fail(http.StatusTooManyRequests, "too many outstanding requests"))
	r := g.request(http.MethodGet, testBase+"/api/v1/logs/lines", "query", `{app="api"}`, "since", "24h")
	r.Header.Set("Accept", mediaNDJSON)
	if a := g.send(alphaToken, r); !strings.Contains(a.text, `"type":"`+testBase+`/docs/problems#rate_limited"`) {
		t.Errorf("the stream is %d %.400s", a.StatusCode, a.text)
	}
}

// TestPageRedirects guarantees that the root and the pages' addresses with a slash lead to the pages, with the query that was
// sent, and only for requests that read.
func TestPageRedirects(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", testBase} {
		for _, explore := range []*Explore{nil, {}} {
			g := below(t, func(c *Config) { c.BasePath, c.Explore = base, explore })
			root := base + "/explore"
			if explore == nil {
				root = base + "/docs"
			}
			redirects := map[string]string{base + "/": root, base + "/docs/": base + "/docs", base + "/?q=%7Ba%3D%22b%22%7D": root + "?q=%7Ba%3D%22b%22%7D"}
			if base != "" {
				redirects[base] = root
			}
			if explore != nil {
				redirects[base+"/explore/?code=a&state=b"] = base + "/explore?code=a&state=b"
			}
			for path, want := range redirects {
				if a := g.get("", path); a.StatusCode != http.StatusTemporaryRedirect || a.Header.Get("Location") != want {
					t.Errorf("%s: %d to %q, want %q", path, a.StatusCode, a.Header.Get("Location"), want)
				}
				if a := g.send("", g.request(http.MethodPost, path)); a.StatusCode == http.StatusTemporaryRedirect {
					t.Errorf("POST %s: %d", path, a.StatusCode)
				}
			}
			if a := g.get("", base+"/explore/"); explore == nil && a.StatusCode != http.StatusNotFound {
				t.Errorf("/explore/ without an explorer: %d", a.StatusCode)
			}
			if a := g.get("", base+"//loki/api/v1/labels?x=1"); a.StatusCode != http.StatusMovedPermanently || a.Header.Get("Location") != base+"/loki/api/v1/labels?x=1" {
				t.Errorf("doubled slashes: %d to %q", a.StatusCode, a.Header.Get("Location"))
			}
		}
	}
}
