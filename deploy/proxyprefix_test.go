package deploy

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// prefixed is how a proxy serves logfence below /logs: what is another text in its documented configuration, as docs/proxies.md
// has it, and whether it removes the path from the requests that it passes on.
type prefixed struct {
	name    string
	proxy   proxyProgram
	strips  bool
	changes []string // texts and what they become, in turn
}

var prefixes = []prefixed{
	{"nginx passes the path on", nginx, false, []string{"location / {", "location /logs/ {"}},
	{"nginx removes the path", nginx, true, []string{"location / {", "location /logs/ {", "proxy_pass http://logfence;", "proxy_pass http://logfence/;"}},
	{"haproxy passes the path on", haproxy, false, []string{"default_backend logfence", "use_backend logfence if { path /logs } or { path_beg /logs/ }"}},
	{"haproxy removes the path", haproxy, true, []string{
		"default_backend logfence", "use_backend logfence if { path /logs } or { path_beg /logs/ }",
		"balance leastconn", `http-request replace-path ^/logs/?(.*) /\1` + "\n    balance leastconn",
	}},
}

// start starts logfence behind the proxy, below a path.
func (p prefixed) start(t *testing.T) *proxied {
	t.Helper()
	settings := []string{"LOGFENCE_BASE_PATH=/logs"}
	if p.strips {
		settings = append(settings, "LOGFENCE_BASE_PATH_STRIPPED=true")
	}
	x := behind(t, p.proxy.changed(p.changes...), nil, settings...)
	x.url += "/logs"
	return x
}

// changed is the proxy with texts of its documented configuration replaced.
func (p proxyProgram) changed(pairs ...string) proxyProgram {
	p.configure = func(t *testing.T, dir, listen string, u []replica) []string {
		if p.binary == "nginx" {
			return nginxArgs(t, dir, listen, nginxServer(t, u, pairs...))
		}
		return haproxyArgs(t, dir, listen, u, pairs...)
	}
	return p
}

// TestBelowAPath guarantees that behind each proxy, whether it passes a path on or removes it, everything works below the
// path: queries, exports, live tails, the pages with what they load, and the addresses in responses.
func TestBelowAPath(t *testing.T) {
	t.Parallel()
	for _, p := range prefixes {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			x := p.start(t)
			x.each(t, "query", x.testQuery)
			x.each(t, "server-sent events", x.testEvents)
			x.each(t, "export", func(t *testing.T, protocol string) { x.testExport(t, protocol, p.proxy.trailers) })
			t.Run("WebSocket", x.testWebSocket)
			x.each(t, "pages", x.testPages)
			x.each(t, "addresses", x.testAddresses)
		})
	}
}

// TestPrefixesAreDocumented guarantees that docs/proxies.md has the lines that the test above runs.
func TestPrefixesAreDocumented(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../docs/proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range prefixes {
		for i := 1; i < len(p.changes); i += 2 {
			line, _, _ := strings.Cut(p.changes[i], "\n")
			if !strings.Contains(string(docs), line) {
				t.Errorf("%s: docs/proxies.md lacks %q", p.name, line)
			}
		}
	}
}

// page follows redirects, and returns where they end with what is there.
func (x *proxied) page(t *testing.T, protocol, address string) (at *url.URL, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := x.clients[protocol].Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%s: %d, %v, %.200s", address, response.StatusCode, err, content)
	}
	at = response.Request.URL
	at.Host = at.Hostname() // nginx redirects /logs to /logs/ with the port that it listens on, here not 443
	return at, string(content)
}

var loaded = regexp.MustCompile(`(?:src|href)="([^"#]+)"`)

// testPages loads each page and what it refers to, as a browser resolves it.
func (x *proxied) testPages(t *testing.T, protocol string) {
	for address, want := range map[string]string{
		x.url: x.url + "/explore", x.url + "/": x.url + "/explore", x.url + "/explore": x.url + "/explore", x.url + "/explore/": x.url + "/explore",
		x.url + "/docs": x.url + "/docs", x.url + "/docs/problems": x.url + "/docs/problems",
	} {
		at, text := x.page(t, protocol, address)
		if at.String() != want {
			t.Errorf("%s leads to %s, want %s", address, at, want)
		}
		references := loaded.FindAllStringSubmatch(text, -1)
		if len(references) < 2 {
			t.Errorf("%s loads nothing: %s", address, text)
		}
		for _, m := range references {
			reference, err := at.Parse(m[1])
			if err != nil || !strings.HasPrefix(reference.String(), x.url+"/") {
				t.Errorf("%s refers to %s (%v)", address, reference, err)
				continue
			}
			x.page(t, protocol, reference.String())
		}
	}
}

// testAddresses follows the addresses in responses: the type of a problem, and the server of the specification.
func (x *proxied) testAddresses(t *testing.T, protocol string) {
	response, err := x.get(t, protocol, "/api/v1/nosuch", nil)
	if err != nil {
		t.Fatal(err)
	}
	var problem struct{ Type string }
	if err := json.NewDecoder(response.Body).Decode(&problem); err != nil || problem.Type != "/logs/docs/problems#not_found" {
		t.Errorf("%d, %v: the type is %q", response.StatusCode, err, problem.Type)
	}
	if _, text := x.page(t, protocol, "https://logs.example.com"+problem.Type); !strings.Contains(text, `id="not_found"`) {
		t.Error("the type leads to another page")
	}
	_, text := x.page(t, protocol, x.url+"/openapi.json")
	var spec struct{ Servers []struct{ URL string } }
	if err := json.Unmarshal([]byte(text), &spec); err != nil || len(spec.Servers) != 1 || spec.Servers[0].URL != "/logs" {
		t.Errorf("servers are %v, %v", spec.Servers, err)
	}
}
