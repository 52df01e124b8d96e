// Package web serves logfence's pages from the binary: the log explorer, the API reference, the page that
// explains the error codes, and the spec itself.
//
// Guarantee: everything served is part of the binary and is complete without any other host; the
// Content-Security-Policy sent with it makes browsers enforce that, and run no script but its own files. None
// of it depends on the caller, so none of it needs a token.
//
// Not promised here: that the spec is kept (package httpapi), or that gen/reference is fresh (`make check`).
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/logfence/logfence/gen/reference"
)

//go:embed static
var static embed.FS

// policy is the Content-Security-Policy of everything served here. The hash is that of the empty text:
// Redoc inserts an empty style element, and fills it by script (CSSOM), which needs no permission. Redoc's
// search runs in a worker that it makes of a blob.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; " +
	"img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// file is one file to serve: where it is, and what it is.
type file struct {
	path      string
	from      fs.FS
	name      string
	mediaType string
}

const (
	html5      = "text/html; charset=utf-8"
	javaScript = "text/javascript; charset=utf-8"
	css        = "text/css; charset=utf-8"
	plainText  = "text/plain; charset=utf-8"
	svg        = "image/svg+xml"
	// RFC 9512
	yamlType = "application/yaml"
	jsonType = "application/json"
)

var files = []file{
	{DocsPath, static, "static/docs.html", html5},
	{"/docs/problems", static, "static/problems.html", html5},
	{"/docs/docs.css", static, "static/docs.css", css},
	{"/docs/docs.js", static, "static/docs.js", javaScript},
	{"/docs/icon.svg", static, "static/icon.svg", svg},
	{"/docs/redoc.js", reference.Files, "redoc.js", javaScript},
	{"/docs/redoc.LICENSE.txt", reference.Files, "redoc.LICENSE.txt", plainText},
	{"/docs/settings.js", reference.Files, "settings.js", javaScript},
	{"/openapi.yaml", reference.Files, "openapi.yaml", yamlType},
	{"/openapi.json", reference.Files, "openapi.json", jsonType},
}

// DocsPath is the path of the API reference.
const DocsPath = "/docs"

// Pages returns the handlers of all pages but the explorer, by path. They serve GET, and set every header that
// matters to a browser. base is the path below which callers find the API, empty for the root: the specification names it as
// its server, and what it says of other pages leads below it. The pages' own links are relative.
func Pages(base string) (map[string]http.Handler, error) {
	if base == "" {
		return pages()
	}
	return readPages(base)
}

// pages is read once: nothing in the binary changes.
var pages = sync.OnceValues(func() (map[string]http.Handler, error) { return readPages("") })

func readPages(base string) (map[string]http.Handler, error) {
	all := make(map[string]http.Handler, len(files))
	for _, f := range files {
		content, err := fs.ReadFile(f.from, f.name)
		if err != nil {
			return nil, fmt.Errorf("read what is built in: %w", err)
		}
		if base != "" {
			content = below(base, content)
		}
		all[f.path] = newPage(f.mediaType, content)
	}
	return all, nil
}

// below has a page name addresses below a path: the server of the specification, as YAML and as JSON, and the page of the
// error codes, to which the types of problems lead. TestPagesBelow holds that there are no others.
func below(base string, content []byte) []byte {
	return []byte(strings.NewReplacer(
		"\nservers:\n  - url: /\n", "\nservers:\n  - url: "+base+"\n",
		`"servers":[{"url":"/",`, `"servers":[{"url":"`+base+`",`,
		DocsPath+"/problems", base+DocsPath+"/problems",
	).Replace(string(content)))
}

// page is a file as it is served.
type page struct {
	mediaType    string
	content      []byte
	etag         string
	policy       string
	cacheControl string
	// compressed is made once, for the first request that accepts it: most processes never have one.
	compressed func() []byte
}

func newPage(mediaType string, content []byte) *page {
	sum := sha256.Sum256(content)
	return &page{
		mediaType: mediaType, content: content, etag: base64.RawURLEncoding.EncodeToString(sum[:12]),
		policy: policy,
		// Cached, and revalidated each time: an update of logfence shows at once.
		cacheControl: "no-cache",
		compressed:   sync.OnceValue(func() []byte { return compress(content) }),
	}
}

// ServeHTTP writes the page, or 304 if the browser has it already.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", p.mediaType)
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", p.cacheControl)
	h.Add("Vary", "Accept-Encoding")
	content, tag := p.content, p.etag
	if AcceptsGzip(r.Header) {
		content, tag = p.compressed(), tag+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}
