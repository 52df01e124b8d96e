package audit

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/oklog/ulid/v2"
)

// HeaderRequestID is the header that carries a request's id, in and out.
const HeaderRequestID = "X-Request-Id"

// RequestID returns the ID of a request: the caller's own if it is 1 to 64 characters of [A-Za-z0-9._-], so
// that a trace through several services keeps one ID and no log line can be forged with it; otherwise
// a new ULID, which sorts by time.
func RequestID(incoming string) string {
	if validRequestID(incoming) {
		return incoming
	}
	// Not by ulid.Make: that one is seeded with the time, which replicas share. The library's own generator is
	// seeded by the system, for each process anew.
	var (
		id      ulid.ULID
		entropy [10]byte
	)
	binary.NativeEndian.PutUint64(entropy[:], rand.Uint64())          //nolint:gosec // an id is no secret
	binary.NativeEndian.PutUint16(entropy[8:], uint16(rand.N(1<<16))) //nolint:gosec // as above
	if err := errors.Join(id.SetTime(ulid.Timestamp(time.Now())), id.SetEntropy(entropy[:])); err != nil {
		panic(err) // the year is 10889, or an ULID's entropy is not 10 bytes
	}
	return id.String()
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
