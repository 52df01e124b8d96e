// Package conformance tests openapi.yaml from outside: with arbitrary requests, and with a user's typical work.
//
// Guarantee: for any request, to an operation of the spec or to none, the response is one that the spec declares,
// never a fault of the server's (5xx), and holds nothing of another tenant's; and any LogQL that arrives at Loki is
// confined to the caller. The workflow in day.arazzo.yaml, a user's day, passes as well, validated by a second
// implementation of OpenAPI.
//
// Not promised here: that each declared status occurs (package httpapi), that responses are correct (package
// e2e), or that a query is fenced without a change of its meaning (package tenancy).
package conformance
