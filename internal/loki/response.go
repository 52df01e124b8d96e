package loki

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// Response is a response of Loki's: JSON, not yet read. The caller closes Body, which also cancels what Loki
// still does for it.
type Response struct {
	// ContentEncoding is "" or, only where [RequestOptions] allowed it, "gzip".
	ContentEncoding string
	// Length is of the body in bytes, as sent; negative if Loki does not send it.
	Length int64
	// Body fails with an [Error] or with the error of the caller's context. A response that ends without
	// io.EOF is not complete.
	Body io.ReadCloser
}

// getEncoded sends one request to a path of Loki's API and returns the response unread.
func (c *Client) getEncoded(ctx context.Context, options RequestOptions, path string, params encoded) (*Response, error) {
	return c.send(ctx, options, apiPrefix+path, params, mediaJSON)
}

const apiPrefix = "/loki/api/v1/"

// isOptional reports whether a path is one of those for which a Loki returns 404 that does not have the feature. Loki 3.7.8
// does where it is off: volume_enabled in limits_config (pkg/querier/queryrange/roundtrip.go), pattern_ingester.enabled
// (pkg/querier/querier.go). Loki 3.1.2 has no values of a field.
func isOptional(path string) bool {
	switch path {
	case pathPatterns, "index/volume", "index/volume_range":
		return true
	}
	return strings.HasPrefix(path, "detected_field/")
}

func (c *Client) send(ctx context.Context, options RequestOptions, path string, params encoded, media string) (*Response, error) {
	if options.Slot != nil {
		if err := options.Slot.Acquire(ctx); err != nil {
			return nil, err
		}
	}
	response, err := c.sendOnce(ctx, options, path, params, media)
	if c.actorRefused(err) {
		return c.sendOnce(ctx, options, path, params, media)
	}
	return response, err
}

// sendOnce sends a request that has its slot.
func (c *Client) sendOnce(ctx context.Context, options RequestOptions, path string, params encoded, media string) (*Response, error) {
	clock := c.startClock(ctx, options)
	timed := clock.request
	var response *http.Response
	e, err := c.doWithRetry(timed, func(attempt context.Context, e *upstream) error { //nolint:contextcheck // attempt is timed or its child
		clock.resume() // the first attempt may have read a response
		request, err := c.newRequest(attempt, e, options, path, params)
		if err != nil {
			return err
		}
		// Not by an http.Client, which would follow redirects, and clones headers for that.
		response, err = c.roundTripper.RoundTrip(request) //nolint:bodyclose // body closes it, for which the caller or a statusError below sees
		if err != nil {
			return classify(ctx, timed, ErrUnreachable, err) // while its state can be read
		}
		if response.StatusCode == http.StatusSwitchingProtocols {
			// The body is then the connection itself, which no deadline ends.
			_ = response.Body.Close()
			return failed("switched protocols, which was not requested")
		}
		if isUnavailable(response.StatusCode) {
			c.pool.triggerHealthCheck(e)
			return unavailableError(response, &body{from: response.Body, pool: c.pool, upstream: e, caller: ctx, clock: clock})
		}
		return nil
	})
	if err != nil {
		clock.stop()
		return nil, err
	}
	if isGatewayError(response.StatusCode) {
		c.pool.triggerHealthCheck(e)
	}
	body := &body{from: response.Body, pool: c.pool, upstream: e, caller: ctx, clock: clock}
	encoding, err := checkResponse(response, body, options.AcceptGzip, media)
	if response.StatusCode == http.StatusNotFound && isOptional(strings.TrimPrefix(path, apiPrefix)) {
		err = &Error{Kind: ErrNotEnabled, Cause: err}
	}
	if err != nil {
		noteMistake(response.Body, err)
		body.Close() //nolint:errcheck,gosec // the response is rejected
		return nil, err
	}
	clock.pause()
	return &Response{ContentEncoding: encoding, Length: response.ContentLength, Body: body}, nil
}

// noteMistake reports to the transport's measurements that a failure is one of the query, so that it is not counted as
// Loki's.
func noteMistake(body io.ReadCloser, err error) {
	var refused *RefusedError
	if counted, ok := body.(interface{ Refused() }); ok && errors.As(err, &refused) && refused.Mistake() {
		counted.Refused()
	}
}

// checkResponse accepts a response with status 200, the expected media type and an allowed encoding. Everything
// else is an error. Of those, only Loki's own query errors are ever shown to a caller.
func checkResponse(r *http.Response, body io.Reader, gzipAllowed bool, media string) (encoding string, err error) {
	if r.StatusCode != http.StatusOK {
		return "", statusError(r, body)
	}
	if got := mediaType(r.Header); got != media {
		return "", failed("response has media type %q instead of %q", got, media)
	}
	if r.ProtoMajor == 1 && r.ContentLength < 0 && len(r.TransferEncoding) == 0 {
		// It ends with the connection, so a truncated response would look complete.
		return "", failed("response has no length")
	}
	switch encoding := strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ",")); {
	case encoding == "", encoding == "identity":
		return "", nil
	case encoding == "gzip" && gzipAllowed:
		return encoding, nil
	default:
		return "", failed("response has content encoding %q, which was not requested", encoding)
	}
}

// lokiJSON is the content type of all of Loki's responses (3.7.8).
const lokiJSON = mediaJSON + "; charset=UTF-8"

// mediaType returns the type without its parameters, "" if it is absent or invalid.
func mediaType(h http.Header) string {
	given := h.Get("Content-Type")
	if given == lokiJSON || given == mediaJSON { // nearly always, and parsing takes longer
		return mediaJSON
	}
	media, _, err := mime.ParseMediaType(given)
	if err != nil {
		return ""
	}
	return media
}

// isUnavailable reports whether a status is one with which a server, or a reverse proxy, reports that it cannot serve.
func isUnavailable(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable
}

// unavailableError returns the error of a response with such a status, and closes the response.
func unavailableError(r *http.Response, body io.Reader) error {
	defer r.Body.Close() //nolint:errcheck // what is needed has been read
	message, _, err := readMessage(r, body)
	if err != nil {
		return err
	}
	return &Error{Kind: ErrFailed, Cause: fmt.Errorf("status %d: %s", r.StatusCode, message), noLoki: !isLokis(r, message)}
}

// isLokis reports whether Loki has written an error response, and not a reverse proxy in front of it. Loki's errors (3.7.8,
// pkg/util/server/error.go) are JSON, or text that is marked as not to be sniffed. So are those of proxies written in Go,
// whose texts are constant.
func isLokis(r *http.Response, message string) bool {
	switch mediaType(r.Header) {
	case mediaJSON:
		return true
	case mediaText:
		return r.Header.Get("X-Content-Type-Options") == "nosniff" && message != http.StatusText(r.StatusCode) && message != "no available server"
	default:
		return false
	}
}

// statusError turns every status but 200 into an error.
func statusError(r *http.Response, body io.Reader) error {
	message, readable, err := readMessage(r, body)
	if err != nil {
		return err
	}
	cause := fmt.Errorf("status %d: %s", r.StatusCode, message)
	switch status := r.StatusCode; {
	case status == http.StatusTooManyRequests:
		return &Error{Kind: ErrRateLimited, Cause: cause}
	case status == http.StatusGatewayTimeout, status == http.StatusRequestTimeout:
		return &Error{Kind: ErrTimeout, Cause: cause}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return &Error{Kind: ErrDenied, Cause: cause}
	case status == http.StatusRequestURITooLong, status == http.StatusRequestHeaderFieldsTooLarge,
		status == http.StatusRequestEntityTooLarge && (!readable || !isKnown(message)):
		return &Error{Kind: ErrTooLong, Cause: cause}
	case readable && (isQueryError(status) || status == http.StatusInternalServerError && isMistake(message)):
		return &RefusedError{Status: status, Message: message}
	default:
		return &Error{Kind: ErrFailed, Cause: cause}
	}
}

// isQueryError reports whether a status is about the query. Other 4xx (unknown path, method not allowed) are about
// logfence's settings or a reverse proxy in front of Loki, and are not for the caller. Loki's 413 is about its response.
func isQueryError(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	default:
		return false
	}
}

// maxMessage bounds how much of an error response is read. Loki's messages quote the query and are rarely longer.
const maxMessage = 4 << 10

// readMessage returns the text of an error response. It is readable to a caller if it has one of the media
// types in which Loki writes errors: a proxy's HTML page would be of no use.
func readMessage(r *http.Response, body io.Reader) (message string, readable bool, err error) {
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return "", false, messageError(err)
		}
		body = unzipped
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxMessage))
	if err != nil {
		return "", false, messageError(err)
	}
	switch mediaType(r.Header) {
	case mediaJSON:
		return sanitize(jsonMessage(raw)), true, nil
	case mediaText:
		return sanitize(string(raw)), true, nil
	default:
		return sanitize(string(raw)), false, nil
	}
}

// messageError keeps errors that body has classified; an error of the gzip reader is Loki's failure.
func messageError(err error) error {
	var known *Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return failed("read error response: %w", err)
}

// jsonMessage returns the message from the shapes that Loki uses, else the complete text.
func jsonMessage(raw []byte) string {
	var shape struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}
	switch err := json.Unmarshal(raw, &shape); {
	case err == nil && shape.Error != "":
		return shape.Error
	case err == nil && shape.Message != "":
		return shape.Message
	default:
		return string(raw)
	}
}

// sanitize makes text safe for a log and a terminal: valid UTF-8 without control characters.
func sanitize(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		default:
			return r
		}
	}, s)
	return strings.TrimSpace(s)
}

// body is a response's body. It lasts until Close.
type body struct {
	from     io.ReadCloser
	pool     *pool
	upstream *upstream
	caller   context.Context // it may end while the body is read
	clock    *clock          // runs while it is read
	err      error           // of the read that failed, or io.EOF
	released atomic.Bool
}

// Read returns an error again on every later call: decoders may retry after one, and report the later error.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	b.clock.resume()
	n, err := b.from.Read(p)
	b.clock.pause()
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		b.err = io.EOF
		return n, b.err
	case b.caller.Err() == nil:
		b.pool.triggerHealthCheck(b.upstream)
	}
	b.err = classify(b.caller, b.clock.request, ErrFailed, err)
	return n, b.err
}

// Close closes the connection or stream of a response that was not read to its end, so that Loki stops
// working on it.
func (b *body) Close() error {
	if !b.released.Swap(true) {
		b.upstream.release()
	}
	defer b.clock.stop()
	if err := b.from.Close(); err != nil {
		return fmt.Errorf("close response: %w", err)
	}
	return nil
}
