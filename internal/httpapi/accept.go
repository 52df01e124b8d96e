package httpapi

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// The media types of lines.
const (
	mediaEvents = "text/event-stream"
	mediaNDJSON = "application/x-ndjson"
)

// lineMedia are those that lines are served as. The first is the default.
var lineMedia = []string{echo.MIMEApplicationJSON, mediaEvents, mediaNDJSON}

// maxAccept bounds the elements of an Accept header that are read.
const maxAccept = 64

// negotiate returns the media type that a request accepts best (RFC 9110, section 12.5.1): the first offer among those with
// the highest quality; without the header the first one. Invalid elements are ignored; ok is false where none is left.
func negotiate(h http.Header, offers []string) (media string, ok bool) {
	accept := strings.Join(h.Values(echo.HeaderAccept), ",")
	if strings.TrimSpace(accept) == "" {
		return offers[0], true
	}
	ranges := strings.SplitN(accept, ",", maxAccept+1)
	if len(ranges) > maxAccept {
		ranges = ranges[:maxAccept]
	}
	best := 0.
	for _, offer := range offers {
		if q := quality(ranges, offer); q > best {
			media, best = offer, q
		}
	}
	return media, best > 0
}

// quality is that of the most specific range that has the media type; 0 where none has.
func quality(ranges []string, offer string) float64 {
	kind, _, _ := strings.Cut(offer, "/")
	found, specific := 0., -1
	for _, text := range ranges {
		name, params, err := mime.ParseMediaType(text)
		if err != nil {
			continue
		}
		how := -1
		switch name {
		case offer:
			how = 2
		case kind + "/*":
			how = 1
		case "*/*":
			how = 0
		}
		if how <= specific {
			continue
		}
		q := 1.
		if given, weighted := params["q"]; weighted {
			if q, err = strconv.ParseFloat(given, 64); err != nil || !(q >= 0 && q <= 1) {
				continue
			}
		}
		found, specific = q, how
	}
	return found
}
