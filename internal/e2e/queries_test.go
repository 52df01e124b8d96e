package e2e

import "strings"

// A logQL is one text for both sides.
type logQL struct {
	text string
	// direct is what is sent to the Loki with alpha's logs alone, where it would refuse the text itself:
	// it has no fence that narrows a selector of everything.
	direct string
	// ordered is a metric query whose order is its response.
	ordered bool
	// empty is a query that may find nothing, or that Loki refuses.
	empty bool
}

func (q logQL) toLoki() string {
	if q.direct != "" {
		return q.direct
	}
	return q.text
}

func (q logQL) toLokiAt(span string) string { return strings.ReplaceAll(q.toLoki(), "$span", span) }

func texts(all ...string) []logQL {
	queries := make([]logQL, len(all))
	for i, text := range all {
		queries[i] = logQL{text: text}
	}
	return queries
}

func nothing(all ...string) []logQL {
	queries := texts(all...)
	for i := range queries {
		queries[i].empty = true
	}
	return queries
}

// all is a selector of all that is alpha's, for a Loki that has nothing else and refuses `{}`.
const all = `{tenant_id=~".+"}`

// logQueries are queries for lines: each form of selector and each stage of a pipeline.
var logQueries = concat(
	// Selectors.
	texts(
		`{app="checkout"}`,
		`{app="checkout", env!="staging"}`,
		`{app=~"check.*|payments"}`,
		`{app=~"gate.+", namespace!~"shop|jobs"}`,
		`{app!="checkout", env="prod"}`,
		`{namespace="shop",level=~"(?i)ERROR|warn"}`,
		`{cut="größer"}`,
		`{service_name="worker"}`,
		`{tenant_id="alpha"}`,
		`{tenant_id=~"alpha|beta"}`,
		`{tenant_id=~".+", app="gateway"}`,
		`({app="worker"})`,
		"{app=`worker`}",
		`{app="\u0077orker"}`,
		` { app = "worker" , env = "prod" } `,
		`{app="worker", app="worker"}`,
		`{app="worker", machine=""}`,
	),
	[]logQL{
		{text: `{}`, direct: all},
		{text: `{} |= "order"`, direct: all + ` |= "order"`},
		{text: `{app!="checkout"}`, direct: `{tenant_id=~".+",app!="checkout"}`},
		{text: `{app=~".*"}`, direct: `{tenant_id=~".+",app=~".*"}`},
		{text: `{machine=""}`, direct: `{tenant_id=~".+",machine=""}`},
		{text: `{tenant_id!="beta"}`, direct: all},
		{text: `{tenant_id!~"beta|ALPHA"}`, direct: all},
		{text: `{tenant_id=~"alpha|", app="worker"}`},
	},
	nothing(
		`{tenant_id="beta"}`, `{tenant_id="alpha-2"}`, `{tenant_id="ALPHA"}`, `{tenant_id="alphabeta"}`,
		`{tenant_id="alpha|beta"}`, `{tenant_id=~"alpha.+"}`, `{app="ingress"}`, `{app="tracker"}`, `{app="nothing"}`,
		`{app="checkout", tenant_id=""}`, `{tenant_id!="alpha", app=~".+"}`, `{app=~".+", tenant_id!~"alpha"}`,
		`{app="worker",}`, `{app="payments"} | logfmt by="amount"`, `{app="oddities", kind="claims"} | json | tenant_id="beta"`,
		`{app="checkout"}|="x" or ip("1.1.1.1.1")`, `{app="worker"} | logfmt | unwrap x`,
	),
	// Comments and forms of strings.
	texts(
		"{app=\"worker\"} # {tenant_id=\"beta\"}",
		"{ # }\napp=\"worker\"} # or {\n|= \"receipt\" # end",
		"{app=\"worker\"} // {tenant_id=\"beta\"}\n|= `receipt`",
		"{app=\"worker\"} /* } or { */ |= \"receipt\"",
		"{app=\"oddities\"} |= `{tenant_id=\"beta\"}`",
		`{app="oddities"} |= "{tenant_id=\"beta\"}" |= "# not a query"`,
		`{app="oddities"} |= "\u2615"`,
		`{app="oddities"} |= "\x1b[31m"`,
		"{app=\"oddities\"} |= \"`{`\"",
		"{app=\"worker\"}\n\n\t|= \"receipt\"\r\n",
	),
	// Line filters.
	texts(
		`{app="checkout"} |= "order placed"`,
		`{app="checkout"} != "order placed"`,
		`{app="gateway"} |~ "(?i)get /ORDERS"`,
		`{app="gateway"} !~ "GET|200"`,
		`{app="gateway"} |= "POST" != "200" |~ "30[0-9]" !~ "x{3}"`,
		`{app="payments"} |= "declined" or "timed out"`,
		`{app="payments"} != "declined" or "captured"`,
		`{app="payments"} |~ "declined$" or "amount=[0-9]{2}\\."`,
		`{app="payments"} !~ "level=info" or "level=debug" |= "EUR"`,
		`{app="worker"} |> "<_> INFO <_> receipt for <_>"`,
		`{app="worker"} !> "<_> INFO <_>"`,
		`{app="worker"} |> "<_> WARN <_>" or "<_> ERROR <_>"`,
		`{app="oddities"} |= ip("10.0.0.0/8")`,
		`{app="oddities"} != ip("192.168.0.0/16")`,
		`{app="oddities"} |= ip("10.0.0.1-10.0.0.9") or "2001:db8::1"`,
		`{app="oddities"} |= ip("2001:db8::/32")`,
		`{app="worker"} |= ""`,
		`{app="oddities"} !~ ".+"`,
	),
	// Parsers.
	texts(
		`{app="checkout"} | json`,
		`{app="checkout"} | json item, total`,
		`{app="checkout"} | json what="item", price="total", level`,
		`{app="oddities", kind="claims"} | json first="deep.list[0]", x="deep.list[1].x", flag="deep[\"flag\"]"`,
		`{app="oddities", kind="claims"} | json`,
		`{app="oddities", kind="broken"} | json`,
		`{app="oddities", kind="claims"} | json | tenant_id_extracted="beta"`,
		`{app="oddities", kind="claims"} | logfmt | tenant_id_extracted="beta"`,
		`{app="payments"} | logfmt`,
		`{app="payments"} | logfmt amount, who="customer"`,
		`{app="oddities"} | logfmt --strict`,
		`{app="oddities"} | logfmt --keep-empty`,
		`{app="oddities"} | logfmt --strict --keep-empty msg, n`,
		`{app="gateway"} | pattern "<ip> - - [<_>] \"<method> <path> <_>\" <status> <size> <_>"`,
		`{app="gateway"} | regexp "\"(?P<method>[A-Z]+) /(?P<kind>\\w+)/(?P<id>\\d+)"`,
		`{app="oddities", kind="packed"} | unpack`,
		`{app="oddities", kind="packed"} | unpack | line_format "{{.host}}: {{__line__}}"`,
		`{app="oddities", kind="packed"} | unpack | logfmt | code > 5`,
		`{app="payments"} | logfmt | json`,
		`{app=~"checkout|payments"} | json | logfmt | __error__=""`,
		`{app=~"checkout|worker"} | json | __error__="JSONParserErr"`,
	),
	// Label filters of each type, and how they combine.
	texts(
		`{app="checkout"} | level="error"`,
		`{app="checkout"} | json | item!="house espresso 1 kg"`,
		`{app="checkout"} | json | customer=~"(ida|omar)@.*"`,
		`{app="checkout"} | json | customer!~"(ida|omar)@.*"`,
		`{app="checkout"} | json | total > 50`,
		`{app="checkout"} | json | total >= 50.5 | total <= 80`,
		`{app="checkout"} | json | duration_ms == 20 or duration_ms != 20`,
		`{app="checkout"} | json | duration_ms < 20 and total > 10`,
		`{app="checkout"} | json | (duration_ms < 5 or total > 80) and level!="debug"`,
		`{app="checkout"} | json | duration_ms < 50, total > 10 , level="info"`,
		`{app="checkout"} | json | duration_ms < 50 level="info"`,
		`{app="payments"} | logfmt | duration > 50ms`,
		`{app="payments"} | logfmt | duration >= 10ms and duration < 1m30s`,
		`{app="oddities", kind="claims"} | logfmt | size > 1MB`,
		`{app="oddities", kind="claims"} | json | size > 15KB`,
		`{app="oddities", kind="claims"} | json | took >= 1m2s`,
		`{app="oddities", kind="claims"} | logfmt | size == 3MB or took != 3s`,
		`{app="oddities", kind="addresses"} | logfmt | addr=ip("10.0.0.0/8")`,
		`{app="oddities", kind="addresses"} | pattern "<addr> <_>" | addr!=ip("10.0.0.0/8")`,
		`{app="oddities"} | tenant_id="alpha"`,
		`{app="oddities"} | tenant_id!="beta"`,
		`{app="oddities"} | attempt="2"`,
		`{app="gateway"} | pod=~"gateway-.*" | trace_id=~"^[0-7].*"`,
		`{app="gateway"} | detected_level=~"info|unknown"`,
		`{app="checkout"} | json | total > -1e9`,
		`{app="checkout"} | json | item=""  or total > 0`,
	),
	// Everything that changes lines and labels.
	texts(
		`{app="checkout"} | json | line_format "{{.item}} for {{.customer}}"`,
		"{app=\"checkout\"} | json | line_format `{{ .level | ToUpper }} {{ if eq .env \"prod\" }}live{{ else }}test{{ end }}`",
		`{app="checkout"} | json | line_format "{{ range $q := fromJson __line__ }}{{ $q }};{{ end }}"`,
		`{app="worker"} | line_format "{{ __timestamp__ | unixEpoch }} {{ __line__ | trunc 20 }} {{ regexReplaceAll \"a\" __line__ \"e\" }}"`,
		`{app="worker"} | line_format "{tenant_id=\"beta\"}"`,
		`{app="worker"} | line_format "{{.tenant_id}}/{{.app}}"`,
		`{app="checkout"} | json | label_format who=customer`,
		`{app="checkout"} | json | label_format who=customer,what="{{.item}}/{{.total}}"`,
		`{app="worker"} | label_format tenant_id="beta"`,
		`{app="worker"} | label_format owner=tenant_id`,
		`{app="worker"} | label_format tenant_id="beta" | tenant_id="beta"`,
		`{app="checkout"} | json | drop order, customer, ts`,
		`{app="checkout"} | json | drop level="info", trace_id`,
		`{app="checkout"} | drop tenant_id, pod=~"check.*"`,
		`{app="checkout"} | json | keep item, level`,
		`{app="checkout"} | json | keep level="error", item=~"S.*"`,
		`{app="checkout"} | drop __error__`,
		`{app="oddities"} | decolorize`,
		`{app="oddities"} | decolorize | logfmt | code >= 500`,
		`{app="worker"} | drop tenant_id | label_format app="other" | line_format "{{.app}}" | keep app`,
	),
	// Named like functions and keywords.
	texts(
		`{app="payments"} | logfmt | duration > 5ms | line_format "{{.duration}}"`,
		`{app="payments"} | logfmt | drop duration`,
	),
)

// metricQueries are queries for samples; $span is a span over the window's data.
var metricQueries = concat(
	// Aggregations over a range, of lines.
	texts(
		`count_over_time({app="checkout"}[$span])`,
		`rate({app="gateway"}[$span])`,
		`bytes_over_time({app="gateway"}[$span])`,
		`bytes_rate({app="gateway"} |= "POST" [$span])`,
		`count_over_time({app="checkout"} | json | total > 20 [$span])`,
		`count_over_time({app="checkout"}[$span] | json | total > 20)`,
		`count_over_time(({app="checkout"} |= "order")[$span])`,
		`rate({app="checkout"} |= "order" or "refused" [$span])`,
		`count_over_time({tenant_id=~".+"}[$span])`,
		`count_over_time({tenant_id="alpha", app="worker"}[$span])`,
		`absent_over_time({app="nothing"}[$span])`,
		`absent_over_time({app="nothing", env="prod", level=~"x.*"}[$span])`,
		`absent_over_time({app="worker"} |= "never said" [$span])`,
		`count_over_time({app="worker"}[$span] offset 1m)`,
		`rate({app="worker"}[$span] offset -1m)`,
		`absent_over_time({app="nothing"}[$span] offset 1m)`,
	),
	[]logQL{
		{text: `count_over_time({}[$span])`, direct: `count_over_time(` + all + `[$span])`},
		{text: `sum by (tenant_id) (count_over_time({}[$span]))`, direct: `sum by (tenant_id) (count_over_time(` + all + `[$span]))`},
		{text: `bytes_over_time({app!="checkout"}[$span])`, direct: `bytes_over_time({tenant_id=~".+",app!="checkout"}[$span])`},
		{text: `sum(count_over_time({tenant_id!="beta"}[$span]))`, direct: `sum(count_over_time(` + all + `[$span]))`},
	},
	nothing(
		`count_over_time({tenant_id="beta"}[$span])`,
		`sum(count_over_time({tenant_id!="alpha",app=~".+"}[$span]))`,
		`absent_over_time({app="worker"}[$span])`,
		`sum by (app,) (count_over_time({app="worker"}[$span]))`,
		// Switched off in Loki as it comes.
		`approx_topk(2, sum by (app) (count_over_time({app=~".+"}[$span])))`,
		`rate_counter({app="checkout"}[$span])`,
	),
	// Aggregations over a range, of unwrapped values.
	texts(
		`sum_over_time({app="checkout"} | json | unwrap total [$span])`,
		`avg_over_time({app="checkout"} | json | unwrap total [$span])`,
		`avg_over_time({app="checkout"} | json | unwrap total [$span]) by (level)`,
		`avg_over_time({app="checkout"} | json | unwrap total [$span]) without (item, customer, order, ts, msg, duration_ms, trace_id, pod)`,
		`max_over_time({app="checkout"} | json | unwrap total [$span]) by (app)`,
		`min_over_time({app="checkout"} | json | unwrap total [$span]) by (app, env)`,
		`first_over_time({app="checkout"} | json | unwrap total [$span]) by (env)`,
		`last_over_time({app="checkout"} | json | unwrap total [$span]) by (env)`,
		`stddev_over_time({app="checkout"} | json | unwrap total [$span]) by (env)`,
		`stdvar_over_time({app="checkout"} | json | unwrap total [$span]) by (env)`,
		`quantile_over_time(0.95, {app="checkout"} | json | unwrap duration_ms [$span]) by (env)`,
		`quantile_over_time(0.5, {app="checkout"} | json | unwrap duration_ms | __error__="" [$span]) without (trace_id)`,
		`rate({app="checkout"} | json | unwrap total [$span])`,
		`sum(rate_counter({app="checkout"} | json | keep total | unwrap total [$span]))`,
		`sum_over_time({app="payments"} | logfmt | unwrap duration(duration) [$span])`,
		`max_over_time({app="payments"} | logfmt | unwrap duration_seconds(duration) | __error__="" [$span]) by (level)`,
		`sum_over_time({app="oddities",kind="claims"} | json | unwrap bytes(size) | __error__="" [$span])`,
		`sum_over_time({app="payments"} | logfmt | unwrap amount | level="info" [$span])`,
		`avg_over_time({app="payments"} | logfmt amount | unwrap amount [$span] offset 1m) by (level)`,
		`sum_over_time({app="gateway"} | pattern "<_> - - [<_>] \"<method> <_>\" <status> <size> <_>" | unwrap size [$span])`,
		`absent_over_time({app="payments"} | logfmt | unwrap missing [$span])`,
		`sum_over_time({app="oddities"} | unwrap attempt [$span])`,
		`max_over_time({app="oddities",kind="claims"} | json n="n" | unwrap n [$span]) by (tenant_id)`,
	),
	// Aggregations over vectors.
	texts(
		`sum(count_over_time({app=~".+"}[$span]))`,
		`sum by (app) (count_over_time({app=~".+"}[$span]))`,
		`sum(count_over_time({app=~".+"}[$span])) by (app, level)`,
		`sum without (trace_id, pod) (rate({app="gateway"}[$span]))`,
		`avg by (app) (count_over_time({app=~".+"}[$span]))`,
		`min by (namespace) (bytes_over_time({app=~".+"}[$span]))`,
		`max without (level, detected_level) (bytes_rate({namespace="shop"}[$span]))`,
		`count(count_over_time({app=~".+"}[$span]))`,
		`count by (tenant_id) (count_over_time({app=~".+"}[$span]))`,
		`stddev(bytes_over_time({app=~".+"}[$span]))`,
		`stdvar by (app) (bytes_over_time({app=~".+"}[$span]))`,
		`topk(2, sum by (app) (bytes_over_time({app=~".+"}[$span])))`,
		`bottomk(2, sum by (app) (bytes_over_time({app=~".+"}[$span])))`,
		`topk by (env) (1, sum by (app, env) (bytes_over_time({app=~".+"}[$span])))`,
		`bottomk(1, sum by (app, env) (bytes_over_time({app=~".+"}[$span]))) without (app)`,
		`sum(sum by (app) (sum by (app, env) (count_over_time({app=~".+"}[$span]))))`,
		`max(avg by (app) (sum without (level) (rate({app=~".+"}[$span]))))`,
		`sum by (item) (count_over_time({app="checkout"} | json | __error__="" [$span]))`,
		`SUM BY (app) (COUNT_OVER_TIME({app="worker"}[$span]))`,
		`sum by () (count_over_time({app="worker"}[$span]))`,
	),
	[]logQL{
		{text: `sort(sum by (app) (bytes_over_time({app=~".+"}[$span])))`, ordered: true},
		{text: `sort_desc(sum by (app) (bytes_over_time({app=~".+"}[$span])))`, ordered: true},
	},
	// Binary operations.
	texts(
		`sum(count_over_time({app="checkout"}[$span])) + sum(count_over_time({app="worker"}[$span]))`,
		`sum(count_over_time({app="checkout"}[$span])) - sum(count_over_time({app="worker"}[$span]))`,
		`sum(rate({app="checkout"}[$span])) * 60`,
		`sum(rate({app="checkout"} |= "refused" [$span])) / sum(rate({app="checkout"}[$span]))`,
		`sum(count_over_time({app="gateway"}[$span])) % 7`,
		`2 ^ sum by (env) (rate({app="checkout"}[$span]))`,
		`sum by (app) (count_over_time({app=~".+"}[$span])) and sum by (app) (count_over_time({env="staging"}[$span]))`,
		`sum by (app) (count_over_time({app="worker"}[$span])) or sum by (app) (count_over_time({app="gateway"}[$span]))`,
		`sum by (app) (count_over_time({app=~".+"}[$span])) unless sum by (app) (count_over_time({app="gateway"}[$span]))`,
		`sum by (app) (count_over_time({app=~".+"}[$span])) > 10`,
		`sum by (app) (count_over_time({app=~".+"}[$span])) >= bool 10`,
		`sum by (app) (count_over_time({app=~".+"}[$span])) < 100000`,
		`sum by (app) (count_over_time({app=~".+"}[$span])) <= bool 10`,
		`sum by (app) (count_over_time({app=~".+"}[$span])) == bool sum by (app) (count_over_time({app=~".+"}[$span]))`,
		`sum by (app) (count_over_time({app=~".+"}[$span])) != bool 3`,
		`sum by (app) (count_over_time({app=~".+"}[$span])) == sum by (app) (count_over_time({env="prod"}[$span]))`,
		`sum by (app, env) (count_over_time({app="checkout"}[$span])) / on (app, env) sum by (app, env) (bytes_over_time({app="checkout"}[$span]))`,
		`sum by (app, env) (count_over_time({app="checkout"}[$span])) / ignoring (env) group_left sum by (app) (count_over_time({app="checkout"}[$span]))`,
		`sum by (app, env) (count_over_time({app="checkout"}[$span])) / on (app) group_left () sum by (app) (count_over_time({app="checkout"}[$span]))`,
		`sum by (app) (count_over_time({app="checkout"}[$span])) / on (app) group_right sum by (app, env) (count_over_time({app="checkout"}[$span]))`,
		`sum by (app, level) (rate({namespace="shop"}[$span])) * on (app) group_left (namespace) sum by (app, namespace) (rate({namespace="shop"}[$span]))`,
		`sum by (app) (rate({app="worker"}[$span])) > bool ignoring (app) sum(rate({app="gateway"}[$span]))`,
		`sum by (app) (rate({app="worker"}[$span])) / ignoring () group_left sum by (app) (rate({app="worker"}[$span]))`,
		`(sum(rate({app="checkout"}[$span])) + sum(rate({app="worker"}[$span]))) * 2 - 1 / 3`,
		`1 + 2 * sum(count_over_time({app="worker"}[$span])) ^ 2 / 3 - 1`,
		`sum(count_over_time({app="worker"}[$span])) > 1 and sum(count_over_time({app="gateway"}[$span])) > 1 or vector(7)`,
		`sum(count_over_time({app="nothing"}[$span])) or vector(0)`,
		`sum(count_over_time({tenant_id="beta"}[$span])) or vector(0)`,
		`sum(count_over_time({app="worker"}[$span])) or sum(count_over_time({tenant_id="beta"}[$span]))`,
		`sum by (tenant_id) (count_over_time({tenant_id="beta"}[$span])) or on () sum by (tenant_id) (count_over_time({app="ingress"}[$span])) or vector(3)`,
		`- 1 + sum(count_over_time({app="worker"}[$span]))`,
		"sum(rate({app=\"worker\"}[$span])) # / sum(rate({tenant_id=\"beta\"}[$span]))\n / sum(rate({app=\"gateway\"}[$span]))",
	),
	// label_replace, vector and numbers.
	texts(
		`label_replace(sum by (app) (count_over_time({app="worker"}[$span])), "who", "$1", "app", "(wor).*")`,
		`label_replace(count_over_time({app="worker"}[$span]), "tenant_id", "beta", "app", ".*")`,
		`label_replace(label_replace(rate({app="worker"}[$span]), "a", "$1", "app", "(.*)"), "b", "$1", "a", "(.)(.*)")`,
		`sum by (b) (label_replace(rate({app=~"worker|gateway"}[$span]), "b", "$1", "app", "(.).*"))`,
		`sum by (x) (label_replace(rate({app="worker"}[$span]), "x", "1", "", "")) / on (x) sum by (x) (label_replace(rate({app="gateway"}[$span]), "x", "1", "", ""))`,
		`vector(1)+vector(1)`,
		`vector(0.1234567)`,
		`vector(1) > bool 0`,
		`sum(vector(2))`,
	),
)

// numbers have no selector and give a scalar.
var numbers = texts(`1+1`, `2^10 % 7`, `1 > bool 2`, `-1.5e3`)

func concat(lists ...[]logQL) []logQL {
	var whole []logQL
	for _, l := range lists {
		whole = append(whole, l...)
	}
	return whole
}
