// Package limits says what a query may cost.
//
// Guarantee: no more callers hold a turn at once than [TurnsConfig] allows, no tenant waits for
// more than one turn of each other tenant before its own, and what waits is bounded; and a query
// that [Config] finds too wide or too long is refused with an [ExceededError] that says by how
// much and what to do.
//
// Not promised here: who the caller is (package auth), what parsing one text may cost (package
// tenancy refuses those), or that a request's parameters make sense (package httpapi).
package limits
