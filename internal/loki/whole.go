package loki

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// errNotWhole is the error of a response that has ended, by its own account, and is not whole JSON.
var errNotWhole = fmt.Errorf("the response ends in the middle of its JSON: %w", io.ErrUnexpectedEOF)

// wholeTransport fails the bodies of Loki's responses that end before their JSON does. A gateway in front of Loki may end
// a response that broke as if it were complete, and write a Content-Length that fits; passed on, it would be complete to
// the client as well. It lies below what [WithTransport] adds, so that such a response is measured as broken.
type wholeTransport struct{ next http.RoundTripper }

func (t wholeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusOK || mediaType(response.Header) != mediaJSON {
		return response, err
	}
	if encoding := response.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return response, nil // a compressed body that was cut fails where it is decompressed
	}
	response.Body = &wholeBody{ReadCloser: response.Body, length: response.ContentLength}
	return response, nil
}

// wholeBody is a body that has to end with a closing brace, as every response of Loki's does. The end alone is checked: parsing
// would cost more than the rest of the way, and a cut that falls behind a brace is rare.
type wholeBody struct {
	io.ReadCloser

	length, read int64 // of the body, below 0 where it is not known
	last         byte  // the last that is no white space
}

// Read withholds the last piece of a body that is not whole: where the length was announced, the client would otherwise have
// all that it expects.
func (b *wholeBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	for i := n - 1; i >= 0; i-- {
		if c := p[i]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			b.last = c
			break
		}
	}
	ended := errors.Is(err, io.EOF) || b.length >= 0 && b.read >= b.length
	if ended && b.last != '}' {
		return 0, errNotWhole
	}
	return n, err
}
