// Package tail follows the lines of queries as they arrive, for any number of viewers.
//
// Guarantee: each viewer gets each line once, across Loki's restarts and closed tails too, and dropped lines are
// counted. Viewers share what is read where the tenants, the organization and the fenced text of their queries are all
// equal, and in no other case. What is held is bounded, however slow a viewer is; a tail ends with an [EndError] with
// the reason. Close leaves nothing running.
//
// Not promised here: lines that Loki's own tail drops without reporting it (see package loki), lines that
// arrive late, by more than a few seconds, while Loki is down, lines that Loki's tail brings again more than 2,048
// lines later, or who may read what (package tenancy).
//
// # Streams
//
// A [Hub] has a stream for each [Key]. It reads from Loki with a context and limits of its own: it carries no viewer's
// subject, tag or token, outlives the viewer that it was made for, and ends some time after the last one. Loki's tail
// alone misses lines while it begins, and what arrives while it is closed. So a stream is Loki's tail, and a query for
// what may have been missed each time that one begins. What it reads becomes batches in a ring, each encoded once for
// all viewers. The ring is bounded, and its memory is that of the tenants.
//
// # Viewers
//
// A viewer is a position in the ring. One that comes late begins with lines of the ring where it has all that is
// wanted. Otherwise it takes its place at the ring's end, queries what is before, and leaves out what the ring brings
// again: it knows these lines by their fingerprints, until a line of the query can no longer be on its way. A viewer that
// is slow finds the oldest batches dropped, and how many lines those were; but missed lines, which could all come at once, wait for
// viewers that read. A delay holds lines back for one viewer alone.
//
// # Positions
//
// An id is a [Cursor]: the newest timestamp, and which lines of that nanosecond were delivered. That is enough to
// resume on any replica. Ids of a ring's batches also have a number, by which the ring finds the position again, late
// lines included. While a viewer leaves lines out, its ids are its own: what it has received is not what the ring has
// delivered.
package tail
