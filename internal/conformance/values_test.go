package conformance

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"
)

// texts are no value of anything, or one that a careless reader takes for another.
var texts = []string{
	"", " ", "0", "-1", "null", "true", "[]", "{}", "NaN", "Inf", "1e400.", "-0", "+5", "0x10", "1_000", "١٢٣", "１", "1;2", "a&b=c", "a=b", "%00", "%2500", "%",
	"\x00", "\xff\xfe", "\xc0\xaf", "\xed\xa0\x80", "\ufeff1", "💥", "a\u0301", "\u202e", "../../etc/passwd", "' or 1=1 --", "<script>alert(1)</script>",
	"${jndi:ldap://x}", "a\r\nX-Evil: 1", "a\nb", "a\tb", `"`, `\`, "alpha", "beta", "alpha|beta", ".*", "{app=\"x\"}", "1h", "-5m", "0s", "1ns", "1y1y", "99999999y",
	"2026-11-23T13:00:00Z", "forward", "series,labels", ",", "a,,b", "match[]", "1.5", ".", "1.", "1795440319.295999999", "18446744073709551616",
}

// times are valid where marked so, and at the limits of the type.
var times = []string{
	"2026-11-23T12:30:00Z", "1795440319", "1795440319.295", "1795440175000000001", "2026-11-23T13:30:00.123456789+05:30", "1795437000000000000",
}

var oddTimes = []string{
	"0", "1", "-1", "0.0", "59.9", "60", "-0.5", "9999999999", "10000000000", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
	"9223372036.854775807", "9223372037.0", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2262-04-11T23:47:16Z",
	"2262-04-11T23:47:17Z", "2026-02-29T00:00:00Z", "2026-11-23T25:00:00Z", "2026-11-23T12:30:00", "2026-11-23t12:30:00z", "2026-11-23T12:30:60Z",
	"2026-11-23T12:30:00+99:99", "1795440175000000000.5", "1e9", "1e400.", ".", "NaN.", "Inf.", "-.", "+1795440319", "0x1.8p1", "1795440319.", "00000000001",
}

// fitting draws a value that the schema allows, and that means something.
func fitting(t *rapid.T, p parameter) string {
	switch {
	case p.logQL != "":
		return logQL(t, p.logQL)
	case p.in == "path":
		return rapid.SampledFrom([]string{"app", "env", "level", "tenant_id", "order", "only", "__name__", "detected_level", "a:b"}).Draw(t, "name")
	case p.name == "start" || p.name == "end" || p.name == "time" || p.name == "timestamp":
		return rapid.SampledFrom(times).Draw(t, p.name)
	case p.name == "X-Logfence-Tenant":
		return "alpha"
	case p.name == "Last-Event-ID":
		return "1795440000000000000-"
	case p.schema.Type.Is(openapi3.TypeInteger) && p.schema.Max == nil:
		return strconv.Itoa(rapid.IntRange(1, 500).Draw(t, p.name))
	default:
		return rapid.SampledFrom(p.examples).Draw(t, p.name)
	}
}

// hostile draws a value at the edges of the schema, of another type, or of no sense at all.
func hostile(t *rapid.T, p parameter) string {
	kinds := []func() string{
		func() string { return texts[uniform(t, len(texts), "text")] },
		func() string { return rapid.String().Draw(t, "string") },
		func() string { return logQL(t, "query") },
		func() string { return overlong(t, p.schema) },
	}
	typed := func(f func() string) { kinds = append(kinds, f, f, f) }
	switch {
	case p.schema.Type.Is(openapi3.TypeInteger):
		typed(func() string { return edge(t, p.schema) })
	case len(p.schema.Enum) > 0:
		typed(func() string { return changed(t, p.examples[0]) })
	}
	if strings.HasPrefix(p.schema.Description, "A moment") {
		typed(func() string { return oddTimes[uniform(t, len(oddTimes), "time")] })
	}
	if p.schema.Pattern != "" {
		typed(func() string { return rapid.StringMatching(p.schema.Pattern).Draw(t, "matching") })
		typed(func() string { return changed(t, rapid.SampledFrom(p.examples).Draw(t, "example")) })
	}
	return kinds[uniform(t, len(kinds), "kind")]()
}

// edge draws an integer at one of the bounds, its own or a machine's.
func edge(t *rapid.T, s *openapi3.Schema) string {
	edges := []string{
		"0", "-1", "1.0", "1e3", "00", "+1", " 1", "1 ", "", "2147483647", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"1001", "1000", "10001", strings.Repeat("9", 400),
	}
	for _, bound := range []*float64{s.Min, s.Max} {
		if bound == nil {
			continue
		}
		for _, by := range []float64{-1, 0, 1} {
			edges = append(edges, strconv.FormatFloat(*bound+by, 'f', -1, 64))
		}
	}
	return edges[uniform(t, len(edges), "edge")]
}

// changed is a text in other clothes.
func changed(t *rapid.T, text string) string {
	all := []string{
		strings.ToUpper(text), text + " ", " " + text, text + text, text + "\x00", text + ",", "\"" + text + "\"", text[:len(text)/2], text + "\u200b", text + "\n", "-" + text,
	}
	return all[uniform(t, len(all), "changed")]
}

// overlong draws a text as long as the schema lets it be, or a byte longer.
func overlong(t *rapid.T, s *openapi3.Schema) string {
	most := 17 << 10
	if s.MaxLength != nil && *s.MaxLength < math.MaxInt16 {
		most = int(*s.MaxLength)
	}
	return strings.Repeat(rapid.SampledFrom([]string{"a", "1", "{", "é", "a,"}).Draw(t, "unit"), most+uniform(t, 2, "beyond"))
}

// credentials are forms of authentication. May are the tenants whose data the response may hold at most.
type credentials struct {
	header []field
	may    []string
}

func authorization(values ...string) []field {
	var h []field
	for _, v := range values {
		h = append(h, field{"Authorization", v})
	}
	return h
}

func basic(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

var alpha, both = []string{"alpha"}, []string{"alpha", "gamma"}

// ways are all but the usual.
var ways = []credentials{
	{authorization("Bearer " + bothToken), both},
	{authorization("bearer " + alphaToken), alpha},
	{authorization("BEARER   " + alphaToken), alpha},
	{authorization(basic("anybody:" + alphaToken)), alpha},
	{authorization(basic(":" + bothToken)), both},
	{authorization(basic("a:b:" + alphaToken)), nil},
	{authorization(basic(alphaToken)), nil},
	{authorization("Basic !!!"), nil},
	{authorization(basic("x:\xff\x00")), nil},
	{nil, nil},
	{authorization(""), nil},
	{authorization("Bearer"), nil},
	{authorization("Bearer " + nobodyToken), nil},
	{authorization("Bearer " + scopeToken), nil},
	{authorization("Bearer token-of-somebody-else"), nil},
	{authorization("Bearer "+alphaToken, "Bearer "+bothToken), nil},
	{authorization("Bearer "+alphaToken, "Bearer "+alphaToken), nil},
	{authorization("Bearer " + alphaToken + ", Bearer " + bothToken), nil},
	{authorization("Bearer " + alphaToken + " " + alphaToken), nil},
	{authorization("Bearer \"" + alphaToken + "\""), nil},
	{authorization("Token " + alphaToken), nil},
	{authorization(alphaToken), nil},
	{authorization("Bearer\t" + alphaToken), nil},
	{authorization("Bearer " + alphaToken + "\xff"), nil},
	{authorization("Bearer " + strings.Repeat("x", 17<<10)), nil},
	{[]field{{"Cookie", "access_token=" + alphaToken}, {"X-Forwarded-Authorization", "Bearer " + alphaToken}}, nil},
}

// headers are what clients and proxies send beside, and what they should not.
var headers = []field{
	{"X-Logfence-Tenant", "alpha"},
	{"X-Logfence-Tenant", "gamma"},
	{"X-Logfence-Tenant", "beta"},
	{"X-Logfence-Tenant", ""},
	{"X-Logfence-Tenant", "alpha,gamma"},
	{"X-Logfence-Tenant", "alpha|beta"},
	{"X-Logfence-Tenant", "ALPHA"},
	{"X-Logfence-Tenant", ".*"},
	{"X-Logfence-Tenant", "\xff"},
	{"X-Logfence-Tenant", strings.Repeat("a", 129)},
	{"Accept-Encoding", "gzip"},
	{"Accept-Encoding", "gzip;q=0"},
	{"Accept-Encoding", "*;q=0.1, gzip;q=1e-9"},
	{"Accept-Encoding", "identity;q=0"},
	{"Accept-Encoding", "br, zstd, snappy"},
	{"Accept-Encoding", "gzip,,;q;=,gzip;q=x"},
	{"Accept", "application/vnd.google.protobuf"},
	{"Accept", "application/vnd.apache.parquet"},
	{"Accept", "text/event-stream"},
	{"Accept", "application/x-ndjson"},
	{"Accept", "application/json;q=0, text/event-stream;q=1e-9"},
	{"Accept", "*/*;q=nan,,;x,\xff"},
	{"Last-Event-ID", "1795440175000000001-"},
	{"Last-Event-ID", "1795440175000000001-AAAAAAAAAAA"},
	{"Last-Event-ID", "0-"},
	{"Last-Event-ID", "9223372036854775807-"},
	{"Last-Event-ID", "9999999999999999999-AAAA"},
	{"Last-Event-ID", "1-" + strings.Repeat("A", 2100)},
	{"Last-Event-ID", "x"},
	{"Last-Event-ID", ""},
	{"X-Loki-Response-Encoding-Flags", "categorize-labels"},
	{"X-Loki-Response-Encoding-Flags", "categorize-labels,other"},
	{"X-Loki-Response-Encoding-Flags", "Categorize-Labels"},
	{"X-Loki-Response-Encoding-Flags", ""},
	{"X-Scope-OrgID", "beta"},
	{"X-Scope-OrgID", "alpha|beta"},
	{"X-Query-Tags", "source=beta"},
	{"X-Loki-Disable-Pipeline-Wrappers", "true"},
	{"X-Loki-Query-Limits-Policy", "{}"},
	{"X-Prom-Label-Policy", "fake:%7Btenant_id%3D%22beta%22%7D"},
	{"X-HTTP-Method-Override", "DELETE"},
	{"X-Original-URL", "/loki/api/v1/push"},
	{"X-Forwarded-For", "127.0.0.1, ::1, x"},
	{"X-Forwarded-Prefix", "/loki"},
	{"Forwarded", "for=\"[::1]\";host=\"\xff\""},
	{"X-Request-ID", "a b<script>"},
	{"X-Request-ID", strings.Repeat("x", 4096)},
	{"X-Request-ID", "\xff"},
	{"Traceparent", "00-0-0-0"},
	{"Range", "bytes=0-10"},
	{"If-None-Match", "*"},
	{"Origin", "https://evil.example"},
	{"Origin", "null"},
	{"Access-Control-Request-Method", "DELETE"},
	{"Cookie", "a=b; tenant_id=beta"},
	{"Connection", "close"},
	{"Connection", "X-Logfence-Tenant, Authorization"},
	{"Connection", "Upgrade"},
	{"Upgrade", "websocket"},
	{"Upgrade", "h2c"},
	{"Sec-WebSocket-Version", "12"},
	{"Sec-WebSocket-Version", "13, 12"},
	{"Sec-WebSocket-Key", "short"},
	{"Sec-WebSocket-Key", "bm90IHNpeHRlZW4gYnl0ZXM="},
	{"Sec-WebSocket-Extensions", "permessage-deflate"},
	{"Sec-WebSocket-Protocol", "\xff"},
	{"Expect", "100-continue"},
	{"Expect", "the worst"},
	{"TE", "trailers"},
	{"Trailer", "Authorization"},
	{"Content-Encoding", "gzip"},
	{"Content-Type", "application/json"},
	{"Content-Type", "application/x-www-form-urlencoded; charset=utf-7"},
	{"Content-Type", "multipart/form-data; boundary=x"},
	{"Content-Type", ";;"},
	{"Host", "loki:3100"},
	{"Cache-Control", "no-cache"},
	{"bad name", "x"},
	{"X-Big", strings.Repeat("x", 70<<10)},
}

// paths are changes of a path that other servers undo.
var paths = []func(string) string{
	func(p string) string { return p + "/" },
	func(p string) string { return "/" + p },
	func(p string) string { return strings.Replace(p, "/v1/", "/v1//", 1) },
	func(p string) string { return strings.Replace(p, "/v1/", "/v1/./", 1) },
	func(p string) string { return strings.Replace(p, "/v1/", "/v1/x/../", 1) },
	func(p string) string { return strings.Replace(p, "/v1/", "/v1/%2e%2e/v1/", 1) },
	func(p string) string { return strings.Replace(p, "/v1/", "/v1%2F", 1) },
	func(p string) string { return strings.Replace(p, "/v1/", "\\v1\\", 1) },
	func(p string) string { return strings.Replace(p, "/v1/", "/v2/", 1) },
	strings.ToUpper,
	func(p string) string { return escaped(p, "%%%02X") },
	func(p string) string { return "/" + escaped(p[1:], "%%%02x") },
	func(p string) string { return p[:len(p)-1] },
	func(p string) string { return p + "%00" },
	func(p string) string { return p + "%ff" },
	func(p string) string { return p + ";x=1" },
	func(p string) string { return p + "%3fquery=%7b%7d" },
	func(p string) string { return p + "/a%2fb/values" },
	func(p string) string { return p + "/%2e%2e/values" },
	func(p string) string { return p + "#x" },
	func(p string) string { return p + "%zz" },
	func(p string) string { return p + "\xff" },
	func(p string) string { return p + " x" },
	func(p string) string { return p + "/" + strings.Repeat("a", 5000) },
	func(p string) string { return "http://evil.example" + p },
	func(p string) string { return "//evil.example" + p },
	func(string) string { return "*" },
	func(string) string { return "/" },
	func(string) string { return "/loki/api/v1/push" },
	func(string) string { return "/loki/api/v1/delete" },
	func(string) string { return "/loki/api/v1/rules/beta" },
	func(string) string { return "/loki/api/v1/index/shards" },
	func(string) string { return "/api/prom/query" },
	func(string) string { return "/config" },
	func(string) string { return "/metrics" },
	func(string) string { return "/docs/../config" },
	func(string) string { return "/docs/%2e%2e/openapi.yaml" },
	func(string) string { return "/openapi.yaml" },
}

var methods = []string{
	"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "QUERY", "PROPFIND", "get", "GeT", "A", "G{T", strings.Repeat("M", 300),
}

// escaped writes every byte of a text as an escape.
func escaped(text, format string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}
