package loki

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// RequestOptions are the properties of the caller's request, other than its parameters, that change the request to Loki. They
// hold no tenants: those come from the fenced value.
type RequestOptions struct {
	// Timeout is how long Loki may take for this request, in place of Config.Timeout; 0 leaves that.
	Timeout time.Duration
	// AcceptGzip allows a compressed response; the caller gets the compressed bytes.
	AcceptGzip bool
	// CategorizeLabels requests structured metadata and parsed labels apart from the stream's own.
	CategorizeLabels bool
	// Drilldown marks the request as one of Grafana's Logs Drilldown, for which Loki returns the series up to its limit,
	// with a warning, where others get an error. It has an effect on queries alone; see queryTags.
	Drilldown bool
	// Bounds are what a query may take, for a Loki that honours bounds of a request.
	Bounds Bounds
	// Subject tells apart the callers with the same tenants, for Loki's queues; it is sent as a hash.
	Subject string
	// Slot is acquired before anything is sent; nil: none is needed. The client's timeout begins after it, and its
	// error is returned as it is.
	Slot Slot
}

// Slot is a place among the requests that are in flight at Loki. All requests of one caller's request share it:
// Acquire waits once, and may be called by several goroutines. Its owner gives it back.
type Slot interface {
	Acquire(ctx context.Context) error
}

// Names of headers. The ones of a request to Loki are written in newRequest and nowhere else.
const (
	headerOrgID         = "X-Scope-Orgid" // canonical for net/http; header names have no case
	headerEncodingFlags = "X-Loki-Response-Encoding-Flags"
	headerIdempotency   = "Idempotency-Key"
	userAgent           = "logfence"

	mediaForm = "application/x-www-form-urlencoded"
	mediaJSON = "application/json"
	mediaText = "text/plain"
)

// maxURL is the URL length from which a request is sent as a form. Proxies in front of Loki accept request
// lines of 8 KiB at most by default (nginx, HAProxy), and in some other headers count too.
const maxURL = 4 << 10

// Shared by all requests, and never modified.
var (
	requestTemplate                   = &http.Request{Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	userAgentHeader, identityEncoding = []string{userAgent}, []string{"identity"}
)

// newRequest builds the request from nothing: these headers, and last X-Scope-OrgID and its label policy, are all there are
// but for what [WithTransport] adds. The organization is that of the tenants of the fenced values in params.
func (c *Client) newRequest(ctx context.Context, e *upstream, options RequestOptions, path string, params encoded) (*http.Request, error) {
	org, err := c.org.forTenants(params.tenants)
	if err != nil {
		return nil, err
	}
	target := e.url(path)
	r := requestTemplate.WithContext(ctx)
	r.URL, r.Host = target, target.Host
	r.Header = http.Header{"User-Agent": userAgentHeader, "Accept-Encoding": identityEncoding}
	if len(target.EscapedPath())+1+len(params.text) < maxURL {
		target.RawQuery = params.text
	} else {
		r.Method, r.ContentLength = http.MethodPost, int64(len(params.text))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(params.text)), nil }
		r.Body, _ = r.GetBody() // which never fails
		r.Header.Set("Content-Type", mediaForm)
		makeRetryable(r)
	}
	if options.AcceptGzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	if options.CategorizeLabels {
		r.Header.Set(headerEncodingFlags, "categorize-labels")
	}
	c.label(r.Header, options, path, params.tenants)
	c.authorize(r, e)
	if org != "" {
		r.Header.Set(headerOrgID, org)
	}
	if policy := c.labelPolicy(org, params.tenants); policy != "" {
		r.Header.Set(headerLabelPolicy, policy)
	}
	return r, nil
}

// makeRetryable makes a POST that net/http sends again by itself, as it does a GET. A connection that idled
// may be closed by Loki just as we write to it; then it "only retries a request [...] if the request is
// idempotent and either has no body or has its Request.GetBody defined" (net/http, Transport), which
// newRequest has done, and "if the idempotency key value is a zero-length slice,
// the request is treated as idempotent but the header is not sent on the wire". Nothing is repeated after
// the first byte of a response.
func makeRetryable(r *http.Request) { r.Header[headerIdempotency] = []string{} }
