package tenancy

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

// lineFormat is a query with the template.
func lineFormat(template string) string {
	return `{a="b"} | json | line_format ` + strconv.Quote(template)
}

// TestHonestTemplatesPass guarantees that templates as Loki's and Grafana's documentation has them pass.
func TestHonestTemplatesPass(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, template := range []string{
		`{{ .path | replace " " "_" | trunc 5 | upper }}`,
		`{{ if and (contains "he" "hello") (contains "llo" "hello") }} yes {{end}}`,
		`{{ if contains .err "ErrTimeout" }} timeout {{else if contains "he" "hello"}} yes {{else}} no {{end}}`,
		`{{ __line__ | lower }}`,
		`{{ __timestamp__ | date "2006-01-02T15:04:05.00Z-07:00" }}`,
		`{{ regexReplaceAll "(a*)bc" .some_label "${1}a" }}`,
		strings.Repeat(`{{ regexReplaceAll "\\d+" .path ":n" }}`, 10), `{{ range fromJson .x }}{{ count "e+" .y }}{{ end }}`,
		`{{ regexReplaceAllLiteral "(ts=)" "ts=" "timestamp=" }}`,
		`{{ __line__ | count "XYZ" }}`,
		`{{ alignLeft 5 .x }}{{ alignRight 10 .y }}`,
		`{{ repeat 3 "hello" }}{{ indent 4 .query }}{{ nindent 4 .query }}`,
		`{{ printf "%6.2f|%-20s|%q" 3.14 .x .y }}`,
		`{{ range $q := fromJson .servers }}{{ $q.name }}:{{ .port }} {{ end }}`,
		`{{ range $i, $v := fromJson .a }}{{ $i }}{{ end }}{{ range $i, $v := fromJson .b }}{{ $v }}{{ end }}`,
		`{{ range .items }}{{ . }}{{ end }}`,
		`{{ with .x }}{{ . }}{{ else }}none{{ end }}{{ $y := .y | lower }}{{ $y }}-{{ $y }}`,
		`{{ div (mulf .duration 1000) 5 | ceil }} {{ default "-" .x }} {{ .ts | unixToTime | unixEpoch }}`,
		`{{ .a }} {{ .b }} {{ .c }} {{/* a comment */}} {{ .d | urlencode | b64enc }} {{ eq .x "y" | not }}`,
		"\033[1;33m{{ .level | ToUpper | TrimSpace }}\033[0m {{ Replace .msg \"a\" \"bb\" -1 }}",
		`{{ .a | replace "\n" "" | replace "\t" "    " | replace "\"" "'" | replace "ERROR" "[[ERROR]]" | regexReplaceAll "x" "y" }}`,
		strings.Repeat("{{ .label }} ", 200),
		`{{ .not closed`, // Loki refuses it, in its own words
		`plain text`, ``,
	} {
		if _, err := s.Query(lineFormat(template)); err != nil {
			t.Errorf("line_format %s: %v", template, err)
		}
		if _, err := s.Query(`{a="b"} | label_format x=` + strconv.Quote(template)); err != nil {
			t.Errorf("label_format %s: %v", template, err)
		}
	}
}

// TestCostlyTemplatesAreRefused guarantees that no template runs for longer than its text and the line say, nor
// makes much more of a line than it is.
func TestCostlyTemplatesAreRefused(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	doubled := `{{ $a0 := .a }}`
	stages := `{a="b"}`
	for i := range 14 {
		n, next := strconv.Itoa(i), strconv.Itoa(i+1)
		doubled += `{{ $a` + next + ` := print $a` + n + ` $a` + n + ` }}`
		stages += ` | label_format a` + next + `="{{.a` + n + `}}{{.a` + n + `}}"`
	}
	texts := map[string]string{
		"stages that double":   stages,
		"lines that double":    `{a="b"}` + strings.Repeat(" | line_format `{{__line__}}{{__line__}}`", 14),
		"parsed in between":    `{a="b"}` + strings.Repeat(" | line_format `a={{__line__}}{{__line__}}` | logfmt | line_format `{{.a}}{{.a}}`", 7),
		"in a metric":          "rate({a=\"b\"} | line_format `{{define \"x\"}}{{end}}` [1m])",
		"under a second stage": "{a=\"b\"} | line_format `{{.a}}` | label_format x=`{{block \"x\" .}}{{end}}`",
		"renamed on the way":   stages + ` | label_format b=a14 | line_format "{{.b}}"`,
	}
	for name, template := range map[string]string{
		"recursion":                   `{{define "x"}}{{template "x" .}}{{template "x" .}}{{end}}{{template "x" .}}`,
		"template":                    `{{template "line"}}`,
		"range over a number":         `{{range 1000000000}}x{{end}}`,
		"range over a variable":       `{{$x := fromJson .a}}{{range $x}}x{{end}}`,
		"range over a constant":       `{{range "abc"}}x{{end}}`,
		"range in a range":            `{{range .a}}{{range .b}}x{{end}}{{end}}`,
		"repeat by a field":           `{{repeat .n "x"}}`,
		"repeat by a million":         `{{repeat 1000000 "x"}}`,
		"repeat by the pipe":          `{{.n | repeat 2000}}`,
		"repeat of repeat":            `{{repeat 1000 (repeat 1000 .x)}}`,
		"a width of a field":          `{{alignLeft .n .x}}`,
		"a wide printf":               `{{printf "%1000000d" 1}}`,
		"a precise printf":            `{{printf "%.1000000f" 1.0}}`,
		"a star":                      `{{printf "%*d" 1000000 1}}`,
		"an index":                    `{{printf "%[2]*[1]d" 1 1000000}}`,
		"a format of a field":         `{{printf .f 1}}`,
		"doubling variables":          doubled + `{{ $a14 }}`,
		"doubling replacements":       `{{ .x` + strings.Repeat(` | replace "a" "aa"`, 14) + ` }}`,
		"a variable set again":        `{{$a := .x}}{{range .y}}{{$a = print $a $a}}{{end}}{{$a}}`,
		"an expression of a field":    `{{regexReplaceAll .x .y "z"}}`,
		"an expensive expression":     `{{regexReplaceAll "a{1000}b{1000}c{1000}" .y "z"}}`,
		"many expressions":            strings.Repeat(`{{regexReplaceAll "a.*b{9}c" .y "z"}}`, 100),
		"an expression in a range":    `{{range .x}}{{regexReplaceAll "a{99}b.*c" .y "z"}}{{end}}`,
		"an expensive one, counted":   `{{count "(?i)[B-\\x{1E942}]" .y}}`,
		"a call":                      `{{call .x}}`,
		"everything in an else":       `{{if .a}}{{else if .b}}{{else}}{{repeat .n "x"}}{{end}}`,
		"in a with":                   `{{with .a}}{{repeat .n "x"}}{{end}}`,
		"in an argument":              `{{print (print (repeat .n "x"))}}`,
		"in an argument of an action": `{{.x | default (repeat .n "x")}}`,
	} {
		texts[name] = lineFormat(template)
	}
	for name, text := range texts {
		var unsupported *UnsupportedError
		if _, err := s.Query(text); !errors.As(err, &unsupported) || unsupported.Unproven() {
			t.Errorf("%s: Query(%.80s…): %v; want UnsupportedError", name, text, err)
		}
	}
}
