package httpapi

import (
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/web"
)

// headerEncodingFlags requests that Loki separates structured metadata from parsed labels. It is the only one of
// Loki's own headers that is forwarded, and only with its one defined value.
const (
	headerEncodingFlags = "X-Loki-Response-Encoding-Flags"
	flagCategorize      = "categorize-labels"
)

// requestOptions is what of a request's headers changes the request to Loki.
func requestOptions(c echo.Context) loki.RequestOptions {
	r, who := c.Request(), callerOf(c)
	return loki.RequestOptions{
		Slot:             requestStateOf(c),
		Subject:          who.Issuer + "\n" + who.Subject, // unique within an issuer only
		Timeout:          who.limits.Timeout,
		Bounds:           boundsOf(who.limits),
		AcceptGzip:       web.AcceptsGzip(r.Header),
		CategorizeLabels: r.Header.Get(headerEncodingFlags) == flagCategorize,
		Drilldown:        isDrilldown(r),
	}
}

// boundsOf are the limits that Loki may enforce as well. Without a budget of bytes it is not made to estimate them.
func boundsOf(l *limits.Effective) loki.Bounds {
	b := loki.Bounds{Range: l.MaxRange, RangeVector: l.MaxRangeVector, Lines: l.MaxLines}
	if l.MaxQueryBytesRead < limits.NoReadBudget {
		b.BytesRead = l.MaxQueryBytesRead
	}
	return b
}

// drilldownTags is what Grafana's Logs Drilldown sends in X-Query-Tags.
const (
	headerQueryTags = "X-Query-Tags"
	drilldownTags   = "Source=grafana-lokiexplore-app"
)

// isDrilldown reports whether a request on Loki's surface has exactly the tag of Grafana's Logs Drilldown. Nothing of
// the header is passed on: package loki writes a constant of its own.
func isDrilldown(r *http.Request) bool {
	tags := r.Header[headerQueryTags]
	return len(tags) == 1 && tags[0] == drilldownTags && isCompat(r.URL.Path)
}

// copyResponse streams Loki's response to the client as it arrives, without parsing it.
func (s *Server) copyResponse(c echo.Context, response *loki.Response, err error) error {
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it has been read to its end, or the response is aborted
	// Where its length is known, before the first byte; elsewhere while it is copied, and the response is aborted.
	l := callerOf(c).limits
	if err := l.CheckResponse(response.Length); err != nil {
		return err
	}
	if response.Length < 0 {
		response.Body = &limitedBody{ReadCloser: response.Body, limits: l}
	}
	h := c.Response().Header()
	h[echo.HeaderContentType] = isJSON
	if len(h[echo.HeaderVary]) == 0 {
		h[echo.HeaderVary] = varyEncoding
	} else { // of CORS
		h.Add(echo.HeaderVary, echo.HeaderAcceptEncoding)
	}
	if response.ContentEncoding != "" {
		h.Set(echo.HeaderContentEncoding, response.ContentEncoding)
	}
	return copyBody(c, response.Body, response.Length)
}

// limitedBody is a response body that fails when it exceeds the limit on response bytes.
type limitedBody struct {
	io.ReadCloser

	limits *limits.Effective
	read   int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if err := b.limits.CheckResponse(b.read); err != nil {
		return 0, err
	}
	return n, err
}
