package web

import (
	"bytes"
	"compress/gzip"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// AcceptsGzip reports whether a request accepts gzip (RFC 9110, section 12.5.3): by name, or by `*` where
// gzip is not named. An invalid element is ignored: identity is always accepted.
func AcceptsGzip(h http.Header) bool {
	wildcard := false
	for _, list := range h["Accept-Encoding"] {
		for element := range strings.SplitSeq(list, ",") {
			coding, weight, err := parseCoding(element)
			switch {
			case err != nil:
			case coding == "gzip":
				return weight > 0
			case coding == "*":
				wildcard = weight > 0
			}
		}
	}
	return wildcard
}

// parseCoding is one element of Accept-Encoding, its coding in lower case.
func parseCoding(element string) (coding string, weight float64, err error) {
	coding, params, err := mime.ParseMediaType(element)
	if err != nil {
		return "", 0, err
	}
	q, weighted := params["q"]
	if !weighted {
		return coding, 1, nil
	}
	weight, err = strconv.ParseFloat(q, 64)
	return coding, weight, err
}

// compress never fails: it writes to memory, at a level that exists.
func compress(content []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err)
	}
	if _, err := z.Write(content); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
