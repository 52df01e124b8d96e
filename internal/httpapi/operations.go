package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/hint"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/strictjson"
)

const (
	// compatPrefix is where Loki's own paths are; those that it has in common with Prometheus are under prometheusPrefix.
	compatPrefix     = "/loki/"
	prometheusPrefix = "/prometheus/"
	// maxParameters bounds the parameters of one request: repeated selectors, and no more than one
	// of each other.
	maxParameters = 64
	// DefaultMaxBody bounds a form or JSON body. The longest query, every byte of it escaped, fits.
	DefaultMaxBody = 3*128<<10 + 16<<10
)

// operation is one operation of openapi.yaml, prepared for serving.
type operation struct {
	id string
	// fence is how the operation is confined: query, selector or none (x-logfence-fence).
	fence string
	// route is what a request is validated against. A form's parameters are those of the GET
	// operation of the same path, and are read and validated as such: one meaning, one way.
	route *routers.Route
	// repeats holds for each parameter in the URL or the form whether it may be repeated.
	repeats map[string]bool
	// ignoresUnknown and ignoresEmpty are set where the operation is as tolerant as Loki: a parameter that it does not
	// have, and one without a value, is as if it were not there.
	ignoresUnknown, ignoresEmpty bool
	// required are the parameters in the URL or the form without which there is no request.
	required []string
	// headers are the parameters that are headers, each to be given once.
	headers []string
	// parameters are all of them, as they are validated.
	parameters openapi3.Parameters
	body       bodyKind
	class      limits.Class
}

// isCompat reports whether a path is one of the Loki-compatible surface.
func isCompat(path string) bool {
	return strings.HasPrefix(path, compatPrefix) || strings.HasPrefix(path, prometheusPrefix)
}

type bodyKind int

const (
	bodyNone bodyKind = iota
	bodyForm
	bodyJSON
)

// operationTable holds the operations of openapi.yaml, by method and Echo's path.
type operationTable map[string]*operation

// fences are the rules that an operation may name. Unknown means refused.
var fences = []string{"query", "selector", "none"}

// newOperationTable prepares every operation of the spec, and refuses a spec that leaves anything open: an
// operation without security or without a fence would be served unconfined.
func newOperationTable(spec *openapi3.T) (operationTable, error) {
	c := operationTable{}
	var errs []error
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			prepared, err := newOperation(spec, path, item, method, op)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s %s: %w", method, path, err))
				continue
			}
			c[method+" "+echoPath(path)] = prepared
		}
	}
	return c, errors.Join(errs...)
}

func newOperation(spec *openapi3.T, path string, item *openapi3.PathItem, method string, op *openapi3.Operation) (*operation, error) {
	if op.OperationID == "" || op.Security == nil || len(*op.Security) == 0 {
		return nil, errors.New("operation has no id or no security")
	}
	fence, _ := op.Extensions["x-logfence-fence"].(string)
	if !slices.Contains(fences, fence) {
		return nil, fmt.Errorf("x-logfence-fence is %q, want one of %v", fence, fences)
	}
	o := &operation{
		id: op.OperationID, fence: fence, class: classOf(op.OperationID), repeats: map[string]bool{},
		route: &routers.Route{Spec: spec, Path: path, PathItem: item, Method: method, Operation: op},
	}
	if op.RequestBody != nil {
		content := op.RequestBody.Value.Content
		switch {
		case content.Get(echo.MIMEApplicationForm) != nil:
			if item.Get == nil {
				return nil, errors.New("a form needs a GET operation of the same parameters")
			}
			o.body = bodyForm
			o.route = &routers.Route{Spec: spec, Path: path, PathItem: item, Method: http.MethodGet, Operation: item.Get}
		case content.Get(echo.MIMEApplicationJSON) != nil:
			o.body = bodyJSON
		default:
			return nil, errors.New("body is neither a form nor JSON")
		}
	}
	var err error
	if o.ignoresUnknown, err = tolerates(o.route.Operation, "x-logfence-unknown-parameters"); err != nil {
		return nil, err
	}
	if o.ignoresEmpty, err = tolerates(o.route.Operation, "x-logfence-empty-values"); err != nil {
		return nil, err
	}
	o.parameters = append(slices.Clone(item.Parameters), o.route.Operation.Parameters...)
	for _, p := range o.parameters {
		switch p.Value.In {
		case openapi3.ParameterInQuery:
			o.repeats[p.Value.Name] = p.Value.Schema.Value.Type.Is(openapi3.TypeArray)
			if p.Value.Required {
				o.required = append(o.required, p.Value.Name)
			}
		case openapi3.ParameterInHeader:
			o.headers = append(o.headers, p.Value.Name)
		}
	}
	return o, nil
}

// tolerates reads one of the extensions that the table of the Loki-compatible surface writes. Absent means refused.
func tolerates(op *openapi3.Operation, extension string) (bool, error) {
	value, given := op.Extensions[extension]
	if given && value != "tolerated" {
		return false, fmt.Errorf("%s is %v, want tolerated or nothing", extension, value)
	}
	return given, nil
}

// echoPath is a path template of OpenAPI as Echo writes it.
func echoPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// readParameters reads a request's parameters once: from the URL, or from the form. What is given
// twice, in both places, or by a name that the operation doesn't have, is refused.
func (o *operation) readParameters(r *http.Request, maxBody int64) (url.Values, error) {
	if o.ignoresUnknown {
		return o.readTolerantly(r, maxBody)
	}
	source := r.URL.RawQuery
	if o.body != bodyNone && (source != "" || r.URL.ForceQuery) {
		return nil, parameterInvalid("", "Parameters of this request go into its body; the URL has some as well.")
	}
	switch o.body {
	case bodyNone:
		if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
			return nil, parameterInvalid("", "This request takes no body; parameters go into the URL.")
		}
	case bodyForm:
		form, err := readBody(r, echo.MIMEApplicationForm, maxBody)
		if err != nil {
			return nil, err
		}
		source = string(form)
	case bodyJSON:
		body, err := readBody(r, echo.MIMEApplicationJSON, maxBody)
		if err != nil {
			return nil, err
		}
		if _, err := strictjson.Object(body); err != nil {
			return nil, parameterInvalid("", "The body is not as described: %s.", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return url.Values{}, nil
	}
	return o.parse(source)
}

func (o *operation) parse(source string) (url.Values, error) {
	values, err := parsePairs(source)
	if err != nil {
		return nil, err
	}
	for name, given := range values {
		repeats, known := o.repeats[name]
		switch {
		case !known:
			return nil, parameterInvalid(printable(name), "There is no parameter %s here.", printable(name))
		case len(given) > 1 && !repeats:
			return nil, parameterInvalid(name, "%s is given %d times. Send it once.", name, len(given))
		}
		if err := checkText(name, given); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// parsePairs decodes parameters, as many as a request may have.
func parsePairs(source string) (url.Values, error) {
	if strings.Count(source, "&") >= maxParameters {
		return nil, parameterInvalid("", "More than %d parameters.", maxParameters)
	}
	values, err := url.ParseQuery(source)
	if err != nil {
		// Escapes that are none, and `;`, which some servers take for `&`.
		return nil, parameterInvalid("", "The parameters are not encoded as application/x-www-form-urlencoded.")
	}
	return values, nil
}

func checkText(name string, given []string) error {
	for _, value := range given {
		if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return parameterInvalid(name, "%s is not text in UTF-8.", name)
		}
	}
	return nil
}

// printable returns a caller's text, shortened and without control characters, for use in an error.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > 40 {
		return fmt.Sprintf("%q", string(runes[:40])+"…")
	}
	return fmt.Sprintf("%q", s)
}

// readBody reads a body of just that media type, up to maxBody.
func readBody(r *http.Request, mediaType string, maxBody int64) ([]byte, error) {
	got, params, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	charset, hasCharset := params["charset"]
	if err != nil || got != mediaType || len(r.Header.Values(echo.HeaderContentType)) != 1 ||
		hasCharset && !strings.EqualFold(charset, "utf-8") || r.Header.Get(echo.HeaderContentEncoding) != "" {
		return nil, codeMediaTypeUnsupported.problem(err, "Send the body as %s, in UTF-8 and not compressed.", mediaType)
	}
	if r.ContentLength > maxBody {
		// It is read up to the bound, and kept nowhere, since no memory is reserved for it: a connection that is closed
		// with more unread may be reset before the client has read the response.
		_, _ = io.CopyN(io.Discard, r.Body, maxBody)
		return nil, codeBodyTooLarge.problem(nil, "The body is larger than %d bytes.", maxBody)
	}
	var body bytes.Buffer
	body.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead) // io.ReadAll would copy it as it grows
	_, err = body.ReadFrom(http.MaxBytesReader(nil, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, codeBodyTooLarge.problem(err, "The body is larger than %d bytes.", maxBody)
	case err != nil:
		return nil, parameterInvalid("", "The body ended early.")
	}
	return body.Bytes(), nil
}

// validate checks a request against the spec. kin-openapi interprets the schemas anew for each request, so it is given
// those parameters alone that the request has or needs (BenchmarkValidate): openapi3filter.ValidateRequest looks for each
// that there is.
func (o *operation) validate(ctx context.Context, r *http.Request, path map[string]string, values url.Values) error {
	input := &openapi3filter.RequestValidationInput{Request: r, PathParams: path, QueryParams: values, Route: o.route, Options: validation}
	for _, p := range o.parameters {
		if !p.Value.Required && isAbsent(p.Value, r.Header, values) {
			continue
		}
		if err := openapi3filter.ValidateParameter(ctx, input, p.Value); err != nil {
			return o.invalid(err, values)
		}
	}
	if o.body == bodyJSON {
		return o.invalid(openapi3filter.ValidateRequestBody(ctx, input, o.route.Operation.RequestBody.Value), values)
	}
	return nil
}

// isAbsent reports whether a request does not have a parameter. In case of doubt it has it, and is validated.
func isAbsent(p *openapi3.Parameter, h http.Header, values url.Values) bool {
	switch p.In {
	case openapi3.ParameterInQuery:
		_, given := values[p.Name]
		return !given
	case openapi3.ParameterInHeader:
		_, given := h[http.CanonicalHeaderKey(p.Name)]
		return !given
	default:
		return false
	}
}

// invalid is the response to a request that is not as described.
func (o *operation) invalid(err error, values url.Values) error {
	if err == nil {
		return nil
	}
	var invalid *openapi3filter.RequestError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("validate request: %w", err)
	}
	if invalid.Parameter != nil {
		name := invalid.Parameter.Name
		return parameterInvalid(name, "%s: %s.", name, reason(invalid)).hinted(hintOfValue(name, values[name]))
	}
	return parameterInvalid("", "The body is not as described: %s.", reason(invalid))
}

// validation leaves the request as it is (no defaults are written into it), and authentication to
// the middleware, which has done it by then.
var validation = func() *openapi3filter.Options {
	o := &openapi3filter.Options{
		SkipSettingDefaults: true,
		AuthenticationFunc:  openapi3filter.NoopAuthenticationFunc,
	}
	// The default message prints the whole schema.
	o.WithCustomSchemaErrorFunc(func(e *openapi3.SchemaError) string { return e.Reason })
	return o
}()

// hintOfValue is the hint for the value of a parameter that is not as described.
func hintOfValue(name string, given []string) string {
	switch {
	case len(given) != 1:
		return ""
	case given[0] == "":
		return hint.Empty(name)
	default:
		return cmp.Or(hint.Time(given[0]), hint.Duration(given[0]))
	}
}

func reason(invalid *openapi3filter.RequestError) string {
	var schema *openapi3.SchemaError
	switch {
	case errors.As(invalid.Err, &schema):
		return schema.Reason
	case errors.Is(invalid.Err, openapi3filter.ErrInvalidRequired):
		return "it is required"
	case errors.Is(invalid.Err, openapi3filter.ErrInvalidEmptyValue):
		return "it must not be empty"
	case invalid.Reason != "":
		return invalid.Reason
	default:
		return "it is not as described"
	}
}
