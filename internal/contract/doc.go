// Package contract holds the tests of openapi.yaml as a promise to strangers: what anybody may send, and
// what a person does in a day.
//
// Guarantee: whatever is sent, of the operations that the spec describes or of none, the answer is one that
// the spec declares, never a fault of the server's (5xx), and holds nothing of another tenant's; and
// whatever LogQL arrives at Loki is confined to the caller. A day's work, written down in day.arazzo.yaml
// for people to read, goes as the spec says as well, in the judgement of a second implementation of OpenAPI.
//
// Not promised here: that each declared status occurs (package httpapi), that answers are right (package
// e2e), or that a text is fenced without a change of its meaning (package tenancy).
package contract
