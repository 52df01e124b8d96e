package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/logfence/logfence/internal/demo"
)

// contract validates responses against openapi.yaml, and records which operation returned which status.
type contract struct {
	spec   *openapi3.T
	router routers.Router

	mu  sync.Mutex
	met map[string]map[int]int // by operation and status: how often
}

func loadContract(path string) (*contract, error) {
	spec, err := openapi3.NewLoader().LoadFromFile(path)
	if err != nil {
		return nil, err
	}
	spec.Servers = nil // routes are found by path alone
	router, err := gorillamux.NewRouter(spec)
	if err != nil {
		return nil, err
	}
	return &contract{spec: spec, router: router, met: map[string]map[int]int{}}, nil
}

// errNotInSpec is a request that the spec does not describe.
var errNotInSpec = errors.New("not in openapi.yaml")

// check says how a response differs from what the spec promises.
func (c *contract) check(r *http.Request, status int, header http.Header, body []byte) error {
	route, path, err := c.router.FindRoute(r)
	if err != nil {
		return fmt.Errorf("%w: %s %s: %w", errNotInSpec, r.Method, r.URL.Path, err)
	}
	c.mu.Lock()
	id := route.Operation.OperationID
	if c.met[id] == nil {
		c.met[id] = map[int]int{}
	}
	c.met[id][status]++
	c.mu.Unlock()
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: path, Route: route},
		Status:                 status,
		Header:                 header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateResponse(r.Context(), input); err != nil {
		return fmt.Errorf("%s returned %d, not as openapi.yaml declares: %w", id, status, err)
	}
	return nil
}

// operations are all of the spec, by id, each with the statuses that it declares.
func (c *contract) operations() map[string][]string {
	all := map[string][]string{}
	for _, item := range c.spec.Paths.Map() {
		for _, op := range item.Operations() {
			all[op.OperationID] = slices.Sorted(maps.Keys(op.Responses.Map()))
		}
	}
	return all
}

// unmet says which operations were never seen to work. Those that respond with 101 alone are not for
// an HTTP client, and have tests of their own.
func (c *contract) unmet() error {
	var errs []error
	operations := c.operations()
	for _, id := range slices.Sorted(maps.Keys(operations)) {
		works := http.StatusOK
		switch {
		case slices.Contains(operations[id], "101"):
			works = http.StatusSwitchingProtocols
		case !slices.Contains(operations[id], "200"):
			works = http.StatusNotFound // lokiRules: there are none
		}
		if c.met[id][works] == 0 {
			errs = append(errs, fmt.Errorf("no test got a %d from %s", works, id))
		}
	}
	return errors.Join(errs...)
}

// report writes which of the statuses that each operation declares were met, and how often.
func (c *contract) report(w io.Writer) {
	operations := c.operations()
	total := 0
	for _, id := range slices.Sorted(maps.Keys(operations)) {
		var line strings.Builder
		for _, status := range operations[id] {
			n := 0
			if _, err := fmt.Sscan(status, &n); err == nil && c.met[id][n] > 0 {
				fmt.Fprintf(&line, " %s×%d", status, c.met[id][n])
			} else {
				fmt.Fprintf(&line, " %s×-", status)
			}
		}
		for _, n := range c.met[id] {
			total += n
		}
		_, _ = fmt.Fprintf(w, "e2e: %-32s%s\n", id, line.String())
	}
	_, _ = fmt.Fprintf(w, "e2e: %d responses through logfence, all as openapi.yaml says\n", total)
}

// request is what a client sends.
type request struct {
	method string // GET unless said otherwise; POST sends params as a form
	path   string
	params url.Values
	body   string // JSON, instead of a form
	token  string // alpha's unless said otherwise; "-" is none
	header http.Header
}

func (r request) String() string { return r.method + " " + r.path + " " + r.params.Encode() }

func (r request) build(ctx context.Context, base string) (*http.Request, error) {
	target, media := base+r.path, ""
	var body io.Reader
	switch {
	case r.body != "":
		body, media = strings.NewReader(r.body), "application/json"
	case r.method == http.MethodPost:
		body, media = strings.NewReader(r.params.Encode()), "application/x-www-form-urlencoded"
	case len(r.params) > 0:
		target += "?" + r.params.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	maps.Copy(req.Header, r.header)
	return req, nil
}

// response is a response, read to its end.
type response struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request and reads the response to its end.
func do(req *http.Request) (response, error) {
	resp, err := httpClient.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, body}, err
}

// send sends a request to logfence, and validates the response against the spec.
func (g *gateway) send(t *testing.T, r request) response {
	t.Helper()
	switch r.token {
	case "":
		g.fillCaches(t, r)
		r.token = tokenOf(t, demo.Claims{Tenant: demo.Alpha})
	case "-":
		r.token = ""
	}
	req, err := r.build(t.Context(), g.public)
	if err != nil {
		t.Fatal(err)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	a, err := do(req)
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	if err := on.contract.check(req, a.status, a.header, a.body); err != nil {
		t.Errorf("%s: %v\n%.600s", r, err, a.body)
	}
	return a
}

// fillCaches sends the request as beta first, where Loki caches results: alpha must not get what is cached for beta.
func (g *gateway) fillCaches(t *testing.T, r request) {
	t.Helper()
	if !on.configuration.Cached {
		return
	}
	r.token = tokenOf(t, demo.Claims{Tenant: demo.Beta})
	req, err := r.build(t.Context(), g.public)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	if a, err := do(req); err != nil {
		t.Fatalf("%s, as beta: %v", r, err)
	} else if a.status >= http.StatusInternalServerError {
		t.Errorf("%s, as beta: %d %.300s", r, a.status, a.body)
	}
}

// sendUntilRoom is send, again while the server is overloaded: on a busy machine a query may wait longer for a slot than
// it is let wait.
func (g *gateway) sendUntilRoom(t *testing.T, r request) response {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		a := g.send(t, r)
		if a.status != http.StatusServiceUnavailable || !bytes.Contains(a.body, []byte(`"overloaded"`)) || time.Now().After(deadline) {
			return a
		}
		<-time.After(time.Second) // the least Retry-After
	}
}

// sendToLoki sends a request to a Loki directly.
func sendToLoki(t *testing.T, l *demo.Loki, r request) response {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodGet
	}
	req, err := r.build(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	if org := on.configuration.OrgOf(demo.Alpha); org != "" {
		req.Header.Set("X-Scope-OrgID", org)
	}
	a, err := do(req)
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	return a
}

var tokens sync.Map // by claims of a tenant: signing one for each request would take the longest

func tokenOf(t *testing.T, c demo.Claims) string {
	t.Helper()
	key := fmt.Sprint(c)
	if token, ok := tokens.Load(key); ok {
		return token.(string)
	}
	token, err := on.issuer.Token(c)
	if err != nil {
		t.Fatal(err)
	}
	tokens.Store(key, token)
	return token
}
