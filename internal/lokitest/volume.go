package lokitest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"
)

func (l *Loki) volume(r request) (any, error) {
	window, err := r.span()
	if err != nil {
		return nil, err
	}
	return l.volumes(r, []timeRange{window})
}

func (l *Loki) volumeRange(r request) (any, error) {
	window, err := r.span()
	if err != nil {
		return nil, err
	}
	step, err := r.step(window)
	if err != nil {
		return nil, err
	}
	var steps []timeRange
	for start := window.start; start.Before(window.end); start = start.Add(step) {
		end := start.Add(step - 1)
		if end.After(window.end) {
			end = window.end
		}
		steps = append(steps, timeRange{start, end})
	}
	return l.volumes(r, steps)
}

// volumes adds up bytes by labels in each span. It is a matrix only if a series has several values.
func (l *Loki) volumes(r request, spans []timeRange) (any, error) {
	limit, err := r.positive("limit", DefaultLimit)
	if err != nil {
		return nil, err
	}
	group, err := volumeGroups(r)
	if err != nil {
		return nil, err
	}
	resultType := "vector"
	byKey := map[string]*matrixSeries{}
	for _, s := range spans {
		streams, err := l.selected(r, s, false, true)
		if err != nil {
			return nil, err
		}
		for key, v := range sumBytes(streams, group) {
			if byKey[key] == nil {
				byKey[key] = &matrixSeries{Metric: v.metric}
			}
			byKey[key].Values = append(byKey[key].Values, sample(s.end, float64(v.bytes)))
			if len(byKey[key].Values) > 1 {
				resultType = "matrix"
			}
		}
	}
	keys := slices.Sorted(maps.Keys(byKey))
	keys = keys[:min(limit, len(keys))]
	st := statistics(0, 0, len(keys))
	if resultType == "vector" {
		vector := []vectorSample{}
		for _, k := range keys {
			vector = append(vector, vectorSample{byKey[k].Metric, byKey[k].Values[0]})
		}
		return success(result{ResultType: resultType, Result: vector, Stats: st}), nil
	}
	matrix := []matrixSeries{}
	for _, k := range keys {
		matrix = append(matrix, *byKey[k])
	}
	return success(result{ResultType: resultType, Result: matrix, Stats: st}), nil
}

type volume struct {
	metric map[string]string
	bytes  int
}

func sumBytes(streams []stream, group func(labels.Labels) []map[string]string) map[string]*volume {
	sums := map[string]*volume{}
	for _, s := range streams {
		for _, metric := range group(s.labels) {
			key := fmt.Sprint(metric) // sorted by name
			if sums[key] == nil {
				sums[key] = &volume{metric: metric}
			}
			sums[key].bytes += size(s)
		}
	}
	return sums
}

// volumeGroups returns what a stream's bytes are added to: the labels named in targetLabels, or else those
// that the selector names, or else all; by name alone where the aggregation is by labels.
func volumeGroups(r request) (func(labels.Labels) []map[string]string, error) {
	matchers, err := syntax.ParseMatchers(r.param("query"), false)
	if err != nil {
		return nil, badRequest(err)
	}
	target := map[string]bool{}
	for _, name := range strings.FieldsFunc(r.param("targetLabels"), func(c rune) bool { return c == ',' }) {
		target[name] = true
	}
	by := r.param("aggregateBy")
	if by != "" && by != "series" && by != "labels" {
		return nil, badRequest(errors.New("invalid aggregation option"))
	}
	if len(target) == 0 && by != "labels" {
		for _, m := range matchers {
			target[m.Name] = true
		}
	}
	return func(set labels.Labels) []map[string]string {
		metric, byName := map[string]string{}, []map[string]string{}
		set.Range(func(lb labels.Label) {
			if len(target) == 0 || target[lb.Name] {
				metric[lb.Name] = lb.Value
				byName = append(byName, map[string]string{lb.Name: ""})
			}
		})
		if by == "labels" {
			return byName
		}
		return []map[string]string{metric}
	}, nil
}
