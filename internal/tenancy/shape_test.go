package tenancy

import (
	"strings"
	"testing"
	"time"
)

// TestShape guarantees what the limits on queries are about: what stands in what, how many selectors, and
// the longest range in brackets, wherever they are; and that a query which is remembered has it as well.
func TestShape(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, tt := range []struct {
		name, query string
		want        Shape
	}{
		{"lines", `{a="b"} |= "x" | json | y="z" or w="v"`, Shape{1, 1, 0}},
		{"no selector", `vector(1)`, Shape{1, 0, 0}},
		{"a range", `rate({a="b"}[5m])`, Shape{2, 1, 5 * time.Minute}},
		{"an offset reads no more", `rate({a="b"}[5m] offset 30d)`, Shape{2, 1, 5 * time.Minute}},
		{"unwrapped", `sum_over_time({a="b"} | unwrap duration(x) [1h])`, Shape{2, 1, time.Hour}},
		{"nested", `topk(3, sum by (x) (rate({a="b"}[1m])))`, Shape{4, 1, time.Minute}},
		{"in label_replace", `label_replace(sum(rate({a="b"}[2d])), "a", "$1", "b", "(.*)")`, Shape{4, 1, 48 * time.Hour}},
		{"the longest of several", `rate({a="b"}[1m]) / rate({a="b"}[30d])`, Shape{3, 2, 720 * time.Hour}},
		{"on the left", `rate({a="b"}[30d]) / rate({a="b"}[1m])`, Shape{3, 2, 720 * time.Hour}},
		{"a number beside", `sum(rate({a="b"}[1m])) * 100`, Shape{4, 1, time.Minute}},
		{"a chain is one level", `1` + strings.Repeat(` + rate({a="b"}[1m])`, 40), Shape{3, 40, time.Minute}},
		{"in parentheses it is nested", `1 + (1 + (1 + vector(1)))`, Shape{4, 0, 0}},
	} {
		for _, when := range []string{"cold", "remembered"} {
			q, err := s.Query(tt.query)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			} else if q.Shape() != tt.want {
				t.Errorf("%s, %s: %+v, want %+v", tt.name, when, q.Shape(), tt.want)
			}
		}
	}
}
