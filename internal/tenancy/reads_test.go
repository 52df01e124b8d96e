package tenancy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/tenant"
)

// TestReads guarantees that what a query is said to read is each of its selectors with the scope's matchers, and the
// range and offset that it stands in; and that only a query which ends with its last line is not said to read it all.
func TestReads(t *testing.T) {
	fence, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	scope, err := fence.Scope(tenant.Names([]string{"acme"}), "")
	if err != nil {
		t.Fatal(err)
	}
	const own = `tenant_id="acme"`
	for _, tt := range []struct {
		text string
		want []string // selector, range, offset
		all  bool
	}{
		{`{app="web"}`, []string{`{` + own + `, app="web"} 0s 0s`}, false},
		{`{app="web"} | json | line_format "{{.a}}"`, []string{`{` + own + `, app="web"} 0s 0s`}, false},
		{`{app="web"} |= "x"`, []string{`{` + own + `, app="web"} 0s 0s`}, true},
		{`{app="web"} | json | level="error"`, []string{`{` + own + `, app="web"} 0s 0s`}, true},
		{`rate({app="web"}[5m] offset 1h)`, []string{`{` + own + `, app="web"} 5m0s 1h0m0s`}, true},
		{`rate({app="web"}[5m] offset -1h)`, []string{`{` + own + `, app="web"} 5m0s -1h0m0s`}, true},
		{`sum by (a) (rate({app="web"} | json [5m])) / ignoring(a) group_left sum(rate({app=~"w.b"}[1h])) + count_over_time({}[1d] offset 2d)`, []string{
			`{` + own + `, app="web"} 5m0s 0s`, `{` + own + `, app=~"w.b"} 1h0m0s 0s`, `{` + own + `} 24h0m0s 48h0m0s`,
		}, true},
		{`label_replace(rate({app="web"}[1m]), "a", "$1", "b", "(.*)")`, []string{`{` + own + `, app="web"} 1m0s 0s`}, true},
		{"absent_over_time({app=`a\"b\n`}[1m])", []string{`{tenant_id=~"acme", app="a\"b\n"} 1m0s 0s`}, true},
		{`vector(1)`, nil, true},
	} {
		t.Run(tt.text, func(t *testing.T) {
			q, err := scope.Query(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			for _, cached := range []bool{false, true} {
				if _, ok := fence.CachedReads(q); ok != cached {
					t.Errorf("cached %t", ok)
				}
				reads, err := fence.Reads(q)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, r := range reads {
					got = append(got, fmt.Sprintf("%s %s %s", r.Selector.LogQL(), r.Range, r.Offset))
					if names := r.Selector.Tenants(); len(names) != 1 || names[0] != "acme" {
						t.Errorf("tenants %v", names)
					}
				}
				if strings.Join(got, "\n") != strings.Join(tt.want, "\n") || q.ReadsAll() != tt.all {
					t.Errorf("reads\n got %q, all %t\nwant %q, all %t", got, q.ReadsAll(), tt.want, tt.all)
				}
			}
		})
	}
	if _, err := fence.Reads(Query{}); err == nil {
		t.Error("the zero query reads something")
	}
}

// TestNewerNames guarantees that the error of a query with a function of newer Lokis says so, and that of no other.
func TestNewerNames(t *testing.T) {
	fence, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	scope, err := fence.Scope(tenant.Names([]string{"acme"}), "")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		`approx_count_distinct(user, {app="web"}[5m])`:        true,
		`sum(approx_count_distinct({app="web"} | json [5m]))`: true,
		`approx_count_distinkt({app="web"}[5m])`:              false,
		`{app="web"} | approx > `:                             false,
		`rate({app="web"} |= "approx_count_distinct" [5m]) +`: false,
	} {
		_, err := scope.Query(text)
		if err == nil || strings.Contains(err.Error(), "newer versions of Loki") != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}
