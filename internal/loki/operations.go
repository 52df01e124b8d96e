package loki

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// Window is a span of time. The zero time is absent, and Loki's default holds; time.Unix(0, 0) is not
// absent, and is sent. There is no "since": the caller converts it to a start by its own clock, so
// that limits on ranges apply to the range that Loki gets.
type Window struct {
	Start, End time.Time
}

// RangeParams are the optional parameters of a range query. Zero values are not sent.
type RangeParams struct {
	Window
	Limit     int    // most lines
	Direction string // "forward" or "backward"
	Step      time.Duration
	Interval  time.Duration
}

// InstantParams are the optional parameters of an instant query. Zero values are not sent.
type InstantParams struct {
	Time      time.Time
	Limit     int
	Direction string // "forward" or "backward"
}

// VolumeParams are the optional parameters of volumes. Zero values are not sent.
type VolumeParams struct {
	Window
	Limit int // most series
	// TargetLabels are the labels to add up by. Without them Loki takes those that the selector names,
	// the tenant's own label included.
	TargetLabels []string
	AggregateBy  string        // "series" or "labels"
	Step         time.Duration // of VolumeRange alone
}

// PatternParams are the optional parameters of patterns. Zero values are not sent.
type PatternParams struct {
	Window
	Step      time.Duration
	LineLimit int
}

// FieldParams are the optional parameters of detected fields and of their values. Zero values are not sent.
type FieldParams struct {
	Window
	Step      time.Duration
	LineLimit int // lines to look at
	Limit     int // most fields or values
}

// Paths under apiPrefix that are named elsewhere as well.
const (
	pathQueryRange = "query_range"
	pathQuery      = "query"
	pathPatterns   = "patterns"
)

// QueryRange requests lines or samples over a span of time.
func (c *Client) QueryRange(ctx context.Context, options RequestOptions, q tenancy.Query, p RangeParams) (*Response, error) {
	return c.get(ctx, options.bounded(q, p.Step), pathQueryRange, query(q).window(p.Window).integer("limit", p.Limit).
		oneOf("direction", p.Direction, "forward", "backward").duration("step", p.Step).duration("interval", p.Interval))
}

// QueryInstant requests samples at one time.
func (c *Client) QueryInstant(ctx context.Context, options RequestOptions, q tenancy.Query, p InstantParams) (*Response, error) {
	return c.get(ctx, options.bounded(q, 0), pathQuery, query(q).time("time", p.Time).integer("limit", p.Limit).
		oneOf("direction", p.Direction, "forward", "backward"))
}

// Labels requests the names of the labels of the streams selected.
func (c *Client) Labels(ctx context.Context, options RequestOptions, s tenancy.Selector, w Window) (*Response, error) {
	return c.get(ctx, options, "labels", selector(s).window(w))
}

// LabelValues requests the values that a label has in the streams selected.
func (c *Client) LabelValues(ctx context.Context, options RequestOptions, name string, s tenancy.Selector, w Window) (*Response, error) {
	return c.get(ctx, options, "label/"+name+"/values", selector(s).window(w).labelName(name))
}

// Series requests the labels of the streams that any of the selectors selects; there must be one, since
// Loki takes none as all.
func (c *Client) Series(ctx context.Context, options RequestOptions, selectors []tenancy.Selector, w Window) (*Response, error) {
	if len(selectors) == 0 {
		return nil, ErrNoSelector
	}
	p := newParams()
	for _, s := range selectors {
		p.logQL("match[]", s)
	}
	return c.get(ctx, options, "series", p.window(w))
}

// IndexStats requests an estimate of the streams, chunks, bytes and entries selected.
func (c *Client) IndexStats(ctx context.Context, options RequestOptions, s tenancy.Selector, w Window) (*Response, error) {
	return c.get(ctx, options, "index/stats", selector(s).window(w))
}

// IndexEstimate is Loki's estimate of what is selected, by its index: chunks that ingesters have not yet written to the store are not all in
// it, and bytes are those before compression.
type IndexEstimate struct {
	Streams int64 `json:"streams"`
	Chunks  int64 `json:"chunks"`
	Bytes   int64 `json:"bytes"`
	Entries int64 `json:"entries"`
}

const maxIndexEstimate = 4 << 10

// EstimateIndex requests [Client.IndexStats] and reads it.
func (c *Client) EstimateIndex(ctx context.Context, options RequestOptions, s tenancy.Selector, w Window) (IndexEstimate, error) {
	options.AcceptGzip, options.CategorizeLabels = false, false
	response, err := c.IndexStats(ctx, options, s, w)
	if err != nil {
		return IndexEstimate{}, err
	}
	defer response.Body.Close() //nolint:errcheck // it has been read, or is not needed
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxIndexEstimate))
	if err != nil {
		return IndexEstimate{}, err
	}
	var found IndexEstimate
	if err := json.Unmarshal(raw, &found); err != nil {
		return IndexEstimate{}, failed("decode index statistics: %w", err)
	}
	return found, nil
}

// Volume requests the bytes of the streams selected, added up by labels.
func (c *Client) Volume(ctx context.Context, options RequestOptions, s tenancy.Selector, p VolumeParams) (*Response, error) {
	return c.get(ctx, options, "index/volume", volume(s, p))
}

// VolumeRange requests the bytes of the streams selected, step by step.
func (c *Client) VolumeRange(ctx context.Context, options RequestOptions, s tenancy.Selector, p VolumeParams) (*Response, error) {
	return c.get(ctx, options, "index/volume_range", volume(s, p).duration("step", p.Step))
}

func volume(s tenancy.Selector, p VolumeParams) *params {
	for _, name := range p.TargetLabels {
		if !isLabelName(name) {
			return invalidParams(fmt.Errorf("%w: targetLabels: %q is no label name", ErrParameter, name))
		}
	}
	return selector(s).window(p.Window).integer("limit", p.Limit).
		text("targetLabels", strings.Join(p.TargetLabels, ",")).oneOf("aggregateBy", p.AggregateBy, "series", "labels")
}

// Patterns requests the patterns of the lines of the streams selected. Loki 3.7.8 takes no pipeline here
// (pkg/pattern parses matchers), and makes a query of its own from the selector, which [tenancy.PatternSelector]
// takes into account.
func (c *Client) Patterns(ctx context.Context, options RequestOptions, s tenancy.PatternSelector, p PatternParams) (*Response, error) {
	return c.get(ctx, options, pathPatterns, newParams().logQL("query", s).window(p.Window).duration("step", p.Step).integer("line_limit", p.LineLimit))
}

// DetectedLabels requests the labels of the streams selected and how many values each has.
func (c *Client) DetectedLabels(ctx context.Context, options RequestOptions, s tenancy.Selector, w Window) (*Response, error) {
	return c.get(ctx, options, "detected_labels", selector(s).window(w))
}

// DetectedFields requests the fields found in the lines that a log query gives.
func (c *Client) DetectedFields(ctx context.Context, options RequestOptions, q tenancy.Query, p FieldParams) (*Response, error) {
	return c.get(ctx, options, "detected_fields", fields(q, p))
}

// DetectedFieldValues requests the values of one field in the lines that a log query gives.
func (c *Client) DetectedFieldValues(ctx context.Context, options RequestOptions, name string, q tenancy.Query, p FieldParams) (*Response, error) {
	return c.get(ctx, options, "detected_field/"+name+"/values", fields(q, p).labelName(name))
}

func fields(q tenancy.Query, p FieldParams) *params {
	return query(q).window(p.Window).duration("step", p.Step).integer("line_limit", p.LineLimit).integer("limit", p.Limit)
}

// BuildInfo is Loki's build information.
type BuildInfo struct {
	Version   string `json:"version"`
	Revision  string `json:"revision"`
	Branch    string `json:"branch"`
	BuildUser string `json:"buildUser"`
	BuildDate string `json:"buildDate"`
	GoVersion string `json:"goVersion"`
}

const maxBuildInfo = 16 << 10

// BuildInfo requests Loki's version. It reads no logs, so it sends no tenant.
func (c *Client) BuildInfo(ctx context.Context) (BuildInfo, error) {
	response, err := c.withoutTenant().getEncoded(ctx, RequestOptions{}, "status/buildinfo", encoded{})
	if err != nil {
		return BuildInfo{}, err
	}
	defer response.Body.Close() //nolint:errcheck // it has been read, or is not needed
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxBuildInfo))
	if err != nil {
		return BuildInfo{}, err
	}
	var info BuildInfo
	if err := json.Unmarshal(raw, &info); err != nil {
		return BuildInfo{}, failed("decode build information: %w", err)
	}
	return info, nil
}

// withoutTenant is a client that sends the fixed organization, or none where the caller's is wanted.
func (c *Client) withoutTenant() *Client {
	if !c.org.isTemplate() {
		return c
	}
	other := *c
	other.org = ""
	return &other
}

// params collects the parameters of a request, and the first error in them.
type params struct {
	buffer  strings.Builder // encoded, in the order in which they were added
	tenants []tenant.Name   // those of the fenced values among them
	err     error
}

func newParams() *params {
	p := &params{}
	p.buffer.Grow(512)
	return p
}

// encoded are parameters as they stand in a URL or a form, with the tenants whose logs they request.
type encoded struct {
	text    string
	tenants []tenant.Name
}

func (p *params) encoded() encoded { return encoded{text: p.buffer.String(), tenants: p.tenants} }

// add encodes one more.
func (p *params) add(name, value string) {
	p.addName(name)
	p.buffer.WriteString(url.QueryEscape(value))
}

func (p *params) addName(name string) {
	if p.buffer.Len() > 0 {
		p.buffer.WriteByte('&')
	}
	p.buffer.WriteString(url.QueryEscape(name))
	p.buffer.WriteByte('=')
}

// number adds a number, which has nothing to encode.
func (p *params) number(name string, value int64) *params {
	if p.err == nil {
		p.addName(name)
		p.buffer.Write(strconv.AppendInt(make([]byte, 0, 20), value, 10))
	}
	return p
}

func invalidParams(err error) *params { return &params{err: err} }

// fenced is a value of package tenancy: LogQL, and the tenants that it is confined to.
type fenced interface {
	LogQL() string
	Tenants() []tenant.Name
}

// query and selector are where LogQL enters this package; Patterns and Series have their own.
func query(q tenancy.Query) *params { return newParams().logQL("query", q) }

func selector(s tenancy.Selector) *params { return newParams().logQL("query", s) }

// get sends the parameters to a path of Loki's API.
func (c *Client) get(ctx context.Context, options RequestOptions, path string, p *params) (*Response, error) {
	if p.err != nil {
		return nil, p.err
	}
	return c.getEncoded(ctx, options, path, p.encoded())
}

func (p *params) fail(format string, args ...any) *params {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	return p
}

// logQL adds a fenced text; the zero value's is empty. The request is sent under the organization of the
// value's tenants, so all values of one request have the same.
func (p *params) logQL(name string, f fenced) *params {
	text, tenants := f.LogQL(), f.Tenants()
	if text == "" || len(tenants) == 0 {
		return p.fail("%s: %w", name, ErrNotFenced)
	}
	if p.tenants != nil && !slices.Equal(p.tenants, tenants) {
		return p.fail("%s: %w", name, ErrMixedTenants)
	}
	p.tenants = tenants
	p.add(name, text)
	return p
}

func (p *params) text(name, value string) *params {
	if value != "" && p.err == nil {
		p.add(name, value)
	}
	return p
}

func (p *params) oneOf(name, value string, allowed ...string) *params {
	for _, a := range append(allowed, "") {
		if value == a {
			return p.text(name, value)
		}
	}
	return p.fail("%w: %s: %q", ErrParameter, name, value)
}

func (p *params) integer(name string, value int) *params {
	switch {
	case value < 0:
		return p.fail("%w: %s: %d is negative", ErrParameter, name, value)
	case value == 0:
		return p
	default:
		return p.number(name, int64(value))
	}
}

func (p *params) window(w Window) *params { return p.time("start", w.Start).time("end", w.End) }

// The times that are sent: 1970 itself, and from its first minute's end to where nanoseconds in 64 bits end.
var (
	earliest    = time.Unix(0, 0)
	firstMinute = time.Unix(60, 0)
	latest      = time.Unix(0, 1<<63-1)
)

// time adds a time in nanoseconds. Loki (3.7.8) takes up to ten digits as seconds, so that one of the first
// ten seconds of 1970 becomes any time until 2286, and the narrowest window the widest. Filling the digits
// up does not help: Loki's frontend prints the number again for its querier, aligned to the step. So the
// first minute is refused, but for 0, which is the same either way.
func (p *params) time(name string, t time.Time) *params {
	switch {
	case t.IsZero():
		return p
	case t.Equal(earliest):
		return p.number(name, 0)
	case t.Before(firstMinute) || t.After(latest):
		return p.fail("%w: %s: %s is out of range", ErrParameter, name, t.Format(time.RFC3339Nano))
	default:
		return p.number(name, t.UnixNano())
	}
}

// duration adds a duration in whole milliseconds where it can, which Loki reads exactly; finer ones go as
// seconds with a fraction.
func (p *params) duration(name string, d time.Duration) *params {
	switch {
	case d < 0:
		return p.fail("%w: %s: %s is negative", ErrParameter, name, d)
	case d == 0:
		return p
	case d%time.Millisecond == 0:
		return p.text(name, strconv.FormatInt(d.Milliseconds(), 10)+"ms")
	default:
		return p.text(name, strconv.FormatFloat(d.Seconds(), 'f', -1, 64))
	}
}

// labelName refuses what would change the path that it becomes a part of.
func (p *params) labelName(name string) *params {
	if !isLabelName(name) {
		return p.fail("%w: %q is no label name", ErrParameter, name)
	}
	return p
}

// isLabelName holds ^[a-zA-Z_:][a-zA-Z0-9_:]*$, in which nothing means anything in a path.
func isLabelName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && c != ':' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
