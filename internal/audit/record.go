// Package audit keeps the account of who read what: the access record of each request, and the audit log.
//
// Guarantee: an access record is plain data, without a field for a token, and what looks like a credential in any
// of its texts is removed before it is written (see [Redact]). Where records are required ([Config]), nothing
// is granted before the audit log has taken a record of it: status and size are known only at the end of a
// response, so a first record ("asked") is written before its first byte and a second one ("answered") at its
// end, both with the request's ID. Should the second be lost, the first still shows who requested what.
//
// Not promised here: that records outlive a machine that loses power: they are handed to the operating system, and
// not synced to the disk.
package audit

import (
	"net/http"
	"net/netip"
	"time"
)

// AccessRecord is what was decided about one request and what came of it. Every field may be empty: a
// request that was refused early has no tenant, or no query.
type AccessRecord struct {
	Time      time.Time // when the request arrived
	RequestID string    // the one that the answer carries, see [RequestID]

	Tenants []string // whose data it may read
	Subject string   // who asked: the token's sub
	Issuer  string   // who says so: the token's iss

	Operation string    // the operationId of openapi.yaml
	Asked     []string  // LogQL as the caller wrote it: one text, or several selectors
	Fenced    []string  // LogQL as it went to Loki, in the same order
	Start     time.Time // the span of time asked for, for the audit
	End       time.Time

	Status   int           // of the answer
	Code     string        // the problem's code; empty when granted
	Bytes    int64         // of the answer's body, as sent
	Received int64         // bytes of the request's target and body
	Duration time.Duration // until the answer's last byte
	Client   netip.Addr    // where the request came from

	Cause error // why it was refused or failed: for the log only, never for the caller
	// Unproven says that the proof of a query's fence failed, which no query should be able to bring about.
	Unproven bool
}

// Granted says whether the request was answered with what it asked for.
func (d AccessRecord) Granted() bool { return d.Code == "" && d.Status < http.StatusBadRequest }

// The outcomes of requests.
const (
	OutcomeGranted = "granted"
	OutcomeRefused = "refused"
	OutcomeFailed  = "failed"
)

// Outcome is whether the request was granted, refused, or failed for a reason that is not the caller's.
func (r AccessRecord) Outcome() string {
	switch {
	case r.Granted():
		return OutcomeGranted
	case r.Status < http.StatusBadRequest || r.Status == statusClientClosed || r.Status >= http.StatusInternalServerError:
		return OutcomeFailed
	default:
		return OutcomeRefused
	}
}

// statusClientClosed stands for a client that disconnected; nobody receives it.
const statusClientClosed = 499
