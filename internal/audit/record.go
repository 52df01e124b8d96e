// Package audit records who read what: the access record of each request, and the audit log.
//
// Guarantee: an access record is plain data, without a field for a token, and what looks like a credential in any
// of its texts is removed before it is written (see [Redact]). Where records are required ([Config]), nothing
// is granted before the audit log has taken a record of it: status and size are known only at the end of a
// response, so a first record ("request") is written before its first byte and a second one ("response") at its
// end, both with the request's ID. Should the second be lost, the first still shows who requested what.
//
// Not promised here: that records outlive a machine that loses power: they are handed to the operating system, and
// not synced to the disk.
package audit

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/logfence/logfence/internal/tenant"
)

// AccessRecord describes one request and its outcome. Every field may be empty: a request that was refused early
// has no tenant, or no query.
type AccessRecord struct {
	Time      time.Time // when the request arrived
	RequestID string    // the one in the response, see [RequestID]

	Tenants []tenant.Name // whose data it may read
	// Grants are the grants that the request was decided by, and Generation names the content of their file.
	Grants     []string
	Generation string
	AnyTenant  bool   // they give every tenant, whichever the request is about
	Subject    string // the caller: the token's sub
	Issuer     string // the token's iss

	Operation string    // the operationId of openapi.yaml
	Requested []string  // LogQL as the caller wrote it: one query, or several selectors
	Fenced    []string  // LogQL as it went to Loki, in the same order
	Start     time.Time // the requested time range, for the audit log
	End       time.Time

	// Of a stream of lines: the windows that were read of its range, its lines, how many parts are missing, and why it ended,
	// empty where the client has left.
	Windows, Lines, Gaps int
	Ended                string

	Status   int           // of the response
	Code     string        // the problem's code; empty when granted
	Bytes    int64         // of the response's body, as sent
	Received int64         // bytes of the request's target and body
	Duration time.Duration // until the response's last byte
	Client   netip.Addr    // the address that the request came from

	Cause error // why it was refused or failed: for the log only, never for the caller
	// Unproven reports that the proof of a query's fence failed, which no query should be able to cause.
	Unproven bool
}

// Granted reports whether the request was granted.
func (r AccessRecord) Granted() bool { return r.Code == "" && r.Status < http.StatusBadRequest }

// The outcomes of requests.
const (
	OutcomeGranted = "granted"
	OutcomeRefused = "refused"
	OutcomeFailed  = "failed"
)

// Outcome reports whether the request was granted, refused, or failed for a reason that is not the caller's.
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
