package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/logfence/logfence/gen/explore"
)

// ExplorePath is the path of the log explorer, and part of the redirect URI registered at the provider.
const ExplorePath = "/explore"

// explorePolicy is the Content-Security-Policy of the log explorer. Log lines are untrusted text: the
// policy forbids every script but the page's own, and has the browser refuse to create elements from text.
func explorePolicy(connect []string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
		"connect-src " + strings.Join(append([]string{"'self'"}, connect...), " ") + "; " +
		"require-trusted-types-for 'script'; trusted-types 'none'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// Settings are what the page is told. All of it is public.
type Settings struct {
	OIDCLogin

	Links Links `json:"links,omitempty"`
}

// settingsPlaceholder is replaced by the server's settings in the built page.
const settingsPlaceholder = `<meta name="logfence" content="{}" />`

// Explore returns the handlers of the log explorer by path. connect returns the origins besides its own that the
// page may connect to, the provider's; nil: there are none.
func Explore(settings Settings, connect func(context.Context) []string) (map[string]http.Handler, error) {
	dist, err := fs.Sub(explore.Files, "dist")
	if err != nil {
		return nil, fmt.Errorf("read what is built in: %w", err)
	}
	all := map[string]http.Handler{}
	err = fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		mediaType, ok := mediaTypes[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s: unknown media type", name)
		}
		if name == "index.html" {
			all[ExplorePath], err = newExplorePage(content, settings, connect)
			return err
		}
		all[ExplorePath+"/"+name] = newExploreFile(name, mediaType, content)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what is built in: %w", err)
	}
	return all, nil
}

func newExploreFile(name, mediaType string, content []byte) *page {
	p := newPage(mediaType, content)
	p.policy = explorePolicy(nil)
	if strings.HasPrefix(name, "assets/") {
		// The name holds the content's hash: new content has a new name.
		p.cacheControl = "public, max-age=31536000, immutable"
	}
	return p
}

// explorePage is the explorer's HTML page. The address of the provider's token endpoint may change while logfence runs,
// and with it the policy; the content and its compressed form stay.
type explorePage struct {
	page

	connect func(context.Context) []string
}

func newExplorePage(content []byte, settings Settings, connect func(context.Context) []string) (http.Handler, error) {
	content, err := withSettings(content, settings)
	if err != nil {
		return nil, fmt.Errorf("index.html: %w", err)
	}
	return &explorePage{page: *newPage(html5, content), connect: connect}, nil
}

// ServeHTTP writes the page with the current policy.
func (l *explorePage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := l.page
	p.policy = explorePolicy(nil)
	if l.connect != nil {
		p.policy = explorePolicy(l.connect(r.Context()))
	}
	// A browser may have cached the page with another policy.
	policy := sha256.Sum256([]byte(p.policy))
	p.etag += "-" + base64.RawURLEncoding.EncodeToString(policy[:6])
	p.ServeHTTP(w, r)
}

var mediaTypes = map[string]string{
	".html": html5, ".js": javaScript, ".css": css, ".txt": plainText, ".svg": svg,
}

// withSettings puts the settings into the page, as the escaped text of an attribute.
func withSettings(content []byte, settings Settings) ([]byte, error) {
	if bytes.Count(content, []byte(settingsPlaceholder)) != 1 {
		return nil, errors.New("the page has no place for settings, or several")
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("write the settings: %w", err)
	}
	meta := `<meta name="logfence" content="` + html.EscapeString(string(text)) + `" />`
	return bytes.Replace(content, []byte(settingsPlaceholder), []byte(meta), 1), nil
}
