// Package limits bounds what each tenant may request, and how much of it at once.
//
// Guarantee: no tenant sends more requests, or has more queries, exports or tails in flight, than its
// [Limits] allow, by whatever tokens; a request of several tenants counts for each of them and is held to
// the strictest of their limits. Queries wait for a slot in a bounded queue, and no tenant waits for
// more than one query of each other before its own. What is refused is refused with an [ExceededError]
// that states what was requested, what is allowed and what to do. All of this holds for one process; for all replicas
// together where they share a Redis, as long as it responds.
//
// Not promised here: who the caller is (package auth), what parsing one text may cost (package
// tenancy refuses those), or that a request's parameters make sense (package httpapi).
//
// Rates are golang.org/x/time/rate's. The fair queue is our own because golang.org/x/sync/semaphore serves in
// the order of arrival, so that one tenant's flood holds up all others. The counts in Redis are our own because
// redis_rate counts one key for each call, a round trip for each tenant of a request, and has nothing for what
// a request holds until it ends: leases, which expire when their replica dies.
package limits
