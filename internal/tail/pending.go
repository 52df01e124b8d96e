package tail

import (
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// pending are lines of Loki's tail that are about to be delivered.
type pending struct {
	entries []loki.Entry
	prints  []uint64
	drops   Drops
	reader  *reader
	size    int64 // as the reader counts them
}

// collect takes the lines of a frame that were not fetched and have not just come, and returns their fingerprints.
func (s *stream) collect(p *pending, r *reader, frame loki.Frame) []uint64 {
	p.reader = r
	before := len(p.prints)
	p.size += sizeOf(frame)
	if s.fetched != nil && time.Now().After(s.fetchedUntil) {
		s.fetched = nil
	}
	for _, e := range frame.Entries {
		f := fingerprint(e)
		if _, fetched := s.fetched[f]; !fetched && s.recent.add(f) {
			p.entries, p.prints = append(p.entries, e), append(p.prints, f)
		}
	}
	p.drops.Loki += len(frame.Dropped)
	room := max(0, maxNamedDrops-len(p.drops.Named))
	p.drops.Named = append(p.drops.Named, frame.Dropped[:min(room, len(frame.Dropped))]...)
	s.lastSeen = s.hub.now()
	return p.prints[before:]
}

// flush delivers what is pending.
func (s *stream) flush(p *pending) {
	if p.size == 0 {
		return
	}
	for b := range s.split(p.entries, p.prints, p.drops) {
		s.ring.push(b)
	}
	p.reader.done(p.size)
	*p = pending{}
	s.lastPush = time.Now()
}
