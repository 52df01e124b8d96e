// Package e2e has the end-to-end tests: the real logfence in front of a real Loki, with real tokens
// and the real logcli.
//
// Guarantee: what a tenant receives through logfence, from a Loki that holds other tenants' logs,
// look-alikes' and nobody's as well, is what a Loki that holds the tenant's logs alone returns when it
// is queried directly; and no response contains what marks the others' logs. Every response is validated
// against openapi.yaml.
//
// Not promised here: each status and each refusal, which package httpapi tests, and every text that
// the fence meets, which package tenancy does.
package e2e
