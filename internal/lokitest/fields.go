package lokitest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"
)

// field is one that was detected in lines.
type field struct {
	Label       string   `json:"label"`
	Type        string   `json:"type"`
	Cardinality int      `json:"cardinality"`
	Parsers     []string `json:"parsers"`
	JSONPath    []string `json:"jsonPath,omitempty"`
}

func (l *Loki) detectedFields(r request) (any, error) {
	found, limit, err := l.fields(r)
	if err != nil {
		return nil, err
	}
	var a struct {
		Fields []field `json:"fields,omitempty"`
		Limit  int     `json:"limit,omitempty"`
	}
	for _, name := range slices.Sorted(maps.Keys(found.values)) {
		f := field{Label: name, Type: typeOf(found.values[name]), Cardinality: len(found.values[name])}
		if parser := found.parser[name]; parser != "" {
			f.Parsers = []string{parser}
		}
		if found.parser[name] == "json" {
			f.JSONPath = []string{name}
		}
		a.Fields = append(a.Fields, f)
	}
	if len(a.Fields) > 0 {
		a.Fields, a.Limit = a.Fields[:min(limit, len(a.Fields))], limit
	}
	return a, nil
}

func (l *Loki) detectedFieldValues(r request) (any, error) {
	found, limit, err := l.fields(r)
	if err != nil {
		return nil, err
	}
	var a struct {
		Limit  int      `json:"limit,omitempty"`
		Values []string `json:"values,omitempty"`
	}
	if values := slices.Sorted(maps.Keys(found.values[r.name])); len(values) > 0 {
		a.Values, a.Limit = values[:min(limit, len(values))], limit
	}
	return a, nil
}

// detection is the fields of lines: their values, and the parser that found them if one did.
type detection struct {
	values map[string]map[string]bool
	parser map[string]string
}

// fields looks at the newest lines that the query gives.
func (l *Loki) fields(r request) (detection, int, error) {
	none := detection{}
	window, err := r.span()
	if err != nil {
		return none, 0, err
	}
	lineLimit, err := r.positive("line_limit", DefaultLimit)
	if err != nil {
		return none, 0, err
	}
	name := "limit"
	if r.param(name) == "" {
		name = "field_limit"
	}
	limit, err := r.positive(name, DefaultFields)
	if err != nil {
		return none, 0, err
	}
	e, err := syntax.ParseLogSelector(r.param("query"), true)
	if err != nil {
		return none, 0, badRequest(err)
	}
	lines, _, err := run(e, clip(l.snapshot(), window))
	if err != nil {
		return none, 0, err
	}
	slices.SortStableFunc(lines, func(a, b line) int { return b.time.Compare(a.time) })
	return detect(lines[:min(lineLimit, len(lines))]), limit, nil
}

func detect(lines []line) detection {
	d := detection{map[string]map[string]bool{}, map[string]string{}}
	for _, l := range lines {
		l.metadata.Range(func(lb labels.Label) { addValue(d.values, lb.Name, lb.Value) })
		l.parsed.Range(func(lb labels.Label) { addValue(d.values, lb.Name, lb.Value) })
		parser := "logfmt"
		if json.Valid([]byte(l.text)) {
			parser = "json"
		}
		for name, value := range parsed(parser, l.text) {
			addValue(d.values, name, value)
			d.parser[name] = parser
		}
	}
	return d
}

// parsed are the labels that one of Loki's parsers makes of a line; of logfmt only what has a value.
func parsed(parser, text string) map[string]string {
	e, err := syntax.ParseLogSelector(`{a="b"} | `+parser, true)
	if err != nil {
		return nil
	}
	lines, _, err := run(e, []stream{{labels.FromStrings("a", "b"), []Entry{{Line: text}}}})
	if err != nil || len(lines) == 0 {
		return nil
	}
	found := lines[0].parsed.Map()
	maps.DeleteFunc(found, func(name, value string) bool { return strings.HasPrefix(name, "__") || value == "" })
	return found
}

// typeOf is the type that all values have.
func typeOf(values map[string]bool) string {
	for _, kind := range []struct {
		name string
		is   func(string) bool
	}{
		{"int", func(s string) bool { _, err := strconv.ParseInt(s, 10, 64); return err == nil }},
		{"float", func(s string) bool { _, err := strconv.ParseFloat(s, 64); return err == nil }},
		{"boolean", func(s string) bool { _, err := strconv.ParseBool(s); return err == nil }},
		{"duration", func(s string) bool { _, err := time.ParseDuration(s); return err == nil }},
	} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(values)), func(s string) bool { return !kind.is(s) }) {
			return kind.name
		}
	}
	return "string"
}
