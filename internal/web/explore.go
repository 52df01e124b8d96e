package web

import (
	"bytes"
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

// ExplorePath is where the log page is, and with it what a provider must know as its redirect URI.
const ExplorePath = "/explore"

// Sign is how people sign in to the log page: what it needs to ask the provider for a token itself. The zero
// value has them paste one. All of it is public: browsers of strangers are told.
type Sign struct {
	// Issuer is the provider, as tokens name it.
	Issuer string `json:"issuer,omitempty"`
	// ClientID is the public client (no secret) that the provider knows the page as.
	ClientID string `json:"client_id,omitempty"`
	// Scopes are asked for, with spaces between.
	Scopes string `json:"scopes,omitempty"`
}

// explorePolicy is the Content-Security-Policy of the log page. Log lines are strangers' text: besides
// forbidding every script but its own, it has the browser refuse to make elements of text at all.
func explorePolicy(connect []string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
		"connect-src " + strings.Join(append([]string{"'self'"}, connect...), " ") + "; " +
		"require-trusted-types-for 'script'; trusted-types 'none'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// settingsPlace is where the built page takes the server's settings.
const settingsPlace = `<meta name="logfence" content="{}" />`

// Explore is the log page and what belongs to it, by path. connect are the origins beside its own that it may
// ask: the provider's.
func Explore(sign Sign, connect ...string) (map[string]http.Handler, error) {
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
		p, at, err := explorePage(name, content, sign)
		if err != nil {
			return err
		}
		p.policy = explorePolicy(connect)
		all[at] = p
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what is built in: %w", err)
	}
	return all, nil
}

// explorePage is one file of the log page, and its path.
func explorePage(name string, content []byte, sign Sign) (p *page, at string, err error) {
	mediaType, ok := mediaTypes[path.Ext(name)]
	if !ok {
		return nil, "", fmt.Errorf("%s: no media type is known for it", name)
	}
	if name == "index.html" {
		if content, err = withSettings(content, sign); err != nil {
			return nil, "", fmt.Errorf("%s: %w", name, err)
		}
		return newPage(mediaType, content), ExplorePath, nil
	}
	p = newPage(mediaType, content)
	if strings.HasPrefix(name, "assets/") {
		// The name holds the content's hash: another content has another name.
		p.cache = "public, max-age=31536000, immutable"
	}
	return p, ExplorePath + "/" + name, nil
}

var mediaTypes = map[string]string{
	".html": html5, ".js": javaScript, ".css": css, ".txt": plainText, ".svg": svg,
}

// withSettings puts the settings into the page, as the escaped text of an attribute.
func withSettings(content []byte, sign Sign) ([]byte, error) {
	if bytes.Count(content, []byte(settingsPlace)) != 1 {
		return nil, errors.New("the page has no place for settings, or several")
	}
	settings, err := json.Marshal(sign)
	if err != nil {
		return nil, fmt.Errorf("write the settings: %w", err)
	}
	told := `<meta name="logfence" content="` + html.EscapeString(string(settings)) + `" />`
	return bytes.Replace(content, []byte(settingsPlace), []byte(told), 1), nil
}
