package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/logfence/logfence/internal/demo"
)

// tenantHeader narrows a caller of several tenants.
const tenantHeader = "X-Logfence-Tenant"

// both is somebody in alpha and beta.
var both = demo.Claims{Subject: "ben", Tenant: []string{demo.Alpha, demo.Beta}}

// own starts a logfence for one test, before the Loki with everybody's logs, with an issuer of its own
// unless one is given.
func own(t *testing.T, issuer *demo.Issuer, settings ...string) *gateway {
	t.Helper()
	g, err := startGateway(t.Context(), on.binary, issuer, on.mixed.URL(), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Error(err)
		}
		if bytes.Contains(g.said(), []byte("eyJ")) {
			t.Error("a token is in the log")
		}
	})
	return g
}

func narrowed(tenant string) http.Header { return http.Header{tenantHeader: {tenant}} }

// list is the data of a response that lists names.
func list(t *testing.T, a response) []string {
	t.Helper()
	var body struct{ Data []string }
	if err := json.Unmarshal(a.body, &body); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	slices.Sort(body.Data)
	return body.Data
}

// TestSeveralTenantsSeeTheirUnion guarantees that a caller of two tenants sees those two, and one of
// them when the header says so, in what Loki's ingester has and in what only its store has; and never a
// look-alike.
func TestSeveralTenantsSeeTheirUnion(t *testing.T) {
	t.Parallel()
	if on.configuration.OrgID == "{tenant}" {
		t.Skipf("in the configuration %s, Loki serves no query of several organizations", on.configuration.Name)
	}
	ben := tokenOf(t, both)
	for _, w := range on.windows() {
		for _, prefix := range []string{"/api/v1/logs/labels/tenant_id/values", "/loki/api/v1/label/tenant_id/values"} {
			for _, tt := range []struct {
				header http.Header
				want   string
			}{
				{nil, "[alpha beta]"}, {narrowed("alpha"), "[alpha]"}, {narrowed("beta"), "[beta]"},
			} {
				a := on.gateway.send(t, request{path: prefix, params: w.between(), token: ben, header: tt.header})
				if got := fmt.Sprint(list(t, a)); got != tt.want {
					t.Errorf("%s, %s, narrowed by %v: %s, want %s", w.name, prefix, tt.header, got, tt.want)
				}
			}
		}
		// Lines: each stream is of the two, and both are there.
		a := on.gateway.send(t, request{
			path: "/api/v1/logs/query/instant", token: ben,
			params: url.Values{"query": {`sum by (tenant_id) (count_over_time({app=~".+"}[` + w.span + `]))`}, "time": {nanoseconds(w.end)}},
		})
		for _, name := range lookAlikes {
			if bytes.Contains(a.body, []byte(fmt.Sprintf(`"tenant_id":%q`, name))) {
				t.Errorf("%s: a look-alike is counted: %s", w.name, a.body)
			}
		}
		if n := bytes.Count(a.body, []byte(`"tenant_id"`)); n != 2 {
			t.Errorf("%s: %d tenants are counted, want 2: %.500s", w.name, n, a.body)
		}
	}
}

// TestNarrowingToOthers guarantees that a tenant that is not the caller's is refused, the same whether
// it exists or not.
func TestNarrowingToOthers(t *testing.T) {
	t.Parallel()
	ana := tokenOf(t, demo.Claims{Tenant: demo.Alpha})
	var first string
	for _, tenant := range []string{"beta", "nobody", "alpha-2", "alpha|beta", "ALPHA", ".*"} {
		a := on.gateway.send(t, request{path: "/api/v1/logs/labels", token: ana, header: narrowed(tenant)})
		text := strings.ReplaceAll(string(a.body), a.header.Get("X-Request-Id"), "")
		if a.status != http.StatusForbidden || !strings.Contains(text, `"code":"tenant_not_yours"`) {
			t.Errorf("%s: %d %s", tenant, a.status, a.body)
		}
		if first == "" {
			first = text
		} else if text != first {
			t.Errorf("%s is told apart: %s and %s", tenant, text, first)
		}
	}
	if a := on.gateway.send(t, request{path: "/loki/api/v1/labels", token: ana, header: http.Header{tenantHeader: {"alpha", "beta"}}}); a.status != http.StatusBadRequest {
		t.Errorf("the header twice: %d %s", a.status, a.body)
	}
}

// TestMe guarantees that a caller can request what its token grants.
func TestMe(t *testing.T) {
	t.Parallel()
	claims := both
	claims.Extra = map[string]any{"scope": "openid logs"}
	a := on.gateway.send(t, request{path: "/api/v1/me", token: tokenOf(t, claims)})
	var me struct {
		Subject, Issuer string
		Tenants, Scopes []string
		Selector        *string
		ExpiresAt       time.Time `json:"expires_at"`
		Limits          map[string]int
	}
	if err := json.Unmarshal(a.body, &me); err != nil {
		t.Fatal(err)
	}
	if me.Subject != "ben" || me.Issuer != on.issuer.URL() || fmt.Sprint(me.Tenants, me.Scopes) != "[alpha beta] [openid logs]" || me.Selector != nil ||
		time.Until(me.ExpiresAt) < 50*time.Minute || me.Limits["max_range_seconds"] < 3600 || me.Limits["max_lines"] != 5000 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestSelectorClaim guarantees that a token's selector narrows what its tenant sees, on the native and
// on Loki's own paths, and that nothing in it widens that.
func TestSelectorClaim(t *testing.T) {
	t.Parallel()
	g := own(t, on.issuer, "LOGFENCE_SELECTOR_CLAIM=app_metadata.logs")
	values := func(selector any, label string) response {
		claims := demo.Claims{Tenant: demo.Alpha, Extra: map[string]any{"app_metadata": map[string]any{"logs": selector}}}
		return g.send(t, request{path: "/api/v1/logs/labels/" + label + "/values", params: on.across.between(), token: tokenOf(t, claims)})
	}
	if got := fmt.Sprint(list(t, values(`{app="checkout", env!="staging"}`, "app"))); got != "[checkout]" {
		t.Errorf("narrowed to checkout: %s", got)
	}
	if got := list(t, values(`{app="checkout", env!="staging"}`, "env")); slices.Contains(got, "staging") || len(got) == 0 {
		t.Errorf("narrowed to other than staging: %s", got)
	}
	for _, wider := range []string{`{tenant_id=~".+"}`, `{tenant_id=~"alpha|beta"}`, `{tenant_id!=""}`} {
		if got := fmt.Sprint(list(t, values(wider, tenantLabel))); got != "[alpha]" {
			t.Errorf("with %s: %s", wider, got)
		}
	}
	if got := list(t, values(`{tenant_id="beta"}`, tenantLabel)); len(got) > 0 {
		t.Errorf("with another tenant's selector: %s", got)
	}
	for _, bad := range []any{`{app="checkout"} |= "x"`, `{app="checkout"`, `app`, ``, `{app="checkout"} or {tenant_id="beta"}`, []string{`{app="a"}`}, 7, nil} {
		a := values(bad, "app")
		if a.status != http.StatusForbidden || !bytes.Contains(a.body, []byte(`"no_tenant"`)) {
			t.Errorf("with %v: %d %s", bad, a.status, a.body)
		}
	}
	if !bytes.Contains(g.said(), []byte("selector")) {
		t.Error("the log does not tell that a selector was refused")
	}
}

// TestRequiredScope guarantees that the scope is required in each form that providers send it in.
func TestRequiredScope(t *testing.T) {
	t.Parallel()
	g := own(t, on.issuer, "LOGFENCE_REQUIRED_SCOPE=logs:read")
	for _, tt := range []struct {
		name  string
		extra map[string]any
		want  int
	}{
		{"a string", map[string]any{"scope": "openid logs:read"}, http.StatusOK},
		{"an array", map[string]any{"scp": []string{"logs:read"}}, http.StatusOK},
		{"none", nil, http.StatusForbidden},
		{"others", map[string]any{"scope": "openid logs:write logs:readonly"}, http.StatusForbidden},
	} {
		a := g.send(t, request{path: "/api/v1/me", token: tokenOf(t, demo.Claims{Tenant: demo.Alpha, Extra: tt.extra})})
		if a.status != tt.want {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
		if challenge := a.header.Get("WWW-Authenticate"); a.status == http.StatusForbidden && !strings.Contains(challenge, `error="insufficient_scope"`) {
			t.Errorf("%s: challenged with %q", tt.name, challenge)
		}
	}
}

// TestBasicToken guarantees that the real logcli reads with a token as its password, where that is
// turned on, and not where it is off.
func TestBasicToken(t *testing.T) {
	t.Parallel()
	allowing := own(t, on.issuer, "LOGFENCE_BASIC_TOKEN=true")
	token := tokenOf(t, demo.Claims{Tenant: demo.Alpha})
	run := func(g *gateway) (string, error) {
		cmd := exec.CommandContext(t.Context(), on.binaries.Logcli, "--quiet", "--addr="+g.public, "--username=anybody", "labels", "tenant_id")
		cmd.Env = append(os.Environ(), "LOKI_PASSWORD="+token)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(allowing); err != nil || strings.TrimSpace(out) != demo.Alpha {
		t.Errorf("logcli: %v\n%s", err, out)
	}
	if out, err := run(on.gateway); err == nil || !strings.Contains(out, "Send a bearer token") {
		t.Errorf("logcli, where it is off: %v\n%s", err, out)
	}
}

// TestAuditOfTheWhole guarantees one record for each request, with what auditors need, and that no
// part of any token is in the audit or in the log.
func TestAuditOfTheWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	g := own(t, on.issuer, "LOGFENCE_AUDIT_LOG="+path, "LOGFENCE_TRUSTED_PROXIES=127.0.0.0/8")
	good, expired, foreign := tokenOf(t, both), tokenOf(t, demo.Claims{Tenant: demo.Alpha, Lifetime: -time.Hour}), tokenOf(t, demo.Claims{Subject: "eve"})
	forged := good[:len(good)-8] + "AAAAAAAA"
	query := with(on.fresh.between(), "query", `{app="checkout"}`, "limit", "5")
	granted := g.send(t, request{path: "/api/v1/logs/query", params: query, token: good, header: http.Header{"X-Forwarded-For": {"192.0.2.77, 203.0.113.9"}}})
	for _, token := range []string{expired, foreign, forged, "-", "Bearer " + good, "eyJhbGciOiJub25lIn0.e30."} {
		g.send(t, request{path: "/loki/api/v1/labels", token: token})
	}
	g.send(t, request{path: "/api/v1/logs/labels", token: good, header: narrowed("gamma")})
	// A token that a caller puts where none belongs.
	g.send(t, request{path: "/api/v1/logs/query", params: url.Values{"query": {`{app="` + good + `"}`}}, token: good})
	g.send(t, request{path: "/api/v1/logs/labels", token: good, header: http.Header{"X-Request-Id": {good[:60]}, tenantHeader: {good}}})

	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records := strings.Split(strings.TrimSpace(string(content)), "\n")
	if len(records) != 10 {
		t.Errorf("%d records of 10 requests:\n%s", len(records), content)
	}
	var first struct {
		Type, Stage, Subject, Issuer, Client, Operation, Outcome string
		RequestID                                                string `json:"request_id"`
		Tenants, Query, Fenced                                   []string
		Time, Start, End                                         time.Time
		Status, Bytes                                            int
		Seconds                                                  float64 `json:"duration_seconds"`
	}
	if err := json.Unmarshal([]byte(records[0]), &first); err != nil {
		t.Fatal(err)
	}
	if first.Type != "audit" || first.Stage != "response" || first.Subject != "ben" || first.Issuer != on.issuer.URL() || first.Client != "203.0.113.9" ||
		first.Operation != "queryLogs" || first.Outcome != "granted" || first.RequestID != granted.header.Get("X-Request-Id") ||
		fmt.Sprint(first.Tenants, first.Query, first.Fenced) != `[alpha beta] [{app="checkout"}] [{tenant_id=~"alpha|beta",app="checkout"}]` ||
		!first.Start.Equal(on.fresh.start) || !first.End.Equal(on.fresh.end) || first.Status != 200 || first.Bytes == 0 || first.Seconds <= 0 {
		t.Errorf("the record of a query: %s", records[0])
	}
	for i, code := range []string{"unauthorized", "no_tenant", "unauthorized", "unauthorized", "unauthorized", "unauthorized", "tenant_not_yours"} {
		if !strings.Contains(records[i+1], `"outcome":"refused","code":"`+code+`"`) {
			t.Errorf("record %d is not of %s: %s", i+1, code, records[i+1])
		}
	}
	for _, token := range []string{good, expired, foreign, forged} {
		for name, text := range map[string]string{"audit": string(content), "log": string(g.said())} {
			if part := partIn(text, token); part != "" {
				t.Errorf("%q, a part of a token, is in the %s", part, name)
			}
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v %v", info.Mode(), err)
	}
}

// partIn finds a piece of a token, of 16 characters or more, in a text.
func partIn(text, token string) string {
	const least = 16
	for i := 0; i+least <= len(token); i++ {
		if piece := token[i : i+least]; strings.Contains(text, piece) {
			return piece
		}
	}
	return ""
}

// TestAuditRequiredOnAFullDisk guarantees that no request is served that cannot be recorded, and that
// probes learn of it.
func TestAuditRequiredOnAFullDisk(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	g := own(t, on.issuer, "LOGFENCE_AUDIT_LOG=/dev/full", "LOGFENCE_AUDIT_REQUIRED=true")
	for _, path := range []string{"/api/v1/logs/labels", "/loki/api/v1/labels", "/api/v1/me"} {
		a := g.send(t, request{path: path})
		if a.status != http.StatusServiceUnavailable || bytes.Contains(a.body, []byte("alpha")) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if status, said, err := get(t.Context(), g.admin+"/readyz"); err != nil || status != http.StatusServiceUnavailable || !bytes.Contains(said, []byte("audit")) {
		t.Errorf("/readyz: %d %s %v", status, said, err)
	}
}

// provider is an issuer of one test's own, and a logfence that knows no more of it than its name.
func provider(t *testing.T, settings ...string) (*demo.Issuer, *gateway) {
	t.Helper()
	issuer, err := demo.StartIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := issuer.Close(); err != nil {
			t.Error(err)
		}
	})
	g, err := startWithout(t.Context(), "LOGFENCE_JWT_JWKS_URL=", issuer, on.mixed.URL(), nil, settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Error(err)
		}
	})
	return issuer, g
}

// TestKeyRotationUnderLoad guarantees that not one request is refused while the provider changes its
// keys, twice, under load and through the whole stack.
func TestKeyRotationUnderLoad(t *testing.T) {
	t.Parallel()
	issuer, g := provider(t)
	sign := func() string {
		token, err := issuer.Token(demo.Claims{Tenant: demo.Alpha})
		if err != nil {
			t.Error(err)
		}
		return token
	}
	var (
		sent    atomic.Int64
		refused sync.Map
		working sync.WaitGroup
		older   = sign() // of the first key, and good to the end
		load    = make(chan struct{})
	)
	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	for range 4 {
		working.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				token := older
				if n%2 == 0 {
					token = sign()
				}
				r, err := request{method: http.MethodGet, path: "/api/v1/logs/labels"}.build(t.Context(), g.public)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+token)
				a, err := do(r)
				if sent.Add(1) == 100 {
					close(load)
				}
				if err != nil || a.status != http.StatusOK {
					refused.Store(fmt.Sprint(a.status, " ", string(a.body), err), true)
				}
			}
		})
	}
	// An unknown key is fetched at most every ten seconds: rotations come further apart.
	tick := time.NewTicker(11 * time.Second)
	defer tick.Stop()
	for range 2 {
		if err := issuer.RotateGently(); err != nil {
			t.Fatal(err)
		}
		<-tick.C
	}
	<-load // there was one, however busy the machine
	enough()
	working.Wait()
	refused.Range(func(what, _ any) bool { t.Errorf("refused: %s", what); return true })
	t.Logf("%d requests over two rotations", sent.Load())
}

// TestProviderDown guarantees that callers whose provider is down go on working, those with new tokens
// of known keys included.
func TestProviderDown(t *testing.T) {
	t.Parallel()
	issuer, g := provider(t)
	var tokens []string
	for n := range 3 {
		token, err := issuer.Token(demo.Claims{Subject: fmt.Sprint("caller ", n), Tenant: demo.Alpha})
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	if a := g.send(t, request{path: "/api/v1/logs/labels", token: tokens[0]}); a.status != http.StatusOK {
		t.Fatalf("while it is up: %d %s", a.status, a.body)
	}
	if err := issuer.Close(); err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens { // two of them never seen before
		if a := g.send(t, request{path: "/api/v1/logs/labels", token: token}); a.status != http.StatusOK {
			t.Errorf("while it is down: %d %s", a.status, a.body)
		}
	}
	if status, said, err := get(t.Context(), g.admin+"/readyz"); err != nil || status != http.StatusOK {
		t.Errorf("/readyz: %d %s %v", status, said, err)
	}
}

var signInField = regexp.MustCompile(`name="request" value="([^"]+)"`)

// TestSigningIn guarantees how users get in: they sign in on the provider's page, the client
// exchanges the code by PKCE, and logfence takes the token and shows them their tenants.
func TestSigningIn(t *testing.T) {
	t.Parallel()
	issuer, g := provider(t)
	var about struct {
		Authorize string `json:"authorization_endpoint"`
		Token     string `json:"token_endpoint"`
	}
	_, document, err := get(t.Context(), issuer.URL()+"/.well-known/openid-configuration")
	if err == nil {
		err = json.Unmarshal(document, &about)
	}
	if err != nil {
		t.Fatal(err)
	}
	client := oauth2.Config{
		ClientID: demo.ClientID, RedirectURL: "http://127.0.0.1:49152/callback", Scopes: []string{"openid"},
		Endpoint: oauth2.Endpoint{AuthURL: about.Authorize, TokenURL: about.Token, AuthStyle: oauth2.AuthStyleInParams},
	}
	browser := &http.Client{Transport: httpClient.Transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), issuer.URL()) {
			return http.ErrUseLastResponse // here the client takes over
		}
		return nil
	}}
	for name, tenants := range map[string]string{demo.Ana: "[alpha]", demo.Ben: "[alpha beta]"} {
		verifier := oauth2.GenerateVerifier()
		form := visit(t, browser, http.MethodGet, client.AuthCodeURL("a state", oauth2.S256ChallengeOption(verifier)), nil)
		field := signInField.FindSubmatch(form.body)
		if field == nil {
			t.Fatalf("no page to sign in: %d %s", form.status, form.body)
		}
		back := visit(t, browser, http.MethodPost, issuer.URL()+"/sign-in", url.Values{"request": {string(field[1])}, "name": {name}, "password": {name}})
		to, err := url.Parse(back.header.Get("Location"))
		if err != nil || to.Query().Get("state") != "a state" || to.Query().Get("code") == "" {
			t.Fatalf("sent back to %s: %d %s", to, back.status, back.body)
		}
		token, err := client.Exchange(context.WithValue(t.Context(), oauth2.HTTPClient, httpClient), to.Query().Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		a := g.send(t, request{path: "/api/v1/logs/labels/tenant_id/values", token: token.AccessToken})
		if got := fmt.Sprint(list(t, a)); got != tenants {
			t.Errorf("%s sees %s, want %s", name, got, tenants)
		}
		if me := g.send(t, request{path: "/api/v1/me", token: token.AccessToken}); !bytes.Contains(me.body, []byte(`"subject":"`+name+`@demo.example"`)) {
			t.Errorf("%s: %s", name, me.body)
		}
		// What tells the client who signed in is no key to the logs.
		id, _ := token.Extra("id_token").(string)
		if a := g.send(t, request{path: "/api/v1/logs/labels", token: id}); id == "" || a.status != http.StatusForbidden {
			t.Errorf("the ID token: %d %s", a.status, a.body)
		}
		if payload := strings.Split(token.AccessToken, ".")[1]; !json.Valid(decoded(t, payload)) {
			t.Error("the access token is not a JWT")
		}
	}
	if bytes.Contains(g.said(), []byte("eyJ")) {
		t.Error("a token is in the log")
	}
}

func decoded(t *testing.T, segment string) []byte {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// visit is what a browser does.
func visit(t *testing.T, browser *http.Client, method, target string, form url.Values) response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, body}
}
