package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// identityCase is a line of testdata/identity.jsonl: a token as a provider issues it by its documentation, the
// documents that the provider serves, and what has to come out.
type identityCase struct {
	Case        string
	Requirement string           // the point of docs/identity.md that it belongs to
	Wanted      string           // in words
	Needs       string           // what logfence does not have yet; until then the outcome is that of Today
	Today       outcome          // before any of Settings existed
	Want        outcome          // with Settings
	Issuers     []map[string]any // what the operator had
	Settings    []map[string]any // what the operator adds, for each of Issuers; null takes a key away
	Grants      []map[string]any // for tokens of the first of Issuers; nil: the tenant claim decides
	// IssuersWanted is how many of Issuers remain; 0: all.
	IssuersWanted int `json:"issuers_wanted"`
	// RefusedFor is an issuer whose name makes `check` refuse Issuers.
	RefusedFor string `json:"refused_for"`
	Header     map[string]any
	Claims     map[string]any
	Token      string // in place of Header and Claims
	SentIn     string `json:"sent_in"`
	Padded     bool
	Provider   map[string]document
}

// outcome is how logfence responds to the token.
type outcome struct {
	Status  int // 0: it does not start
	Tenants []string
	Log     string // part of the log line of the request
}

// providerURL is the provider's origin in the file. Each case has a path of its own in its place.
const providerURL = "https://provider.test"

// TestIdentityProviders guarantees that the tokens of common providers, as documented, have the outcome that
// testdata/identity.jsonl describes, in a real process that reads discovery documents and keys over TLS.
func TestIdentityProviders(t *testing.T) {
	keys := newTestKeys(t)
	provider := startProvider(t, keys)
	var served []*servedCase
	for n, c := range readIdentityCases(t) {
		served = append(served, prepare(t, n, c, provider))
	}
	for _, p := range startProcesses(t, served, provider) {
		for _, c := range p.cases {
			c.send(t, p.addr)
		}
		log := p.stop(t)
		if bytes.Contains(log, []byte("eyJ")) {
			t.Error("a token is in the log")
		}
		for _, c := range p.cases {
			c.log = lineOf(log, c.requestID())
		}
	}
	held, waiting := 0, map[string]int{}
	for _, c := range served {
		ok := t.Run(c.Case, func(t *testing.T) { c.check(t) })
		switch {
		case ok && c.Needs != "":
			waiting[c.Needs]++
		case ok:
			held++
		}
	}
	t.Logf("%d of %d cases have the outcome that is wanted; the others wait for %v", held, len(served), waiting)
}

func readIdentityCases(t *testing.T) []identityCase {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "identity.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []identityCase
	for decoder := json.NewDecoder(file); ; {
		decoder.UseNumber()
		var c identityCase
		err := decoder.Decode(&c)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
}

// servedCase is a case with its settings, its token and its outcome.
type servedCase struct {
	identityCase
	n       int
	issuers []map[string]any
	token   string
	status  int
	body    []byte
	log     string
}

func (c *servedCase) requestID() string { return fmt.Sprintf("identity-%03d", c.n) }

// prepare gives the case a path of its own at the provider, and makes its token.
func prepare(t *testing.T, n int, c identityCase, provider *testProvider) *servedCase {
	t.Helper()
	base := provider.serve(n, c.Provider)
	c = rewritten(t, c, base)
	s := &servedCase{identityCase: c, n: n, token: c.Token}
	if c.Needs != "" {
		c.Settings, c.IssuersWanted, c.RefusedFor, c.Want = nil, 0, "", c.Today
	}
	s.identityCase = c
	for i, issuer := range c.Issuers {
		if c.IssuersWanted > 0 && i >= c.IssuersWanted {
			break
		}
		if i < len(c.Settings) {
			for key, value := range c.Settings[i] {
				if issuer[key] = value; value == nil {
					delete(issuer, key)
				}
			}
		}
		if issuer["tenants"] == nil {
			issuer["any_tenant"] = "true" // other cases are in the same process
		}
		s.issuers = append(s.issuers, issuer)
	}
	if s.token == "" {
		s.token = provider.keys.token(t, c)
	}
	return s
}

// rewritten puts the provider's URL into every text of the case.
func rewritten(t *testing.T, c identityCase, base string) identityCase {
	t.Helper()
	documents := c.Provider
	c.Provider = nil
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(bytes.ReplaceAll(text, []byte(providerURL), []byte(base))))
	decoder.UseNumber()
	var fresh identityCase
	if err := decoder.Decode(&fresh); err != nil {
		t.Fatal(err)
	}
	fresh.Provider = documents
	return fresh
}

// send sends the token to the process.
func (c *servedCase) send(t *testing.T, addr string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/api/v1/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	name, value := c.SentIn, c.token
	if name == "" {
		name, value = "Authorization", "Bearer "+c.token
	}
	request.Header.Set(name, value)
	request.Header.Set("X-Request-Id", c.requestID())
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	c.status = response.StatusCode
	if c.body, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
}

// check compares the outcome.
func (c *servedCase) check(t *testing.T) {
	want := c.Want
	if want.Status == 0 {
		return // it was not started
	}
	var me struct{ Tenants []string }
	_ = json.Unmarshal(c.body, &me) // an error has another form
	if c.status != want.Status || !slices.Equal(me.Tenants, want.Tenants) {
		t.Errorf("%d %v; want %d %v (%s: %s)\n%s\n%s", c.status, me.Tenants, want.Status, want.Tenants, c.Requirement, c.Wanted, c.body, c.log)
	}
	if !strings.Contains(c.log, want.Log) {
		t.Errorf("the log does not have %s:\n%s", want.Log, c.log)
	}
	if c.RefusedFor != "" {
		c.checkRefused(t)
	}
}

// checkRefused has `logfence check` read the settings as if the issuer were the public one.
func (c *servedCase) checkRefused(t *testing.T) {
	issuer := map[string]any{}
	for key, value := range c.issuers[0] {
		issuer[key] = value
	}
	issuer["issuer"] = c.RefusedFor
	delete(issuer, "dangerously_user_controlled_claim")
	dir := t.TempDir()
	writeConfig(t, dir, []map[string]any{issuer})
	command := exec.CommandContext(t.Context(), "logfence", "check", "--config", "config.yaml")
	command.Dir, command.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "LOGFENCE_LOKI_URL=http://loki:3100"}
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitMistake || !bytes.Contains(out, []byte("issuers[0].tenant_claim")) {
		t.Errorf("check of %s: %v; want it refused\n%s", c.RefusedFor, err, out)
	}
}

func writeConfig(t *testing.T, dir string, issuers []map[string]any) {
	t.Helper()
	writeJSON(t, filepath.Join(dir, "config.yaml"), map[string]any{"issuers": issuers})
}

// writeJSON writes a file of YAML, as JSON.
func writeJSON(t *testing.T, path string, value any) {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // else YAML would have to read <
	if err := encoder.Encode(value); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// identityProcess is a logfence that serves some of the cases.
type identityProcess struct {
	cases   []*servedCase
	names   map[string]bool
	command *exec.Cmd
	addr    string
	lines   chan string
	log     bytes.Buffer
}

// startProcesses starts as many processes as there are cases that name the same issuer.
func startProcesses(t *testing.T, cases []*servedCase, provider *testProvider) []*identityProcess {
	t.Helper()
	var all []*identityProcess
	for _, c := range cases {
		if c.Want.Status == 0 {
			continue
		}
		i := slices.IndexFunc(all, func(p *identityProcess) bool { return !p.has(c) })
		if i < 0 {
			i, all = len(all), append(all, &identityProcess{names: map[string]bool{}})
		}
		all[i].cases = append(all[i].cases, c)
		for _, name := range c.names() {
			all[i].names[name] = true
		}
	}
	for _, p := range all {
		p.start(t, provider)
	}
	return all
}

// names are the issuers of the case's settings and of its token.
func (c *servedCase) names() []string {
	names := []string{fmt.Sprint(c.Claims["iss"])}
	for _, issuer := range c.issuers {
		names = append(names, fmt.Sprint(issuer["issuer"]), fmt.Sprint(issuer["trust_domain"]))
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == fmt.Sprint(nil) || name == "DROP" })
}

// has reports whether the case needs another process: issuers are configured once, and grants take the place of the
// tenant claim for all of them.
func (p *identityProcess) has(c *servedCase) bool {
	if (p.cases[0].Grants == nil) != (c.Grants == nil) {
		return true
	}
	return slices.ContainsFunc(c.names(), func(name string) bool { return p.names[name] })
}

// grants are those of all cases, each for its own issuer.
func (p *identityProcess) grants() []map[string]any {
	var all []map[string]any
	for _, c := range p.cases {
		for _, g := range c.Grants {
			grant := map[string]any{"name": fmt.Sprintf("grant-%d", len(all)), "issuers": []any{c.issuers[0]["issuer"]}}
			for key, value := range g {
				grant[key] = value
			}
			all = append(all, grant)
		}
	}
	return all
}

func (p *identityProcess) start(t *testing.T, provider *testProvider) {
	t.Helper()
	dir := t.TempDir()
	var issuers []map[string]any
	for _, c := range p.cases {
		issuers = append(issuers, c.issuers...)
	}
	writeConfig(t, dir, issuers)
	provider.writeFiles(t, dir)
	grants := p.grants()
	p.command = exec.Command("logfence", "serve", "--config", "config.yaml")
	p.command.Dir = dir
	p.command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SSL_CERT_FILE=" + filepath.Join(dir, "ca.pem"),
		"LOGFENCE_LOKI_URL=" + provider.loki, "LOGFENCE_ADDR=127.0.0.1:0", "LOGFENCE_ADMIN_ADDR=127.0.0.1:0",
	}
	if len(grants) > 0 {
		writeJSON(t, filepath.Join(dir, "access.yaml"), map[string]any{"grants": grants})
		p.command.Env = append(p.command.Env, "LOGFENCE_ACCESS_FILE=access.yaml")
	}
	stderr, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.command.Process.Kill() }) // it has ended, if all went well
	p.lines = make(chan string)
	go func() {
		defer close(p.lines)
		scanner := bufio.NewScanner(stderr)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			p.lines <- scanner.Text()
		}
	}()
	p.awaitReady(t)
}

// awaitReady reads the log until the process serves, and goes on reading it from then on.
func (p *identityProcess) awaitReady(t *testing.T) {
	t.Helper()
	timeout := time.AfterFunc(time.Minute, func() { _ = p.command.Process.Kill() })
	defer timeout.Stop()
	for line := range p.lines {
		fmt.Fprintln(&p.log, line)
		var ready struct{ Msg, Addr string }
		if json.Unmarshal([]byte(line), &ready) == nil && ready.Msg == "ready" {
			p.addr = ready.Addr
			kept := make(chan string)
			from := p.lines
			p.lines = kept
			go func() { // an unread pipe would stop the process
				defer close(kept)
				var all []string
				for line := range from {
					all = append(all, line)
				}
				for _, line := range all {
					kept <- line
				}
			}()
			return
		}
	}
	t.Fatalf("it ended before it was ready: %v\n%s", p.command.Wait(), p.log.String())
}

// stop ends the process and returns its log.
func (p *identityProcess) stop(t *testing.T) []byte {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(time.Minute, func() { _ = p.command.Process.Kill() })
	defer timeout.Stop()
	for line := range p.lines {
		fmt.Fprintln(&p.log, line)
	}
	if err := p.command.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	return p.log.Bytes()
}

// lineOf is the log line of a request.
func lineOf(log []byte, requestID string) string {
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, requestID) {
			return line
		}
	}
	return ""
}
