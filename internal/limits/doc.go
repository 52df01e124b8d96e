// Package limits says what each tenant may ask for, and how much of it at once.
//
// Guarantee: no tenant sends more requests, and has more queries, exports or tails under way, than its
// [Limits] allow, by whatever tokens; a request of several tenants counts for each of them and is held to
// the strictest of their limits. Queries wait for a slot in a bounded queue, and no tenant waits for
// more than one query of each other before its own. What is refused is refused with an [ExceededError]
// that says what was asked, what is allowed and what to do. All of this is of one process; of all replicas
// together where they share a Redis, as long as that answers.
//
// Not promised here: who the caller is (package auth), what parsing one text may cost (package
// tenancy refuses those), or that a request's parameters make sense (package httpapi).
//
// Rates are golang.org/x/time/rate's. The fair queue is our own because golang.org/x/sync/semaphore serves in
// the order of arrival, so that one tenant's flood holds up all others. The counts in Redis are our own because
// redis_rate counts one key for each call, a round trip for each tenant of a request, and has nothing for what
// a request holds until it ends: leases, which expire when their replica dies.
package limits
