package tenancy

import (
	"crypto/sha256"
	"encoding/binary"
)

// Fingerprint identifies a text together with the scope: two are equal only where the tenants, the further matchers, the
// label and the text are. It says nothing about any of them to whom does not have them, and proves nothing: who sends it
// back has at most the scope of their own token.
func (s Scope) Fingerprint(text string) [sha256.Size]byte {
	var label string
	if s.fence != nil {
		label = s.fence.label
	}
	var b []byte
	for _, part := range [...]string{label, s.identity, text} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return sha256.Sum256(b)
}
