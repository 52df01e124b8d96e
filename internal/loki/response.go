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

// Response is what Loki answered: JSON, as yet unread. Whoever gets one closes its Body, which also ends
// what Loki still does for it.
type Response struct {
	// ContentEncoding is "" or, only where [RequestOptions] allowed it, "gzip".
	ContentEncoding string
	// Length is of the body in bytes, as it comes; below 0 where Loki does not say.
	Length int64
	// Body fails with an [Error] or with the error of the caller's context: an answer that ends without
	// io.EOF is not whole.
	Body io.ReadCloser
}

// getEncoded sends one request to a path of Loki's API and hands over the answer as it comes.
func (c *Client) getEncoded(ctx context.Context, options RequestOptions, path string, params encoded) (*Response, error) {
	return c.send(ctx, options, "/loki/api/v1/"+path, params, mediaJSON)
}

func (c *Client) send(ctx context.Context, options RequestOptions, path string, params encoded, media string) (*Response, error) {
	timed, cancel := c.withDeadline(ctx, options)
	var response *http.Response
	e, err := c.doWithRetry(timed, func(attempt context.Context, e *upstream) error {
		request, err := c.newRequest(attempt, e, options, path, params)
		if err != nil {
			return err
		}
		// Not by an http.Client, which would follow redirects, and clones headers to be able to.
		response, err = c.roundTripper.RoundTrip(request) //nolint:bodyclose // body closes it, for which the caller or a statusError below sees
		if err != nil {
			return classify(ctx, timed, ErrUnreachable, err) // while its state can be read
		}
		if response.StatusCode == http.StatusSwitchingProtocols {
			// What net/http gives for a body is then the connection itself, which no deadline ends.
			_ = response.Body.Close()
			return failed("switched protocols, which was not requested")
		}
		return nil
	})
	if err != nil {
		cancel()
		return nil, err
	}
	if isGatewayError(response.StatusCode) {
		c.pool.triggerHealthCheck(e)
	}
	body := &body{from: response.Body, pool: c.pool, upstream: e, caller: ctx, request: timed, cancel: cancel}
	encoding, err := checkResponse(response, body, options.AcceptGzip, media)
	if err != nil {
		body.Close() //nolint:errcheck,gosec // the answer is not wanted
		return nil, err
	}
	return &Response{ContentEncoding: encoding, Length: response.ContentLength, Body: body}, nil
}

// checkResponse lets an answer pass that is 200, of the media type expected, and encoded as we allowed. All
// else is an error; nothing of it but Loki's refusals is ever shown to a caller.
func checkResponse(r *http.Response, body io.Reader, gzipAllowed bool, media string) (encoding string, err error) {
	if r.StatusCode != http.StatusOK {
		return "", statusError(r, body)
	}
	if got := mediaType(r.Header); got != media {
		return "", failed("answer of media type %q instead of %q", got, media)
	}
	if r.ProtoMajor == 1 && r.ContentLength < 0 && len(r.TransferEncoding) == 0 {
		// It ends when the connection does, so that half of it would look whole.
		return "", failed("answer of unknown length")
	}
	switch encoding := strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ",")); {
	case encoding == "", encoding == "identity":
		return "", nil
	case encoding == "gzip" && gzipAllowed:
		return encoding, nil
	default:
		return "", failed("answer in content encoding %q, which was not asked for", encoding)
	}
}

// lokiJSON is what Loki (3.7.8) says of all its answers.
const lokiJSON = mediaJSON + "; charset=UTF-8"

// mediaType is the type without its parameters, "" where there is none or it cannot be read.
func mediaType(h http.Header) string {
	given := h.Get("Content-Type")
	if given == lokiJSON {
		return mediaJSON
	}
	media, _, err := mime.ParseMediaType(given)
	if err != nil {
		return ""
	}
	return media
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
	case readable && isQueryError(status):
		return &RefusedError{Status: status, Message: message}
	default:
		return &Error{Kind: ErrFailed, Cause: cause}
	}
}

// isQueryError tells which statuses are Loki's word on a query. Others of the 4xx (no organization, no such
// path, not allowed) speak of logfence's own settings or of what stands before Loki, and would tell a
// caller what it has no part in.
func isQueryError(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	default:
		return false
	}
}

// maxMessage is how much is read of a refusal: Loki's own quote the query and are rarely longer.
const maxMessage = 4 << 10

// readMessage gives the text of an error answer. It is readable to a caller if it came in one of the
// types in which Loki writes its errors: a proxy's HTML page would be of no use.
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

// messageError keeps what body has classified; a gzip reader's own complaints are Loki's failure.
func messageError(err error) error {
	var known *Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return failed("read error answer: %w", err)
}

// jsonMessage finds the message in the shapes that Loki uses; failing that it is all of the text.
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

// sanitize makes text fit for a log and a terminal: valid UTF-8 without control characters.
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

// body is a response's. It ends with Close.
type body struct {
	from     io.ReadCloser
	pool     *pool
	upstream *upstream
	caller   context.Context    //nolint:containedctx // it may end while the body is read
	request  context.Context    //nolint:containedctx // as above
	cancel   context.CancelFunc // of request
	err      error              // of the read that failed, or io.EOF
	released atomic.Bool
}

// Read repeats an error at every later read: decoders may try again after one, and report what they get then.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.from.Read(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		b.err = io.EOF
		return n, b.err
	case b.caller.Err() == nil:
		b.pool.triggerHealthCheck(b.upstream)
	}
	b.err = classify(b.caller, b.request, ErrFailed, err)
	return n, b.err
}

// Close ends, with the connection or stream, whatever Loki still does for a response that was not read to its
// end.
func (b *body) Close() error {
	if !b.released.Swap(true) {
		b.upstream.release()
	}
	defer b.cancel()
	if err := b.from.Close(); err != nil {
		return fmt.Errorf("close response: %w", err)
	}
	return nil
}
