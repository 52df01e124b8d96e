package web

import (
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func explorePages(t *testing.T, login OIDCLogin, origins ...string) map[string]http.Handler {
	t.Helper()
	all, err := Explore(Settings{OIDCLogin: login}, func(context.Context) []string { return origins })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func serve(t *testing.T, h http.Handler, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestExploreIsStrict guarantees of everything that belongs to the log explorer that it runs no script but its
// own files, makes no element of text, and sends requests only to its server and the provider.
func TestExploreIsStrict(t *testing.T) {
	t.Parallel()
	all := explorePages(t, OIDCLogin{}, "https://id.example.com", "https://tokens.example.com")
	if len(all) < 4 {
		t.Fatalf("only %d files", len(all))
	}
	for path, h := range all {
		w := serve(t, h)
		policy := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{
			"default-src 'none';", "script-src 'self';", "style-src 'self';", "require-trusted-types-for 'script';", "trusted-types 'none';",
			"base-uri 'none';", "form-action 'none';", "frame-ancestors 'none'", "connect-src 'self'",
		} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy lacks %s: %s", path, want, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "data:") || strings.Contains(policy, "*") {
			t.Errorf("%s: the policy is %s", path, policy)
		}
		if path == ExplorePath && !strings.Contains(policy, "connect-src 'self' https://id.example.com https://tokens.example.com;") {
			t.Errorf("the policy does not allow requests to the provider: %s", policy)
		}
		long := strings.Contains(w.Header().Get("Cache-Control"), "immutable")
		if hashed := strings.HasPrefix(path, ExplorePath+"/assets/"); long != hashed {
			t.Errorf("%s: Cache-Control is %s", path, w.Header().Get("Cache-Control"))
		}
	}
}

// TestExploreHoldsNoInlineCode guarantees that the policy has nothing to forbid in the page itself.
func TestExploreHoldsNoInlineCode(t *testing.T) {
	t.Parallel()
	page := serve(t, explorePages(t, OIDCLogin{})[ExplorePath]).Body.String()
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script[^>]*>[^<]|(src|href)="?(https?:)?//`)
	if found := inline.FindString(page); found != "" {
		t.Errorf("the page holds %q", found)
	}
}

// TestExploreIsTold guarantees that the page is told the settings just as they are, and that none of them
// can become anything but the text of an attribute.
func TestExploreIsTold(t *testing.T) {
	t.Parallel()
	for _, login := range []OIDCLogin{
		{},
		{Issuer: "https://id.example.com/", ClientID: "logs", Scopes: "openid profile", Parameters: []string{"audience=logfence"}},
		{Issuer: `https://id.example.com/"><script>alert(1)</script>`, ClientID: `a'b&quot;`, Scopes: "<!--"},
	} {
		page := serve(t, explorePages(t, login)[ExplorePath]).Body.String()
		meta := regexp.MustCompile(`<meta name="logfence" content="([^"<>]*)" />`).FindStringSubmatch(page)
		if meta == nil {
			t.Fatalf("no settings in %s", page)
		}
		var got OIDCLogin
		if err := json.Unmarshal([]byte(html.UnescapeString(meta[1])), &got); err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(login)
		if read, _ := json.Marshal(got); string(read) != string(want) {
			t.Errorf("the page reads %s, want %s", read, want)
		}
		if n := strings.Count(page, "<script"); n != 1 {
			t.Errorf("%d scripts in %s", n, page)
		}
	}
}

// TestExploreIsAskedForAgain guarantees that a browser which has the page gets it again when its policy is
// another, and only then.
func TestExploreIsAskedForAgain(t *testing.T) {
	t.Parallel()
	first := serve(t, explorePages(t, OIDCLogin{}, "https://one.example.com")[ExplorePath])
	tag := first.Header().Get("ETag")
	if again := serve(t, explorePages(t, OIDCLogin{}, "https://one.example.com")[ExplorePath], "If-None-Match", tag); again.Code != http.StatusNotModified {
		t.Errorf("the same page: %d", again.Code)
	}
	if changed := serve(t, explorePages(t, OIDCLogin{}, "https://two.example.com")[ExplorePath], "If-None-Match", tag); changed.Code != http.StatusOK {
		t.Errorf("another policy: %d", changed.Code)
	}
}

// TestExploreIsLight guarantees what the log explorer costs to load: script and style together, compressed, and
// what of it comes before anything is seen.
func TestExploreIsLight(t *testing.T) {
	t.Parallel()
	total, first := 0, 0
	for path, h := range explorePages(t, OIDCLogin{}) {
		if !strings.HasSuffix(path, ".js") && !strings.HasSuffix(path, ".css") {
			continue
		}
		size := serve(t, h, "Accept-Encoding", "gzip").Body.Len()
		total += size
		if strings.Contains(path, "/index-") {
			first += size
		}
	}
	t.Logf("%d bytes, %d of them at first", total, first)
	if total == 0 || total > 250_000 || first > 120_000 {
		t.Errorf("script and style are %d bytes, %d of them at first; 250,000 and 120,000 are allowed", total, first)
	}
}

// TestSignIsValidated guarantees that a sign-in which could not work is found at the start.
func TestSignIsValidated(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sign OIDCLogin
		want string
	}{
		"none":                {OIDCLogin{Issuer: "acme", Scopes: "openid"}, ""},
		"good":                {OIDCLogin{Issuer: "https://id.example.com", ClientID: "logs", Scopes: "openid", Parameters: []string{"audience=a=b"}}, ""},
		"issuer is no URL":    {OIDCLogin{Issuer: "acme", ClientID: "logs", Scopes: "openid"}, "ClientID: the issuer is not a URL"},
		"parameters alone":    {OIDCLogin{Parameters: []string{"a=b"}}, "Parameters: given without a client id"},
		"parameter of ours":   {OIDCLogin{Issuer: "https://a.example", ClientID: "logs", Scopes: "openid", Parameters: []string{"state=1"}}, "Parameters[0]: state is set by the page"},
		"parameter, no value": {OIDCLogin{Issuer: "https://a.example", ClientID: "logs", Scopes: "openid", Parameters: []string{"state"}}, "is not name=value"},
	} {
		err := tt.sign.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// TestLogPageIsCompressedOnce guarantees that every request for the page is served from what was compressed
// for the first.
func TestLogPageIsCompressedOnce(t *testing.T) {
	t.Parallel()
	h, ok := explorePages(t, OIDCLogin{}, "https://id.example.com")[ExplorePath].(*explorePage)
	if !ok {
		t.Fatal("the log explorer has another handler")
	}
	calls, compressed := 0, h.compressed
	h.compressed = func() []byte { calls++; return compressed() }
	for range 2 {
		if w := serve(t, h, "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() == 0 {
			t.Errorf("%v, %d bytes", w.Header(), w.Body.Len())
		}
	}
	first, second := compressed(), compressed()
	if calls != 2 || &first[0] != &second[0] {
		t.Errorf("%d of 2 requests were served from what is compressed once", calls)
	}
}
