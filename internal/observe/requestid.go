package observe

import (
	"crypto/rand"
	"time"

	"github.com/oklog/ulid/v2"
)

// HeaderRequestID is the header that carries a request's id, in and out.
const HeaderRequestID = "X-Request-Id"

// RequestID is the id of a request: the caller's own if it is 1 to 64 characters of [A-Za-z0-9._-], so
// that a trace through several services keeps one id and no log line can be forged with it; otherwise
// a new ULID, which sorts by time.
func RequestID(incoming string) string {
	if validRequestID(incoming) {
		return incoming
	}
	// From crypto/rand, not ulid.Make: that one is seeded with the time, which replicas share.
	return ulid.MustNew(ulid.Timestamp(time.Now()), rand.Reader).String()
}

func validRequestID(id string) bool {
	if len(id) == 0 || len(id) > 64 || Redact(id) != id {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
