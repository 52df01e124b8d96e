package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/tenancy"
)

// The Loki-compatible surface is as tolerant as Loki 3.7.8: clients of ten years send it parameters that it does not
// have, or without a value. That is safe here since the request to Loki is built from what was read, and from nothing
// else. What two readers could take for different requests is refused on this surface as well.

// legacyRegexp is a parameter that Loki still reads where it has the query of a client of its first years.
const legacyRegexp = "regexp"

// seriesNames are the two names of one parameter, which Loki reads as one list.
var seriesNames = []string{"match", "match[]"}

// readTolerantly reads a request's parameters as Loki does, from the URL and from the form.
func (o *operation) readTolerantly(r *http.Request, maxBody int64) (url.Values, error) {
	values, err := parsePairs(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	switch {
	case o.body == bodyForm && r.ContentLength != 0:
		body, err := readBody(r, echo.MIMEApplicationForm, maxBody)
		if err != nil {
			return nil, err
		}
		form, err := parsePairs(string(body))
		if err != nil {
			return nil, err
		}
		if err := o.merge(values, form); err != nil {
			return nil, err
		}
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return nil, parameterInvalid("", "This request takes no body; parameters go into the URL.")
	}
	return o.known(values)
}

// merge adds the form to the parameters of the URL. Loki takes the form's where both have one; a proxy on the way may
// have looked at the other.
func (o *operation) merge(values, form url.Values) error {
	for name, given := range form {
		_, known := o.repeats[name]
		if _, both := values[name]; both && known && !slices.Contains(seriesNames, name) {
			return parameterInvalid(name, "%s is in the URL and in the form. Send it once.", name)
		}
		values[name] = append(values[name], given...)
	}
	return nil
}

// known leaves of the values those of parameters that the operation has, as Loki would read them, and checks those that
// Loki checks although it does not use them here.
func (o *operation) known(values url.Values) (url.Values, error) {
	for name, given := range values {
		repeats, known := o.repeats[name]
		if !known && name != legacyRegexp && !slices.Contains(lokiReads[o.route.Path], name) {
			delete(values, name)
			continue
		}
		if len(given) > 1 && !repeats {
			return nil, parameterInvalid(name, "%s is given %d times. Send it once.", name, len(given))
		}
		if err := checkText(name, given); err != nil {
			return nil, err
		}
		given = slices.DeleteFunc(given, func(value string) bool { return value == "" && o.ignoresEmpty })
		if values[name] = given; len(given) == 0 {
			delete(values, name)
		}
	}
	if err := readAsLoki(o.route.Path, values); err != nil {
		return nil, err
	}
	for name := range values {
		if _, known := o.repeats[name]; !known && name != legacyRegexp {
			delete(values, name)
		}
	}
	return values, o.checkRequired(values)
}

// checkRequired refuses a request without a query as Loki's parser does: it sees no query as an empty one.
func (o *operation) checkRequired(values url.Values) error {
	for _, name := range o.required {
		if len(values[name]) == 0 {
			return codeQueryInvalid.problem(nil, "%s", emptyQuery)
		}
	}
	return nil
}

// emptyQuery is what Loki's parser reports of an empty text.
const emptyQuery = "syntax error: unexpected $end"

// encodingFlags rewrites the header of encoding flags to the one flag that there is, or removes it. Loki (3.7.8,
// pkg/util/httpreq) splits it at commas and ignores what it does not know.
func encodingFlags(h http.Header) {
	given := h.Get(headerEncodingFlags)
	h.Del(headerEncodingFlags)
	if slices.Contains(strings.Split(given, ","), flagCategorize) {
		h.Set(headerEncodingFlags, flagCategorize)
	}
}

// withLegacyRegexp returns the query with the request's regexp as a line filter at its end, as Loki appends it to a log
// query (parseRegexQuery in its pkg/loghttp). The text is fenced as any other. On its own line, since a query may end
// with a comment.
func (s *Server) withLegacyRegexp(c echo.Context, text string) (string, error) {
	pattern := c.QueryParams().Get(legacyRegexp)
	if pattern == "" {
		return text, nil
	}
	who := callerOf(c)
	if err := who.limits.CheckQuery(len(text)); err != nil {
		return "", err
	}
	q, err := s.newQuery(c.Request().Context(), who, text)
	if err != nil || q.Kind() != tenancy.KindLogs {
		return text, nil //nolint:nilerr // an error of the text itself is reported where it is fenced to be sent
	}
	return text + "\n|~ " + strconv.Quote(pattern), nil
}
