package httpapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/web"
)

// basePath is where callers find everything that the specification describes, such as `/logs`; empty: at the root.
type basePath struct {
	path string
	// stripped: a proxy removes the path from requests before it passes them on.
	stripped bool
}

// strip is the middleware that removes the base path from a request's path. Everything behind it sees the paths of the
// specification. What is not below the base path is not found; the path that is left is checked by [Server.exactPath] as any
// other, so that nothing is removed twice, and no escaped or doubled character counts as a part of the base path.
func (b basePath) strip(next echo.HandlerFunc) echo.HandlerFunc {
	if b.path == "" || b.stripped {
		return next
	}
	return func(c echo.Context) error {
		u := c.Request().URL
		rest, ok := b.cut(u.Path)
		if !ok {
			return echo.ErrNotFound
		}
		if u.RawPath != "" {
			if u.RawPath, ok = b.cut(u.RawPath); !ok {
				return echo.ErrNotFound
			}
		}
		u.Path = rest
		return next(c)
	}
}

// cut is a path without the base path in front of it. The base path itself is the root.
func (b basePath) cut(path string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, b.path)
	if rest == "" {
		return "/", ok
	}
	return rest, ok && rest[0] == '/'
}

// location is the address at which callers find a path of the specification.
func (b basePath) location(path, query string) string {
	return (&url.URL{Path: b.path + path, RawQuery: query}).String()
}

// pageRedirects are the paths from which browsers are redirected to a page: the root, and the addresses of pages with a slash at
// their end, since what a page loads is relative to its address.
func pageRedirects(explore bool) map[string]string {
	redirects := map[string]string{"/": web.DocsPath, web.DocsPath + "/": web.DocsPath}
	if explore {
		redirects["/"], redirects[web.ExplorePath+"/"] = web.ExplorePath, web.ExplorePath
	}
	return redirects
}

// redirectOf is the status and the address of the redirect of a path, or 0.
func (s *Server) redirectOf(r *http.Request) (status int, location string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.URL.RawPath != "" {
		return 0, ""
	}
	if to := s.pageRedirects[r.URL.Path]; to != "" {
		// Not for ever: the log explorer may be turned off, and the base path change.
		return http.StatusTemporaryRedirect, s.base.location(to, r.URL.RawQuery)
	}
	if to := s.redirects.withoutDoubleSlashes(r.URL.Path); to != "" {
		return http.StatusMovedPermanently, s.base.location(to, r.URL.RawQuery)
	}
	return 0, ""
}

// problemOf is [problemOf] with a type that leads to where callers find it.
func (s *Server) problemOf(err error, queries ...string) *problem {
	p := *problemOf(err, queries...)
	p.Type = s.base.path + problemsPath + "#" + p.Code
	return &p
}
