package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"
	"pgregory.net/rapid"
)

// selectors are valid, most of them hostile: they name other tenants, or hide where they begin.
var selectors = []string{
	`{app="checkout"}`, `{env="prod"}`, `{}`, `{app=~".+"}`, `{tenant_id="beta"}`, `{tenant_id!="alpha"}`, `{tenant_id=~".*"}`,
	`{tenant_id=""}`, `{tenant_id!~"alpha|"}`, `{tenant_id="alpha",tenant_id="beta"}`, "{tenant_id=`beta`}", `{ app = "checkout" , env != "" }`,
	`{app="checkout"} # {tenant_id="beta"}`, "{# }\napp=\"checkout\"}", `/* { */ {app="checkout"}`, "// {\n{app=\"checkout\"}",
	`{app="\u007d{tenant_id=\u0022beta\u0022}"}`, "{app=`\"}{tenant_id=`}", `{app!="a\"}, {tenant_id=\"beta\"}"}`, `{app=~"[{}]+|checkout"}`,
	`{app=~"(?i)CHECKOUT"}`, `{app=~"checkout|bill.*"}`, "{\tapp\r\n=\"checkout\"}", `{by="x"}`, `{__name__="x"}`, `{app=""}`, `({app="checkout"})`,
}

// lineQueries and metricQueries are valid where each %s is a selector.
var lineQueries = []string{
	`%s`, `%s |= "declined"`, `%s |= "{tenant_id=\"beta\"}"`, "%s !~ `{.*}`", `%s | json`, `%s | json | order > 1119`, `%s | logfmt | took > 1ms`,
	`%s | line_format "{{.msg}}{{ {} }}"`, `%s | line_format "{{.tenant_id}}"`, `%s | label_format tenant_id=app`, `%s | label_format app="{{.tenant_id}}"`,
	`%s | drop tenant_id`, `%s | keep app`, `%s | regexp "(?P<a>\\w+)"`, `%s | pattern "<a> <_>"`, `%s | json m="msg", t="tenant_id" | t="beta"`,
	`%s | decolorize`, `%s | unpack`, `%s |= ip("10.0.0.0/8")`, `%s | size > 20KiB or duration >= 1s`, `%s | level="error" or level="{" # }`, `%s |= "a" or "{b}"`,
}

var metricQueries = []string{
	`count_over_time(%s[1h])`, `sum by (app) (rate(%s[5m]))`, `sum without (tenant_id) (count_over_time(%s | json [1h]))`,
	`rate(%s[5m]) / ignoring(tenant_id) group_left rate(%s[1h])`, `count_over_time(%s[1h]) or on (app) count_over_time(%s[1h])`,
	`label_replace(rate(%s[1m]), "tenant_id", "$1", "app", "(.*)")`, `topk(3, sum by (tenant_id) (bytes_over_time(%s[1h])))`, `absent_over_time(%s[1h])`,
	`sum_over_time(%s | json | unwrap duration(duration) [1h] offset 5m) by (app)`, `quantile_over_time(0.9, %s | logfmt | unwrap bytes(size) | __error__="" [1h])`,
	`sort_desc(count_over_time(%s[1h]) > bool 1)`, `vector(1) + vector(1)`, `1 + 1`, `-count_over_time(%s[1h])`, `count_over_time(%s[1h]) unless count_over_time(%s[1h])`,
	`variants(count_over_time(%s[1h])) of (%s[1h])`, `first_over_time(%s | unwrap order [1h])`, `sum(count_over_time(%s[1h])) ^ 1e308 ^ 1e308`,
}

// fragments are what a valid text is broken with.
var fragments = []string{
	`{`, `}`, `{}`, `"`, "`", `\`, `\"`, `#`, "#\n", `//`, `/*`, `*/`, `(`, `)`, `[5m]`, `[`, `]`, `|`, `,`, ` or `, ` and `, ` unless `, `=`, `!=`, `=~`, `!~`,
	`tenant_id="beta"`, `{tenant_id="beta"}`, `{tenant_id=~".+"}`, `tenant_id="alpha"`, ` or {tenant_id="beta"}`, `,tenant_id=~"beta|"`, "\x00", "\ufeff", "\xff",
	"\n", "\r", "\u2028", "\u202e", `'`, `|=`, `|~`, `label_replace(`, `sum(`, `rate(`, ` by (tenant_id)`, ` without (tenant_id)`, `1e999`, `-`, `NaN`, ` offset -1h`,
	`@`, `"\xff"`, `"\u0000"`, `ｔenant_id`, `"}`, `variants(`, `) of (`, `%s`, `$__interval`, `duration`, `{{`, `}}`, `0x1p-2`, `sum by`, `|= ip("`, `.`, `<_>`,
}

// wellFormed draws a text that Loki's parser mostly takes: a selector, or a query of lines, metrics or
// either.
func wellFormed(t *rapid.T, kind string) string {
	if kind == "selector" {
		return rapid.SampledFrom(selectors).Draw(t, "selector")
	}
	queries := append(slices.Clone(lineQueries), metricQueries...)
	switch kind {
	case "lines":
		queries = lineQueries
	case "metrics":
		queries = metricQueries
	}
	text := queries[uniform(t, len(queries), "query")]
	for strings.Contains(text, "%s") {
		text = strings.Replace(text, "%s", rapid.SampledFrom(selectors).Draw(t, "selector"), 1)
	}
	return text
}

// logQL draws a text of LogQL: well formed, broken in some places, or repeated until it is expensive.
func logQL(t *rapid.T, kind string) string {
	text := wellFormed(t, kind)
	switch uniform(t, 8, "hostility") {
	case 0, 1, 2:
	case 3:
		text = wellFormed(t, "query")
	case 4:
		piece := rapid.SampledFrom(fragments).Draw(t, "piece")
		text = strings.Repeat(piece, rapid.IntRange(2, 300).Draw(t, "times")) + text
	default:
		for range rapid.IntRange(1, 4).Draw(t, "splices") {
			text = spliced(t, text)
		}
	}
	return text
}

// spliced replaces a few bytes of a text, at no boundary of anything.
func spliced(t *rapid.T, text string) string {
	at := rapid.IntRange(0, len(text)).Draw(t, "at")
	end := min(len(text), at+uniform(t, 4, "gone"))
	return text[:at] + fragments[uniform(t, len(fragments), "fragment")] + text[end:]
}

// uniform draws a number below n, each as often: rapid prefers the smallest.
func uniform(t *rapid.T, n int, label string) int {
	bits := 0
	for _, b := range rapid.SliceOfN(rapid.Bool(), 10, 10).Draw(t, label) {
		bits *= 2
		if b {
			bits++
		}
	}
	return bits * n >> 10
}

// confined checks that Loki's own parser finds the tenant's matcher in every selector of a text, by
// another way than the fence's.
func confined(text string, may []string) error {
	expr, err := syntax.ParseExpr(text)
	if err != nil {
		return fmt.Errorf("Loki would not parse %s: %w", text, err)
	}
	expr.Walk(func(e syntax.Expr) bool {
		if m, ok := e.(*syntax.MatchersExpr); ok && !holds(m.Mts, may) {
			err = fmt.Errorf("the selector %s of %s is not confined to %v", m, text, may)
		}
		return true
	})
	return err
}

func holds(matchers []*labels.Matcher, may []string) bool {
	for _, m := range matchers {
		own := len(may) > 0 && m.Name == "tenant_id" && (m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp)
		for _, value := range strings.Split(m.Value, "|") {
			found := false
			for _, tenant := range may {
				found = found || tenant == value
			}
			own = own && found
		}
		if own {
			return true
		}
	}
	return false
}
