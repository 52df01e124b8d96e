package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// sameResponse fails when the responses differ, statistics and the order of what has none aside, and tells
// whether they hold anything.
func sameResponse(t *testing.T, through, direct response) (some bool) {
	t.Helper()
	want := direct.status
	if want == http.StatusInternalServerError { // what Loki says of its failures is not for callers
		want = http.StatusBadGateway
	}
	if mistakes[string(bytes.TrimSpace(direct.body))] { // of the query, for which Loki blames itself
		want = http.StatusBadRequest
		if strings.HasPrefix(through.header.Get("Content-Type"), "application/problem+json") {
			want = http.StatusUnprocessableEntity
		}
	}
	if through.status != want {
		t.Errorf("through logfence: %d %.300s\ndirectly: %d %.300s", through.status, through.body, direct.status, direct.body)
		return false
	}
	if through.status/100 != 2 {
		return false
	}
	if bytes.Equal(withoutStatistics(through.body), withoutStatistics(direct.body)) && holds(through.body) {
		return true
	}
	got, expected := canonical(t, through.body), canonical(t, direct.body)
	if !bytes.Equal(got, expected) {
		t.Errorf("the responses differ (- directly, + through logfence):\n%s", diff(expected, got))
	}
	return holds(through.body)
}

// mistakes are errors of Loki's with status 500 that only another query can avoid. A client would repeat those.
var mistakes = map[string]bool{"approx_topk is not enabled. See -limits.shard_aggregations": true}

// diff is the first lines of a difference.
func diff(want, got []byte) string {
	lines := strings.Split(gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")), "\n")
	const most = 60
	if len(lines) > most {
		lines = append(lines[:most], "…")
	}
	return strings.Join(lines, "\n")
}

// withoutStatistics cuts a response where Loki writes them, at its end.
func withoutStatistics(body []byte) []byte {
	if i := bytes.LastIndex(body, []byte(`"stats":{`)); i >= 0 {
		return body[:i]
	}
	return body
}

// holds tells whether a response has anything in it, for responses of every endpoint.
func holds(body []byte) bool {
	var a struct {
		Data           json.RawMessage
		DetectedLabels []json.RawMessage
		Fields, Values []json.RawMessage
		Streams        int
		Version        string
	}
	if json.Unmarshal(body, &a) != nil {
		return false
	}
	if len(a.DetectedLabels)+len(a.Fields)+len(a.Values)+a.Streams+len(a.Version) > 0 {
		return true
	}
	var result struct{ Result []json.RawMessage }
	if json.Unmarshal(a.Data, &result) == nil {
		return len(result.Result) > 0
	}
	var list []json.RawMessage
	if json.Unmarshal(a.Data, &list) == nil {
		return len(list) > 0
	}
	return len(a.Data) > 2 && a.Data[0] == '"'
}

// canonical is a response's JSON without statistics, with lists in one order, keys too, and samples
// rounded: Loki adds numbers up in the order in which its workers end.
func canonical(t *testing.T, body []byte) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("the response is not JSON: %v: %.300s", err, body)
	}
	if top, ok := v.(map[string]any); ok {
		if data, ok := top["data"].(map[string]any); ok {
			delete(data, "stats")
		}
	}
	text, err := json.MarshalIndent(ordered(v), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func ordered(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = ordered(v[k])
		}
	case []any:
		if len(v) == 2 {
			if _, ok := v[0].(json.Number); ok {
				return sample(v)
			}
		}
		type item struct {
			value any
			text  string
		}
		items := make([]item, len(v))
		for i := range v {
			o := ordered(v[i])
			text, _ := json.Marshal(o) // what was JSON can be JSON again
			items[i] = item{o, string(text)}
		}
		slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.text, b.text) })
		for i := range v {
			v[i] = items[i].value
		}
	}
	return v
}

// sample is a time with its value, to ten digits.
func sample(v []any) []any {
	if text, ok := v[1].(string); ok {
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			v[1] = strconv.FormatFloat(f, 'g', 10, 64)
		}
	}
	return v
}

// sameOrder fails when the series of two responses come in another order.
func sameOrder(t *testing.T, through, direct response) {
	t.Helper()
	names := func(a response) (names []string) {
		var body struct {
			Data struct {
				Result []struct{ Metric map[string]string }
			}
		}
		if err := json.Unmarshal(a.body, &body); err != nil {
			t.Fatal(err)
		}
		for _, series := range body.Data.Result {
			names = append(names, series.Metric["app"])
		}
		return names
	}
	if got, want := names(through), names(direct); !slices.Equal(got, want) {
		t.Errorf("order is %v through logfence and %v directly", got, want)
	}
}

// unleaked fails when a response holds anything that marks the others' logs.
func unleaked(t *testing.T, a response) {
	t.Helper()
	for _, m := range marks {
		if i := bytes.Index(a.body, []byte(m)); i >= 0 {
			t.Errorf("LEAK: %q is in the response: …%s…", m, a.body[max(0, i-200):min(len(a.body), i+200)])
			return
		}
	}
	for name, values := range a.header {
		if strings.Contains(strings.Join(values, " "), mark) {
			t.Errorf("LEAK: %q is in the header %s", mark, name)
		}
	}
}

// volume is one sum of bytes by labels.
type volume struct {
	labels string
	bytes  int64
}

func volumes(t *testing.T, a response) (all []volume) {
	t.Helper()
	var body struct {
		Data struct {
			Result []struct {
				Metric json.RawMessage
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(a.body, &body); err != nil {
		t.Fatalf("%v: %.300s", err, a.body)
	}
	for _, r := range body.Data.Result {
		text, _ := r.Value[1].(string)
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, volume{string(r.Metric), n})
	}
	return all
}
