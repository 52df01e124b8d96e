package loki

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Wall is a layer of Loki's own that confines requests beside the fence. It is never relied on.
type Wall int

// What a probe found.
const (
	WallUnknown Wall = iota // not probed, or the response said neither
	WallAbsent
	WallPresent
)

// String is the state in /readyz.
func (w Wall) String() string {
	switch w {
	case WallAbsent:
		return "absent"
	case WallPresent:
		return "present"
	default:
		return "unknown"
	}
}

// Walls are what Loki has of them.
type Walls struct {
	// RequiredLabels is limits_config.required_labels with the tenant's label: Loki refuses range queries, patterns and detected
	// fields whose selectors lack it. It checks that the label is there, not its value.
	RequiredLabels Wall
	// QueryLimits is querier.per_request_limits_enabled: requests carry the required label themselves, and queries their Bounds.
	QueryLimits Wall
	// LabelPolicies is lbac.enabled: requests carry the tenants' selector as a policy, which Loki applies to all that it reads.
	LabelPolicies Wall
}

// probeQuery is a LogQL text that no fence has made: a constant that selects nothing, since no label has two values, and
// whose response is not read but for its status and error. The probe of label policies is the only other one.
const probeQuery = `{logfence_probe="a",logfence_probe="b"}`

// probeLabel is a label that is required of a probe alone.
const probeLabel = "logfence_probe_required"

// probeHours is how far the probe of label policies looks for a line.
const probeHours = time.Hour

// ProbeWalls finds out which walls Loki has for streams with the tenant's label. Where it finds QueryLimits, all later requests for
// tenants carry the required label, and queries their bounds; where it finds LabelPolicies, the tenants' policy. It is called before
// requests are sent. With an organization for each tenant there is none to
// probe with, and all is unknown.
func (c *Client) ProbeWalls(ctx context.Context, label string) Walls {
	if c.org.isTemplate() {
		return Walls{}
	}
	requiring := http.Header{headerQueryLimits: {queryLimits{RequiredLabels: []string{probeLabel}}.text()}}
	w := Walls{
		RequiredLabels: c.probeWall(ctx, nil, label), QueryLimits: c.probeWall(ctx, requiring, probeLabel),
		LabelPolicies: c.probePolicies(ctx, label),
	}
	if w.QueryLimits == WallPresent {
		c.requiredLabel = label
	}
	if w.LabelPolicies == WallPresent {
		c.policyLabel = label
	}
	return w
}

// probeWall reports whether Loki refuses the probe for want of the label.
func (c *Client) probeWall(ctx context.Context, header http.Header, label string) Wall {
	response, done, err := c.sendProbe(ctx, probeQuery, time.Minute, header) //nolint:bodyclose // closed by done
	if err != nil {
		return WallUnknown
	}
	defer done()
	if response.StatusCode == http.StatusOK {
		return WallAbsent
	}
	return wallOf(statusError(response, response.Body), label)
}

// sendProbe requests one line of the last hours or minutes. The caller calls done when it has read what it needs.
func (c *Client) sendProbe(ctx context.Context, query string, since time.Duration, header http.Header) (_ *http.Response, done func(), _ error) {
	now := time.Now()
	params := url.Values{
		"query": {query}, "limit": {"1"},
		"start": {strconv.FormatInt(now.Add(-since).UnixNano(), 10)}, "end": {strconv.FormatInt(now.UnixNano(), 10)},
	}
	timed, cancel := c.withDeadline(ctx, RequestOptions{})
	var response *http.Response
	e, err := c.doWithRetry(timed, func(attempt context.Context, e *upstream) error {
		request, err := c.newRequest(attempt, e, RequestOptions{}, apiPrefix+pathQueryRange, encoded{text: params.Encode()})
		if err != nil {
			return err
		}
		for name, values := range header {
			request.Header[name] = values
		}
		response, err = c.roundTripper.RoundTrip(request) //nolint:bodyclose // closed by done
		if err != nil {
			return classify(ctx, timed, ErrUnreachable, err)
		}
		return nil
	})
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return response, func() {
		_ = response.Body.Close() // what is needed has been read
		e.release()
		cancel()
	}, nil
}

// wallOf reads a refusal. Loki (3.7.8, ErrQueryMissingLabels…): "stream selector is missing required matchers [a, b], labels
// present in the query were [c]".
func wallOf(err error, label string) Wall {
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
		return WallUnknown
	}
	_, after, found := strings.Cut(refused.Message, "missing required matchers [")
	missing, _, closed := strings.Cut(after, "]")
	if !found || !closed {
		return WallUnknown
	}
	for _, name := range strings.FieldsFunc(missing, func(r rune) bool { return r == ',' || r == ' ' }) {
		if name == label {
			return WallPresent
		}
	}
	return WallAbsent
}

// String lists the walls for the log.
func (w Walls) String() string {
	return fmt.Sprintf("required_labels: %s, per_request_limits: %s, label_policies: %s", w.RequiredLabels, w.QueryLimits, w.LabelPolicies)
}
