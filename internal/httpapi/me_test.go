package httpapi

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/limits"
)

var update = flag.Bool("update", false, "write the limits that are missing into spec/native.yaml")

// TestMyLimits guarantees that the schema of /api/v1/me has just the limits that the table says callers are told:
// clients are generated from it. After a change of the table, and then `make generate`:
//
//	go test ./internal/httpapi -run MyLimits -update
func TestMyLimits(t *testing.T) {
	t.Parallel()
	spec, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	schema := spec.Components.Schemas["MyLimits"].Value
	var want []string
	for _, d := range limits.Table() {
		if d.Me == "" {
			continue
		}
		want = append(want, d.Me)
		if p := schema.Properties[d.Me]; p != nil {
			if !p.Value.Type.Is("integer") || p.Value.Description == "" {
				t.Errorf("%s is not an integer with a description", d.Me)
			}
		} else if *update {
			addToSpec(t, d)
		}
	}
	slices.Sort(want)
	required := slices.Sorted(slices.Values(schema.Required))
	if got := slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(got, want) || !slices.Equal(required, want) {
		t.Errorf("the schema MyLimits has %v and requires %v, the table of limits has %v; run this with -update, then make generate", got, required, want)
	}
}

// addToSpec writes a limit into the schema and into the example of the response.
func addToSpec(t *testing.T, d limits.Descriptor) {
	t.Helper()
	const file = "../../spec/native.yaml"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	insert := func(after, addition string) {
		_, rest, found := strings.Cut(text, "\n    MyLimits:\n")
		if after == exampleLimits {
			_, rest, found = strings.Cut(text, after)
		} else if found {
			_, rest, found = strings.Cut(rest, after)
		}
		if !found {
			t.Fatalf("%s has no place for %s", file, d.Me)
		}
		text = text[:len(text)-len(rest)] + addition + rest
	}
	var l limits.Limits
	d.Set(&l, d.Default)
	value := strconv.FormatInt(l.Report()[d.Me], 10)
	format := "int32"
	if d.Unit != limits.UnitNumber {
		format = "int64"
	}
	insert("required:\n        [", d.Me+", ")
	insert("      properties:\n", "        "+d.Me+":\n          type: integer\n          format: "+format+"\n          x-go-type: "+map[string]string{"int32": "int", "int64": "int64"}[format]+"\n          description: "+strconv.Quote(d.Description)+"\n")
	insert(exampleLimits, "                  "+d.Me+": "+value+"\n")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// exampleLimits is where the limits begin in the example of /api/v1/me.
const exampleLimits = "                limits:\n"
