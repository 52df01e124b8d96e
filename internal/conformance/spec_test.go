package conformance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

func init() {
	for _, media := range []string{"application/x-ndjson", "text/event-stream", "text/csv"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.RegisteredBodyDecoder("text/plain"))
	}
}

// operation is one operation of openapi.yaml, as it is to be req.
type operation struct {
	id, method, path string
	// params are those of the path, the URL and the header; of an operation that takes a form, its
	// properties in place of those of the URL.
	params     []parameter
	form, json bool
	webSocket  bool
}

type parameter struct {
	name, in string // path, query, header
	required bool
	schema   *openapi3.Schema
	logQL    string // where it carries LogQL: selector, lines, metrics or query
	examples []string
}

// description is openapi.yaml with its operations, in order.
type description struct {
	spec       *openapi3.T
	router     routers.Router
	operations []operation
	names      []string // of all parameters
}

var theSpec = sync.OnceValues(func() (*description, error) {
	// Not as it is embedded: the server leaves out the schemas that nothing refers to, such as an event's.
	spec, err := openapi3.NewLoader().LoadFromFile("../../openapi.yaml")
	if err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	spec.Servers = nil // routes are found by path alone
	router, err := gorillamux.NewRouter(spec)
	if err != nil {
		return nil, fmt.Errorf("route openapi.yaml: %w", err)
	}
	d := &description{spec: spec, router: router}
	names := map[string]bool{}
	for _, at := range slices.Sorted(maps.Keys(spec.Paths.Map())) {
		item := spec.Paths.Value(at)
		for _, method := range slices.Sorted(maps.Keys(item.Operations())) {
			op := newOperation(at, item, method)
			d.operations = append(d.operations, op)
			for _, p := range op.params {
				names[p.name] = true
			}
		}
	}
	d.names = slices.Sorted(maps.Keys(names))
	return d, nil
})

func newOperation(at string, item *openapi3.PathItem, method string) operation {
	op := item.GetOperation(method)
	o := operation{id: op.OperationID, method: method, path: at, webSocket: op.Responses.Value("101") != nil}
	for _, ref := range append(slices.Clone(item.Parameters), op.Parameters...) {
		p := ref.Value
		logQL, _ := p.Extensions["x-logfence-logql"].(string)
		o.params = append(o.params, newParameter(p.Name, p.In, p.Required, p.Schema.Value, logQL, p.Example))
	}
	if op.RequestBody == nil {
		return o
	}
	o.json = op.RequestBody.Value.Content.Get("application/json") != nil
	media := op.RequestBody.Value.Content.Get("application/x-www-form-urlencoded")
	if media == nil {
		return o
	}
	o.form = true
	form := media.Schema.Value
	for _, name := range slices.Sorted(maps.Keys(form.Properties)) {
		p := form.Properties[name].Value
		logQL, _ := p.Extensions["x-logfence-logql"].(string)
		o.params = append(o.params, newParameter(name, "query", slices.Contains(form.Required, name), p, logQL, nil))
	}
	return o
}

func newParameter(name, in string, required bool, schema *openapi3.Schema, logQL string, example any) parameter {
	p := parameter{name: name, in: in, required: required, schema: schema, logQL: logQL}
	switch {
	case logQL == "query" && strings.Contains(schema.Description, "of log lines. "):
		p.logQL = "lines"
	case logQL == "query" && strings.Contains(schema.Description, "of metrics. "):
		p.logQL = "metrics"
	}
	if schema.Type.Is(openapi3.TypeArray) {
		p.schema = schema.Items.Value // one of them; there may be several
	}
	for _, e := range append([]any{example, schema.Example, schema.Default}, schema.Enum...) {
		if _, list := e.([]any); e != nil && !list {
			p.examples = append(p.examples, fmt.Sprint(e))
		}
	}
	return p
}

// errUndeclared is the error of a response that the spec does not declare.
var errUndeclared = errors.New("not as declared in openapi.yaml")

// check validates a response against the spec. It returns the operation, empty where there is none.
func (d *description) check(r request, a reply) (id string, err error) {
	req, err := r.parsed()
	if err != nil || a.header.Get("X-Request-Id") == "" {
		return "", refusedByHTTP(req, a)
	}
	route, params, err := d.router.FindRoute(req)
	if err != nil || !exact(req) && (a.status == http.StatusNotFound || a.status == http.StatusMovedPermanently) {
		return "", d.checkNowhere(req, a)
	}
	id = route.Operation.OperationID
	declared := route.Operation.Responses.Value(strconv.Itoa(a.status))
	if declared == nil {
		return id, fmt.Errorf("%s returned %d: %w", id, a.status, errUndeclared)
	}
	if a.status == http.StatusSwitchingProtocols {
		return id, d.checkMessages(a, "TailFrame")
	}
	err = openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		return id, fmt.Errorf("%s returned %d: %w: %w", id, a.status, errUndeclared, err)
	}
	return id, d.checkInside(id, a, *declared.Value.Description)
}

// exact reports whether a path is written as the spec writes it.
func exact(r *http.Request) bool {
	raw := strings.NewReplacer("%3A", ":", "%3a", ":").Replace(r.URL.RawPath)
	return (raw == "" || raw == r.URL.Path) && path.Clean(r.URL.Path) == r.URL.Path
}

// refusedByHTTP accepts the responses of net/http itself to malformed HTTP, which reaches no handler.
func refusedByHTTP(req *http.Request, a reply) error {
	switch a.status {
	case http.StatusBadRequest, http.StatusExpectationFailed, http.StatusRequestHeaderFieldsTooLarge, http.StatusNotImplemented:
		return nil
	case http.StatusOK:
		if req != nil && req.Method == http.MethodOptions && req.RequestURI == "*" { // RFC 9110, section 9.3.7
			return nil
		}
	}
	return fmt.Errorf("%d without a request id: %w", a.status, errUndeclared)
}

// checkNowhere checks responses to requests that the spec does not describe: 404 and 405, and the pages that describe
// the spec.
func (d *description) checkNowhere(req *http.Request, a reply) error {
	at := req.URL.Path
	media := a.header.Get("Content-Type")
	switch {
	case a.status == http.StatusTemporaryRedirect:
		return checkPageRedirect(req, a)
	case at == "/openapi.yaml" || at == "/openapi.json" || at == "/docs" || strings.HasPrefix(at, "/docs/"):
		return d.checkPage(a)
	case at == "/ready":
		return nil // for clients that wait for Loki; it is no operation
	case a.status == http.StatusMovedPermanently:
		return d.checkRedirect(req, a)
	case a.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "":
		return fmt.Errorf("405 without Allow: %w", errUndeclared)
	case a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed:
		return fmt.Errorf("%d outside of the spec: %w", a.status, errUndeclared)
	case req.Method == http.MethodHead:
		return nil
	case strings.HasPrefix(at, "/loki/"), strings.HasPrefix(at, "/prometheus/"):
		if media != "text/plain; charset=UTF-8" || len(a.body) == 0 {
			return fmt.Errorf("%d is %q: %w", a.status, media, errUndeclared)
		}
		return nil
	case media != "application/problem+json":
		return fmt.Errorf("%d is %q: %w", a.status, media, errUndeclared)
	}
	return d.checkSchema("Problem", a.body)
}

// checkPageRedirect accepts a redirect of a GET or HEAD from the root, or from a page's address with a slash, to the page.
func checkPageRedirect(req *http.Request, a reply) error {
	location := a.header.Get("Location")
	page, query, _ := strings.Cut(location, "?")
	get := req.Method == http.MethodGet || req.Method == http.MethodHead
	from := req.URL.Path == "/" || req.URL.Path == page+"/"
	if !get || !from || page != "/docs" && page != "/explore" || query != req.URL.RawQuery {
		return fmt.Errorf("%s %s is redirected to %q: %w", req.Method, req.URL.Path, location, errUndeclared)
	}
	return nil
}

// checkRedirect accepts a redirect of a GET or HEAD to one of Loki's paths that the spec has, written as it writes it.
func (d *description) checkRedirect(req *http.Request, a reply) error {
	location := a.header.Get("Location")
	to, err := http.NewRequest(http.MethodGet, location, http.NoBody)
	if err == nil {
		_, _, err = d.router.FindRoute(to)
	}
	get := req.Method == http.MethodGet || req.Method == http.MethodHead
	if err != nil || !get || !exact(to) || !strings.HasPrefix(location, "/loki/") && !strings.HasPrefix(location, "/prometheus/") {
		return fmt.Errorf("%s is redirected to %q: %w", req.Method, location, errors.Join(errUndeclared, err))
	}
	return nil
}

// checkPage accepts the responses of a file server.
func (d *description) checkPage(a reply) error {
	switch a.status {
	case http.StatusOK, http.StatusPartialContent, http.StatusNotModified, http.StatusRequestedRangeNotSatisfiable, http.StatusNotFound, http.StatusMethodNotAllowed:
		return nil
	default:
		return fmt.Errorf("%d of a page: %w", a.status, errUndeclared)
	}
}

// checkInside checks what the schemas of HTTP responses do not cover: the codes that a response names, and the
// lines of those that have a message each.
func (d *description) checkInside(id string, a reply, promised string) error {
	switch media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";"); media {
	case "application/problem+json":
		var p struct{ Type, Code string }
		if err := json.Unmarshal(a.body, &p); err != nil {
			return fmt.Errorf("problem: %w", err)
		}
		if !strings.Contains(promised, "`"+p.Code+"`") || p.Type != "/docs/problems#"+p.Code {
			return fmt.Errorf("%d has the code %s: %w", a.status, p.Code, errUndeclared)
		}
	case "application/x-ndjson":
		if strings.HasPrefix(id, "listLines") {
			return d.checkRecords(a.body)
		}
		return d.checkExport(a.body)
	case "text/event-stream":
		if strings.HasPrefix(id, "listLines") {
			return d.checkEvents(a.body, streamEvents)
		}
		return d.checkEvents(a.body, tailEvents)
	}
	return nil
}

// checkExport accepts lines, and as the last one the record of their number, which end_record=true requests.
func (d *description) checkExport(body []byte) error {
	lines := 0
	for line := range bytes.Lines(body) {
		if string(line) == fmt.Sprintf("{\"end\":{\"lines\":%d}}\n", lines) && bytes.HasSuffix(body, line) {
			return nil
		}
		if err := d.checkSchema("LogLine", line); err != nil {
			return err
		}
		lines++
	}
	return nil
}

// The schemas of the events of tails and of streams of lines.
var (
	tailEvents = map[string]string{
		"entries": "TailEntries", "dropped": "TailDropped", "interrupted": "TailInterrupted", "resumed": "TailResumed", "mode": "TailMode",
		"end": "TailEnd",
	}
	streamEvents = map[string]string{"lines": "LinesBatch", "progress": "LinesProgress", "gap": "LinesGap", "error": "Problem", "end": "LinesEnd"}
)

// checkRecords accepts a stream of lines as NDJSON, to its end.
func (d *description) checkRecords(body []byte) error {
	var record struct {
		Event string
		Data  json.RawMessage
	}
	for line := range bytes.Lines(body) {
		if err := d.checkSchema("LinesRecord", line); err != nil {
			return err
		}
		if err := json.Unmarshal(line, &record); err != nil {
			return err
		}
		if err := d.checkSchema(streamEvents[record.Event], record.Data); err != nil {
			return err
		}
	}
	if record.Event != "end" {
		return fmt.Errorf("the last event is %q: %w", record.Event, errUndeclared)
	}
	return nil
}

func (d *description) checkEvents(text []byte, schemas map[string]string) error {
	var name string
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "event":
			name = value
		case "data":
			schema, ok := schemas[name]
			if !ok {
				return fmt.Errorf("event %q: %w", name, errUndeclared)
			}
			if err := d.checkSchema(schema, []byte(value)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *description) checkMessages(a reply, schema string) error {
	for _, m := range a.messages {
		if err := d.checkSchema(schema, m); err != nil {
			return err
		}
	}
	return nil
}

func (d *description) checkSchema(name string, text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil || !utf8.Valid(text) {
		return fmt.Errorf("%s is no JSON: %w: %w", name, errUndeclared, err)
	}
	schema := d.spec.Components.Schemas[name]
	if schema == nil {
		return fmt.Errorf("openapi.yaml has no schema %s", name)
	}
	if err := schema.Value.VisitJSON(value, openapi3.VisitAsResponse()); err != nil {
		return fmt.Errorf("%s: %w: %w", name, errUndeclared, err)
	}
	return nil
}
