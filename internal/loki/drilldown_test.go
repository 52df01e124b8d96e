package loki_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tenancy"
)

// TestDrilldownTag guarantees that Logs Drilldown's tag is sent with queries alone: with patterns only where the operator
// has allowed it, and with nothing where the caller's request does not have it.
func TestDrilldownTag(t *testing.T) {
	operations := []struct {
		path string
		send func(context.Context, *loki.Client, loki.RequestOptions) (*loki.Response, error)
	}{
		{"query_range", func(ctx context.Context, c *loki.Client, o loki.RequestOptions) (*loki.Response, error) {
			return c.QueryRange(ctx, o, query(t, `{app="web"}`), rangeOf(noon))
		}},
		{"query", func(ctx context.Context, c *loki.Client, o loki.RequestOptions) (*loki.Response, error) {
			return c.QueryInstant(ctx, o, query(t, `count_over_time({app="web"}[5m])`), loki.InstantParams{Time: noon})
		}},
		{"patterns", func(ctx context.Context, c *loki.Client, o loki.RequestOptions) (*loki.Response, error) {
			return c.Patterns(ctx, o, patternSelector(t, `{app="web"}`), loki.PatternParams{Window: around(noon)})
		}},
		{"labels", func(ctx context.Context, c *loki.Client, o loki.RequestOptions) (*loki.Response, error) {
			return c.Labels(ctx, o, selector(t, `{app="web"}`), around(noon))
		}},
		{"series", func(ctx context.Context, c *loki.Client, o loki.RequestOptions) (*loki.Response, error) {
			return c.Series(ctx, o, []tenancy.Selector{selector(t, `{app="web"}`)}, around(noon))
		}},
		{"index/volume", func(ctx context.Context, c *loki.Client, o loki.RequestOptions) (*loki.Response, error) {
			return c.Volume(ctx, o, selector(t, `{app="web"}`), loki.VolumeParams{Window: around(noon)})
		}},
		{"detected_fields", func(ctx context.Context, c *loki.Client, o loki.RequestOptions) (*loki.Response, error) {
			return c.DetectedFields(ctx, o, query(t, `{app="web"}`), loki.FieldParams{Window: around(noon)})
		}},
		{"detected_labels", func(ctx context.Context, c *loki.Client, o loki.RequestOptions) (*loki.Response, error) {
			return c.DetectedLabels(ctx, o, selector(t, `{app="web"}`), around(noon))
		}},
	}
	for _, tt := range []struct {
		name   string
		stored bool
		tagged bool
		want   []string
	}{
		{"a request of Drilldown", false, true, []string{"query_range", "query"}},
		{"where stored patterns are allowed", true, true, []string{"query_range", "query", "patterns"}},
		{"any other request", false, false, nil},
		{"any other request where stored patterns are allowed", true, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := twoTenants(t)
			c := client(t, loki.Config{URL: fake.URL, DangerouslyStoredPatterns: tt.stored})
			var tagged []string
			for _, op := range operations {
				a, err := op.send(t.Context(), c, loki.RequestOptions{Drilldown: tt.tagged})
				read(t, a, err)
				got := only(t, fake).Header
				fake.Forget()
				switch tags := strings.Join(got["X-Query-Tags"], ";"); tags {
				case "Source=logfence,tenant=alpha":
				case "Source=grafana-lokiexplore-app,tenant=alpha":
					tagged = append(tagged, op.path)
				default:
					t.Errorf("%s: %q", op.path, tags)
				}
			}
			if diff := cmp.Diff(tt.want, tagged); diff != "" {
				t.Error(diff)
			}
		})
	}
}
