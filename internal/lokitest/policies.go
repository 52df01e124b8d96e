package lokitest

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
)

// LabelPolicies has the fake confine requests by X-Prom-Label-Policy, as Loki's main branch does with lbac.enabled
// (pkg/labelaccess): policies of the request's organization are ORed, those of others have no effect, and without one nothing is
// confined.
func (l *Loki) LabelPolicies() {
	l.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var policies [][]*labels.Matcher
		for _, value := range r.Header.Values("X-Prom-Label-Policy") {
			for policy := range strings.SplitSeq(value, ",") {
				org, escaped, found := strings.Cut(policy, ":")
				selector, err := url.PathUnescape(escaped)
				if err != nil || !found {
					fail(w, http.StatusBadRequest, "invalid label policy header value")
					return
				}
				matchers, err := syntax.ParseMatchers(selector, true)
				if err != nil {
					fail(w, http.StatusBadRequest, "invalid label policy header value: "+err.Error())
					return
				}
				if org == r.Header.Get("X-Scope-OrgID") {
					policies = append(policies, matchers)
				}
			}
		}
		confined := &Loki{Now: l.Now}
		for _, s := range l.snapshot() {
			if allowed(s.labels, policies) {
				confined.streams = append(confined.streams, s)
			}
		}
		confined.serve(w, r)
	}))
}

func allowed(set labels.Labels, policies [][]*labels.Matcher) bool {
	for _, policy := range policies {
		all := true
		for _, m := range policy {
			all = all && m.Matches(set.Get(m.Name))
		}
		if all {
			return true
		}
	}
	return len(policies) == 0
}
