package loki

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestDecodeFrame guarantees that a message of a tail is read as Loki writes it, in whatever order its fields are.
func TestDecodeFrame(t *testing.T) {
	want := Frame{
		Entries: []Entry{
			{Nanos: 1, Line: "a", Labels: `{"app":"web"}`, Metadata: `{"id":"7"}`, Parsed: `{"level":"warn"}`},
			{Nanos: 2, Line: "b", Labels: `{"app":"web"}`},
			{Nanos: 3, Line: "", Labels: "{}"},
		},
		Dropped: []Dropped{{Nanos: 4, Labels: `{"app":"api"}`}},
	}
	for _, message := range []string{
		`{"streams":[{"stream":{"app":"web"},"values":[["1","a",{"structuredMetadata":{"id":"7"},"parsed":{"level":"warn"}}],["2","b",{"structuredMetadata":{}}]]},` +
			`{"stream":{},"values":[["3",""]]}],"dropped_entries":[{"timestamp":"4","labels":{"app":"api"}}],"encodingFlags":["categorize-labels"]}`,
		`{"encodingFlags":[],"dropped_entries":[{"labels":{"app":"api"},"timestamp":"4"}],"streams":[` +
			`{"values":[["1","a",{"parsed":{"level":"warn"},"structuredMetadata":{"id":"7"}}],["2","b"]],"more":[{}],"stream":{"app":"web"}},{"values":[["3",""]]}]} `,
	} {
		if got, err := decodeFrame([]byte(message), &interner{}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", message, got, err)
		}
	}
}

// TestDecodeBrokenFrame guarantees that no part of a message is taken that is not as Loki writes it.
func TestDecodeBrokenFrame(t *testing.T) {
	whole := `{"streams":[{"stream":{"app":"web"},"values":[["1","a"]]}],"dropped_entries":[{"timestamp":"4","labels":{"app":"api"}}]}`
	broken := []string{
		whole + "x", whole + whole, strings.Replace(whole, `"1"`, "1", 1), strings.Replace(whole, `"4"`, `"x"`, 1),
		strings.Replace(whole, `,"a"`, "", 1), strings.Replace(whole, `"a"`, `"a",{},{}`, 1), strings.Replace(whole, `{"app":"web"}`, `{"app":1}`, 1),
	}
	for n := range len(whole) {
		broken = append(broken, whole[:n])
	}
	for _, message := range broken {
		if got, err := decodeFrame([]byte(message), &interner{}); err == nil || len(got.Entries) > 0 {
			t.Errorf("%s: %+v, %v", message, got, err)
		}
	}
}

// BenchmarkDecode is the decoding of a page of 500 lines, as contexts, exports and tails request it.
func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{100, 3000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var text strings.Builder
			text.WriteString(`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"long"},"values":[`)
			for i := range 500 {
				if i > 0 {
					text.WriteByte(',')
				}
				fmt.Fprintf(&text, `["%d","%s",{"structuredMetadata":{"trace":"%d"}}]`, i, strings.Repeat("x", size), i%10)
			}
			text.WriteString(`]}],"stats":{}}}`)
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				if d, err := decodeEntries(strings.NewReader(text.String())); err != nil || len(d.entries) != 500 {
					b.Fatal(err)
				}
			}
		})
	}
}
