package conformance

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"pgregory.net/rapid"
)

// draft is a request in the making.
type draft struct {
	operation

	at     string // the path
	pairs  []pair
	inURL  string // raw, of a request whose parameters are in its body
	object string // JSON
	media  string
	header []field
	who    credentials
	// encoding writes what stands between `&` and `=`.
	encoding  func(string) string
	separator string
	chunked   bool
}

// pair is a parameter; a raw one is written as it is.
type pair struct {
	parameter

	value string
	raw   bool
}

// requests are of one operation, some valid by the spec, most not.
func requests(d *description, op operation) *rapid.Generator[request] {
	return rapid.Custom(func(t *rapid.T) request {
		r := honest(t, op)
		for range rapid.IntRange(0, 3).Draw(t, "wrongs") {
			wrongs[uniform(t, len(wrongs), "wrong")](t, d, r)
		}
		return r.request()
	})
}

// honest draws a request that the spec allows.
func honest(t *rapid.T, op operation) *draft {
	d := &draft{
		operation: op, at: op.path, encoding: url.QueryEscape, separator: "&",
		who: credentials{authorization("Bearer " + alphaToken), alpha},
	}
	for _, p := range op.params {
		if !p.required && uniform(t, 4, p.name) > 0 || p.name == "X-Logfence-Grant" { // these callers have no grants
			continue
		}
		switch value := fitting(t, p); p.in {
		case "path":
			d.at = strings.ReplaceAll(d.at, "{"+p.name+"}", value)
		case "header":
			d.header = append(d.header, field{p.name, value})
		default:
			d.pairs = append(d.pairs, pair{parameter: p, value: value})
		}
	}
	if op.json {
		text, err := json.Marshal(logQL(t, "query"))
		if err != nil {
			t.Fatal(err)
		}
		d.object, d.media = `{"query":`+string(text)+`}`, "application/json"
	}
	if op.form {
		d.media = "application/x-www-form-urlencoded"
	}
	if op.webSocket {
		d.header = append(d.header, field{"Connection", "Upgrade"}, field{"Upgrade", "websocket"},
			field{"Sec-WebSocket-Version", "13"}, field{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="})
	}
	return d
}

// wrongs are what may be wrong with a request, or just odd.
var wrongs = []func(t *rapid.T, all *description, d *draft){
	wrongValue, wrongValue, wrongValue, wrongValue, wrongLogQL, wrongLogQL, extra, extra, twice, missing, encoded, encoded,
	rawParameters, wrongHeader, wrongHeader, wrongHeader, wrongMethod, wrongPath, wrongWho, wrongWho, wrongBody, wrongJSON,
}

func wrongValue(t *rapid.T, _ *description, d *draft) {
	p := d.params[uniform(t, len(d.params), "parameter")]
	value := hostile(t, p)
	switch p.in {
	case "path":
		d.at = strings.ReplaceAll(d.path, "{"+p.name+"}", url.PathEscape(value))
	case "header":
		d.header = append(slices.DeleteFunc(d.header, func(f field) bool { return f.name == p.name }), field{p.name, inHeader(value)})
	default:
		d.pairs = append(slices.DeleteFunc(d.pairs, func(q pair) bool { return q.name == p.name }), pair{parameter: p, value: value})
	}
}

// inHeader is a text without what would end the header.
func inHeader(value string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(value) }

func wrongLogQL(t *rapid.T, _ *description, d *draft) {
	for i, p := range d.pairs {
		if p.logQL != "" {
			d.pairs[i].value = spliced(t, spliced(t, p.value))
		}
	}
}

// extra adds a parameter of another operation, one of Loki's that logfence has not, or one that some
// readers take for another.
func extra(t *rapid.T, all *description, d *draft) {
	names := append(slices.Clone(all.names),
		"shards", "regexp", "query[]", "query[0]", "Query", "QUERY", "query ", "query\x00", "match[][", "match[][0]", "match%5B%5D", "", "tenant_id", "X-Scope-OrgID", "\xff",
		"start[]", "_method", "callback", strings.Repeat("n", 3000))
	name := names[uniform(t, len(names), "extra")]
	value := texts[uniform(t, len(texts), "value")]
	if uniform(t, 2, "selects") == 0 {
		value = logQL(t, "selector")
	}
	added := pair{parameter: parameter{name: name}, value: value}
	d.pairs = slices.Insert(d.pairs, uniform(t, len(d.pairs)+1, "place"), added)
}

// twice gives a parameter again, with the same value or another, or very often.
func twice(t *rapid.T, _ *description, d *draft) {
	if len(d.pairs) == 0 {
		return
	}
	again := d.pairs[uniform(t, len(d.pairs), "again")]
	switch uniform(t, 4, "how") {
	case 0:
	case 1:
		again.value = "{tenant_id=\"beta\"}"
	case 2:
		again.name = strings.ToUpper(again.name)
	default:
		for range 70 {
			d.pairs = append(d.pairs, again)
		}
	}
	d.pairs = append(d.pairs, again)
}

func missing(t *rapid.T, _ *description, d *draft) {
	if len(d.pairs) > 0 {
		at := uniform(t, len(d.pairs), "missing")
		d.pairs = slices.Delete(d.pairs, at, at+1)
	}
}

// encoded writes parameters as few do, most of it valid.
func encoded(t *rapid.T, _ *description, d *draft) {
	styles := []func(string) string{
		func(s string) string { return escaped(s, "%%%02X") },
		func(s string) string { return escaped(s, "%%%02x") },
		func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") },
		func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
		// As little as HTTP lets through.
		strings.NewReplacer("%", "%25", " ", "+", "+", "%2B", "&", "%26", "#", "%23", ";", "%3B", "\r", "%0D", "\n", "%0A", "\x00", "%00").Replace,
		strings.NewReplacer(" ", "+", "\r", "", "\n", "", "\x00", "").Replace,
	}
	d.encoding = styles[uniform(t, len(styles), "encoding")]
}

// rawParameters break what stands between the values.
func rawParameters(t *rapid.T, _ *description, d *draft) {
	switch uniform(t, 6, "raw") {
	case 0:
		d.separator = ";"
	case 1:
		d.separator = "&&"
	case 2:
		d.separator = "&amp;"
	default:
		raw := []string{
			"%", "%z", "%zz", "%u007b", "%ff", "query=%7B%7D%00", "=", "=x", "query", "query=", "query==", "query=%7B%7D;limit=1", "qu%65ry=%7B%7D", "query=%7B%7D#x", "limit=1&limit=2",
			"match[]=", "match[][=x", "match[][20000000]=z", "?query=%7B%7D", "%26query=%7B%7D", "query=%c0%af", "\xff=\xfe", strings.Repeat("&", 200),
		}
		d.pairs = append(d.pairs, pair{value: raw[uniform(t, len(raw), "pair")], raw: true})
	}
}

func wrongHeader(t *rapid.T, _ *description, d *draft) {
	added := headers[uniform(t, len(headers), "header")]
	if uniform(t, 3, "instead") > 0 {
		d.header = slices.DeleteFunc(d.header, func(f field) bool { return strings.EqualFold(f.name, added.name) })
	}
	d.header = append(d.header, added)
}

func wrongMethod(t *rapid.T, _ *description, d *draft) {
	d.method = methods[uniform(t, len(methods), "method")]
}

func wrongPath(t *rapid.T, _ *description, d *draft) {
	d.at = paths[uniform(t, len(paths), "path")](d.at)
}

func wrongWho(t *rapid.T, _ *description, d *draft) { d.who = ways[uniform(t, len(ways), "who")] }

// wrongBody gives a body where none is taken, of another type than it is, or parameters in two places.
func wrongBody(t *rapid.T, _ *description, d *draft) {
	media := []string{
		"", "text/plain", "application/json", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8",
		"application/x-www-form-urlencoded, text/plain", "APPLICATION/X-WWW-FORM-URLENCODED", "application/x-protobuf", "\xff", "application/json; charset=utf-16",
	}
	switch uniform(t, 5, "body") {
	case 0:
		d.inURL = rapid.SampledFrom([]string{"?", "?limit=1", "?query=%7B%7D", "??", "?%zz"}).Draw(t, "url")
	case 1:
		d.chunked = true
	case 2:
		d.object = strings.Repeat("x", 420_000)
	case 3:
		d.object = "query=%7B%7D"
		d.media = media[uniform(t, len(media), "media")]
	default:
		d.media = media[uniform(t, len(media), "media")]
	}
}

// wrongJSON is of operations that take JSON.
func wrongJSON(t *rapid.T, _ *description, d *draft) {
	if !d.json {
		return
	}
	objects := []string{
		``, `{}`, `[]`, `null`, `"x"`, `1`, `{"query":null}`, `{"query":1}`, `{"query":["{}"]}`, `{"query":{}}`, `{"query":""}`, `{"Query":"{}"}`, `{"query":"{}","query":"1"}`,
		`{"query":"{}","QUERY":"1"}`, `{"query":"{}","x":1}`, `{"query":"{}"} {"query":"1"}`, `{"query":"{}"}x`, `{"query":"{}"`, `{"query":"\ud800"}`, "{\"query\":\"\xff\"}",
		"{\"query\":\"\x00\"}", `{"query":"\u0000"}`, "\ufeff{\"query\":\"{}\"}", `{"query":"{}",}`, `{'query':'{}'}`, `{"query":"{}"/**/}`, `{"query":1e999}`,
		strings.Repeat(`[`, 20_000), strings.Repeat(`{"query":`, 20_000), `{"\u0071uery":"{}"}`, `{"query":"{}","\u0071uery":"1"}`,
	}
	d.object = objects[uniform(t, len(objects), "object")]
}

// request writes the draft.
func (d *draft) request() request {
	var parameters []string
	for _, p := range d.pairs {
		switch {
		case p.raw:
			parameters = append(parameters, p.value)
		default:
			parameters = append(parameters, d.encoding(p.name)+"="+d.encoding(p.value))
		}
	}
	text := strings.Join(parameters, d.separator)
	r := request{method: d.method, target: d.at + d.inURL, body: d.object, may: d.may()}
	switch {
	case d.form:
		r.body += text
	case text != "":
		r.target += "?" + text
	}
	r.header = append([]field{{"Host", "logfence.example"}}, d.who.header...)
	r.header = append(r.header, d.header...)
	if d.media != "" {
		r.header = append(r.header, field{"Content-Type", d.media})
	}
	switch {
	case d.chunked:
		r.header = append(r.header, field{"Transfer-Encoding", "chunked"})
		if r.body != "" {
			r.body = strconv.FormatInt(int64(len(r.body)), 16) + "\r\n" + r.body + "\r\n"
		}
		r.body += "0\r\n\r\n"
	case r.body != "" || d.method == "POST":
		r.header = append(r.header, field{"Content-Length", strconv.Itoa(len(r.body))})
	}
	return r
}

// may are the tenants that the caller may see, where the request narrows them to one of its own.
func (d *draft) may() []string {
	var narrowed []string
	for _, f := range d.header {
		if f.name == "X-Logfence-Tenant" {
			narrowed = append(narrowed, strings.Trim(f.value, " \t"))
		}
	}
	if len(narrowed) == 1 && slices.Contains(d.who.may, narrowed[0]) {
		return narrowed
	}
	return d.who.may
}
