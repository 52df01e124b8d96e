package strictjson

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestObject guarantees which texts are refused, and that the error names the mistake.
func TestObject(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"an object", `{"a":1,"b":[true,null,{"c":"d"}]}`, ""},
		{"space around it", " {} \n", ""},
		{"names that differ in letter case", `{"a":1,"A":2}`, ""},
		{"one name in two objects", `{"a":{"b":1},"c":{"b":1}}`, ""},
		{"a name twice", `{"a":1,"a":1}`, `member "a" is given twice`},
		{"a name twice, once escaped", `{"a":1,"\u0061":1}`, `member "a" is given twice`},
		{"a name twice within an array", `{"x":[{"y":{"a":1,"a":2}}]}`, `member "a" is given twice`},
		{"a long name twice", `{"` + strings.Repeat("a", 500) + `":1,"` + strings.Repeat("a", 500) + `":1}`, `member "` + strings.Repeat("a", 120) + `" is given twice`},
		{"nothing", "", "not JSON"},
		{"an array", "[]", "not a JSON object"},
		{"a text", `"a"`, "not a JSON object"},
		{"two values", "{}{}", "not JSON"},
		{"a comma behind the last member", `{"a":1,}`, "not JSON"},
		{"an object that is cut off", `{"a":1`, "not JSON"},
		{"not UTF-8", "{\"a\":\"\xc0\xae\"}", "not UTF-8"},
		{"as deep as is read", `{"a":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + "}", ""},
		{"deeper", `{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + "}", "nested more than 16 deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Object([]byte(tt.in))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("Object(%.80s): %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// TestObjectKeepsNumbers guarantees that a number is kept as it is written: 2^53+1 must not become its neighbour.
func TestObjectKeepsNumbers(t *testing.T) {
	t.Parallel()
	got, err := Object([]byte(`{"n":[9007199254740993,1e3]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"n": []any{json.Number("9007199254740993"), json.Number("1e3")}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
