package httpapi

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/lokitest"
)

// TestWithoutControls guarantees that text has no sequence left that a terminal takes for a command, and that nothing
// else of it is lost.
func TestWithoutControls(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"plain text", "a\tb\nc ü ☕", "a\tb\nc ü ☕"},
		{"colors", "\x1b[31;1merror\x1b[0m at 12", "error at 12"},
		{"the title of a window", "\x1b]0;pwned\x07x\x1b]2;pwned\x1b\\y", "xy"},
		{"a link", "\x1b]8;;https://example.com\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"a device control string", "\x1bP$q\x1b\\x", "x"},
		{"the reset of a terminal", "\x1bcx", "x"},
		{"a line that overwrites itself", "denied\rgranted\b\b", "deniedgranted"},
		{"C1 as UTF-8", "a\u009b31mb", "a31mb"},
		{"a sequence without an end loses nothing else", "a\x1b]0;rest of the line", "a0;rest of the line"},
		{"ESC behind half a character", "\xc3\x1b[2Jx", "\uFFFDx"},
		{"one sequence inside of another", "\x1b\x1b[0m[31mx", "[31mx"},
	} {
		if got := withoutControls(tt.in); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"\x1b", "[", "]", "0;", "\x07", "\\", "m", "\x9b", "\u009d", "P", "x", "\xc3", "\r"})).Draw(t, "parts")
		for _, r := range withoutControls(strings.Join(parts, "")) {
			if unicode.IsControl(r) {
				t.Fatalf("%q is left", r)
			}
		}
	})
}

// TestExportOptions guarantees what each option of a format does, that it is off unless requested, and that an option
// of another format is refused.
func TestExportOptions(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	lines := []string{"=1+1", "@x", "\tx", "-1", "＝1", "a=1", "\x1b[31mred\x1b[0m", `"=1"`, ""}
	var entries []lokitest.Entry
	for i, l := range lines {
		entries = append(entries, lokitest.Entry{Time: now.Add(time.Duration(i-100) * time.Second), Line: l})
	}
	g.loki.Add(lokitest.Stream{Labels: labels("alpha", "options"), Entries: entries})
	export := func(params ...string) (text string) {
		t.Helper()
		r := g.get(alphaToken, exportPath, append([]string{"query", `{app="options"}`}, params...)...)
		if r.StatusCode != http.StatusOK || r.err != nil || r.Trailer.Get(headerExportLines) != fmt.Sprint(len(lines)) {
			t.Fatalf("%v: %d %s, trailer %v, %v", params, r.StatusCode, r.text, r.Trailer, r.err)
		}
		return r.text
	}
	cells := func(text string) (out []string) {
		t.Helper()
		records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records[1:] {
			out = append(out, r[4])
		}
		return out
	}
	if got, want := cells(export("format", "csv")), lines; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("csv\ngot  %q\nwant %q", got, want)
	}
	want := []string{"'=1+1", "'@x", "'\tx", "'-1", "'＝1", "a=1", "\x1b[31mred\x1b[0m", `"=1"`, ""}
	if got := cells(export("format", "csv", "spreadsheet", "true")); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("spreadsheet\ngot  %q\nwant %q", got, want)
	}
	if got := export("format", "text", "raw", "true"); got != strings.Join(lines, "\n")+"\n" {
		t.Errorf("raw: %q", got)
	}
	if got := export("format", "text"); !strings.Contains(got, "\nred\n") || strings.Contains(got, "\x1b") {
		t.Errorf("text: %q", got)
	}
	end := fmt.Sprintf("{\"end\":{\"lines\":%d}}\n", len(lines))
	if got := export("end_record", "true"); !strings.HasSuffix(got, "\n"+end) || strings.Count(got, "\n") != len(lines)+1 {
		t.Errorf("end_record: %s", got)
	}
	if got := export(); strings.Contains(got, `"end"`) {
		t.Errorf("no end_record: %s", got)
	}
	for _, params := range [][]string{{"end_record", "true", "format", "csv"}, {"spreadsheet", "true"}, {"raw", "true", "format", "csv"}} {
		r := g.get(alphaToken, exportPath, append([]string{"query", `{app="options"}`}, params...)...)
		if r.StatusCode != http.StatusBadRequest || !strings.Contains(r.text, `"parameter":"`+params[0]+`"`) {
			t.Errorf("%v: %d %s", params, r.StatusCode, r.text)
		}
	}
}
