package lokitest

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"
)

// indexed are the streams that an operation on the index is about.
func (l *Loki) indexedStreams(r request, emptyIsAll bool) ([]stream, error) {
	s, err := r.span()
	if err != nil {
		return nil, err
	}
	return l.selected(r, s, emptyIsAll, false)
}

// names are sorted and absent when there are none, as in Loki's responses.
type namesResponse struct {
	Status string   `json:"status"`
	Data   []string `json:"data,omitempty"`
}

func (l *Loki) labels(r request) (any, error) {
	streams, err := l.indexedStreams(r, true)
	found := map[string]bool{}
	for _, s := range streams {
		s.labels.Range(func(lb labels.Label) { found[lb.Name] = true })
	}
	return namesResponse{"success", slices.Sorted(maps.Keys(found))}, err
}

func (l *Loki) labelValues(r request) (any, error) {
	streams, err := l.indexedStreams(r, true)
	found := map[string]bool{}
	for _, s := range streams {
		if v := s.labels.Get(r.name); v != "" {
			found[v] = true
		}
	}
	return namesResponse{"success", slices.Sorted(maps.Keys(found))}, err
}

// series takes match and match[] together; none, or a single {}, is every series.
func (l *Loki) series(r request) (any, error) {
	window, err := r.span()
	if err != nil {
		return nil, err
	}
	groups := slices.Concat(r.Form["match"], r.Form["match[]"])
	slices.Sort(groups)
	groups = slices.Compact(groups)
	if len(groups) == 0 || len(groups) == 1 && strings.ReplaceAll(groups[0], " ", "") == "{}" {
		return seriesResponse(clip(l.snapshot(), window)), nil
	}
	var found []stream
	for _, group := range groups {
		matchers, err := syntax.ParseMatchers(group, true)
		if err != nil {
			return nil, badRequest(err)
		}
		found = append(found, clip(matching(l.snapshot(), matchers), window)...)
	}
	return seriesResponse(found), nil
}

func seriesResponse(streams []stream) any {
	var a struct {
		Status string              `json:"status"`
		Data   []map[string]string `json:"data"`
	}
	a.Status, a.Data = "success", []map[string]string{}
	seen := map[string]bool{}
	for _, s := range streams {
		if key := s.labels.String(); !seen[key] {
			seen[key] = true
			a.Data = append(a.Data, s.labels.Map())
		}
	}
	return a
}

func (l *Loki) indexStats(r request) (any, error) {
	streams, err := l.indexedStreams(r, false)
	var a struct {
		Streams int `json:"streams"`
		Chunks  int `json:"chunks"`
		Bytes   int `json:"bytes"`
		Entries int `json:"entries"`
	}
	for _, s := range streams {
		a.Streams++
		a.Chunks++
		a.Entries += len(s.entries)
		a.Bytes += size(s)
	}
	return a, err
}

func size(s stream) int {
	n := 0
	for _, e := range s.entries {
		n += len(e.Line)
	}
	return n
}

var digits = regexp.MustCompile(`[0-9]+`)

// patterns are lines with their digits taken out.
func (l *Loki) patterns(r request) (any, error) {
	window, err := r.span()
	if err != nil {
		return nil, err
	}
	step, err := r.step(window)
	if err != nil {
		return nil, err
	}
	streams, err := l.selected(r, window, false, false)
	if err != nil {
		return nil, err
	}
	counts := map[string]map[int64]int64{}
	for _, s := range streams {
		for _, e := range s.entries {
			p := digits.ReplaceAllString(e.Line, "<_>")
			if counts[p] == nil {
				counts[p] = map[int64]int64{}
			}
			counts[p][e.Time.Truncate(step).Unix()]++
		}
	}
	type pattern struct {
		Pattern string     `json:"pattern"`
		Level   string     `json:"level"`
		Samples [][2]int64 `json:"samples"`
	}
	found := []pattern{}
	for _, text := range slices.Sorted(maps.Keys(counts)) {
		p := pattern{Pattern: text, Level: "unknown"}
		for _, t := range slices.Sorted(maps.Keys(counts[text])) {
			p.Samples = append(p.Samples, [2]int64{t, counts[text][t]})
		}
		found = append(found, p)
	}
	return struct {
		Status string    `json:"status"`
		Data   []pattern `json:"data"`
	}{"success", found}, nil
}

func (l *Loki) detectedLabels(r request) (any, error) {
	streams, err := l.indexedStreams(r, true)
	values := map[string]map[string]bool{}
	for _, s := range streams {
		s.labels.Range(func(lb labels.Label) { addValue(values, lb.Name, lb.Value) })
	}
	type detected struct {
		Label       string `json:"label"`
		Cardinality int    `json:"cardinality"`
	}
	var a struct {
		DetectedLabels []detected `json:"detectedLabels,omitempty"`
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		a.DetectedLabels = append(a.DetectedLabels, detected{name, len(values[name])})
	}
	return a, err
}

func addValue(values map[string]map[string]bool, name, value string) {
	if values[name] == nil {
		values[name] = map[string]bool{}
	}
	values[name][value] = true
}

// formatResponse is the one response of Loki's whose errors are JSON.
type formatResponse struct {
	Status string `json:"status"`
	Data   string `json:"data,omitempty"`
	Error  string `json:"error,omitempty"`
}

func (f formatResponse) status() int {
	if f.Error != "" {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

func (l *Loki) formatQuery(r request) (any, error) {
	e, err := syntax.ParseExpr(r.param("query"))
	if err != nil {
		return formatResponse{Status: "invalid-query", Error: err.Error()}, nil //nolint:nilerr // it is the response
	}
	return formatResponse{Status: "success", Data: syntax.Prettify(e)}, nil
}

// Version is the Loki that is imitated.
const Version = "3.7.8"

func (l *Loki) buildInfo(request) (any, error) {
	return map[string]string{
		"version": Version, "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
	}, nil
}
