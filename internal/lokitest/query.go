package lokitest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/grafana/loki/v3/pkg/logqlmodel"
	"github.com/grafana/loki/v3/pkg/logqlmodel/stats"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// The shapes of Loki's responses, field by field in its order.
type (
	response struct {
		Status string `json:"status"`
		Data   any    `json:"data,omitempty"`
	}
	result struct {
		ResultType    string       `json:"resultType"`
		EncodingFlags []string     `json:"encodingFlags,omitempty"`
		Result        any          `json:"result"`
		Stats         stats.Result `json:"stats"`
	}
	streamResult struct {
		Stream map[string]string `json:"stream"`
		Values [][]any           `json:"values"`
	}
	vectorSample struct {
		Metric map[string]string `json:"metric"`
		Value  [2]any            `json:"value"`
	}
	matrixSeries struct {
		Metric map[string]string `json:"metric"`
		Values [][2]any          `json:"values"`
	}
)

func success(data any) response { return response{Status: "success", Data: data} }

// sample is [time in seconds, "value"].
func sample(t time.Time, v float64) [2]any {
	return [2]any{float64(t.UnixMilli()) / 1000, strconv.FormatFloat(v, 'f', -1, 64)}
}

// statistics count what a query touched.
func statistics(lines, bytes, returned int) stats.Result {
	var r stats.Result
	r.Summary = stats.Summary{
		TotalLinesProcessed: int64(lines), TotalBytesProcessed: int64(bytes),
		TotalEntriesReturned: int64(returned), TotalPostFilterLines: int64(returned),
		LinesProcessedPerSecond: int64(lines) * 1000, BytesProcessedPerSecond: int64(bytes) * 1000,
		ExecTime: 0.001, Splits: 1, Shards: 1,
	}
	r.Ingester.TotalReached = 1
	return r
}

var errInstantLogs = errors.New("log queries are not supported as an instant query type, please change your query to a range query type")

// query serves an instant query.
func (l *Loki) query(r request) (any, error) {
	at, err := r.time("time", r.now)
	if err != nil {
		return nil, err
	}
	expr, err := syntax.ParseExpr(r.param("query"))
	if err != nil {
		return nil, badRequest(err)
	}
	switch e := expr.(type) {
	case *syntax.MultiVariantExpr: // before samples: it is one of them
		return nil, badRequest(logqlmodel.ErrVariantsDisabled)
	case *syntax.LiteralExpr:
		v, err := e.Value()
		if err != nil {
			return nil, badRequest(err)
		}
		return success(result{ResultType: "scalar", Result: sample(at, v), Stats: statistics(0, 0, 1)}), nil
	case syntax.SampleExpr:
		series, st, err := l.samples(e, []time.Time{at})
		if err != nil {
			return nil, err
		}
		vector := make([]vectorSample, 0, len(series))
		for _, s := range series {
			vector = append(vector, vectorSample{s.Metric, s.Values[0]})
		}
		return success(result{ResultType: "vector", Result: vector, Stats: st}), nil
	case syntax.LogSelectorExpr:
		return nil, badRequest(errInstantLogs)
	default:
		return nil, badRequest(fmt.Errorf("unsupported expression %T", expr))
	}
}

// queryRange serves a range query.
func (l *Loki) queryRange(r request) (any, error) {
	window, err := r.span()
	if err != nil {
		return nil, err
	}
	expr, err := syntax.ParseExpr(r.param("query"))
	if err != nil {
		return nil, badRequest(err)
	}
	switch e := expr.(type) {
	case *syntax.MultiVariantExpr: // before samples: it is one of them
		return nil, badRequest(logqlmodel.ErrVariantsDisabled)
	case syntax.SampleExpr: // before lines: literals are both
		step, err := r.step(window)
		if err != nil {
			return nil, err
		}
		var times []time.Time
		for t := window.start; !t.After(window.end); t = t.Add(step) {
			times = append(times, t)
		}
		series, st, err := l.samples(e, times)
		if err != nil {
			return nil, err
		}
		return success(result{ResultType: "matrix", Result: series, Stats: st}), nil
	case syntax.LogSelectorExpr:
		return l.logs(r, e, window)
	default:
		return nil, badRequest(fmt.Errorf("unsupported expression %T", expr))
	}
}

const maxEntries = 5000 // max_entries_limit_per_query by default

// logs serves a query for lines.
func (l *Loki) logs(r request, e syntax.LogSelectorExpr, window timeRange) (any, error) {
	limit, err := r.positive("limit", DefaultLimit)
	if err != nil {
		return nil, err
	}
	if limit > maxEntries {
		return nil, badRequest(fmt.Errorf("max entries limit per query exceeded, limit > max_entries_limit_per_query (%d > %d)", limit, maxEntries))
	}
	forward, err := r.forward()
	if err != nil {
		return nil, err
	}
	// The end is exclusive, for lines alone.
	window.end = window.end.Add(-1)
	found, touched, err := run(e, clip(l.snapshot(), window))
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b line) int {
		if forward {
			return a.time.Compare(b.time)
		}
		return b.time.Compare(a.time)
	})
	found = found[:min(limit, len(found))]
	data := result{ResultType: "streams", Result: grouped(found, r.categorize()), Stats: statistics(touched.lines, touched.bytes, len(found))}
	if r.categorize() {
		data.EncodingFlags = []string{"categorize-labels"}
	}
	return success(data), nil
}

// line is what a pipeline makes of an entry.
type line struct {
	time                       time.Time
	text                       string
	all, own, metadata, parsed labels.Labels
}

// touched counts what a query read.
type readStats struct{ lines, bytes int }

// run sends the streams that e selects through its pipeline.
func run(e syntax.LogSelectorExpr, streams []stream) ([]line, readStats, error) {
	pipeline, err := e.Pipeline()
	if err != nil {
		return nil, readStats{}, badRequest(err)
	}
	var (
		found []line
		read  readStats
	)
	for _, s := range matching(streams, e.Matchers()) {
		p := pipeline.ForStream(s.labels)
		for _, entry := range s.entries {
			read.lines++
			read.bytes += len(entry.Line)
			text, set, ok := p.ProcessString(entry.Time.UnixNano(), entry.Line, labels.FromMap(entry.Metadata))
			if !ok {
				continue
			}
			// Cloned, since pipelines use their buffers again.
			found = append(found, line{
				time: entry.Time, text: string([]byte(text)), all: set.Labels().Copy(),
				own: set.Stream().Copy(), metadata: set.StructuredMetadata().Copy(), parsed: set.Parsed().Copy(),
			})
		}
	}
	return found, read, nil
}

// grouped puts lines of the same labels into streams, in the order of their first lines.
func grouped(lines []line, categorize bool) []streamResult {
	streams := []streamResult{}
	at := map[string]int{}
	for _, l := range lines {
		set := l.all
		value := []any{strconv.FormatInt(l.time.UnixNano(), 10), l.text}
		if categorize {
			set = l.own
			value = append(value, categories(l))
		}
		key := set.String()
		i, ok := at[key]
		if !ok {
			i = len(streams)
			at[key] = i
			streams = append(streams, streamResult{Stream: set.Map()})
		}
		streams[i].Values = append(streams[i].Values, value)
	}
	return streams
}

func categories(l line) map[string]map[string]string {
	c := map[string]map[string]string{}
	if !l.metadata.IsEmpty() {
		c["structuredMetadata"] = l.metadata.Map()
	}
	if !l.parsed.IsEmpty() {
		c["parsed"] = l.parsed.Map()
	}
	return c
}

// samples gives, for every selector in the tree, each stream that it matches with all of its labels, and
// the count of its lines at each time; see the package's documentation.
func (l *Loki) samples(e syntax.SampleExpr, times []time.Time) ([]matrixSeries, stats.Result, error) {
	var ranges []*syntax.LogRangeExpr
	// Walk, not Accept: the traversals of 3.7.8 pass over what is under label_replace.
	e.Walk(func(e syntax.Expr) bool {
		if r, ok := e.(*syntax.LogRangeExpr); ok {
			ranges = append(ranges, r)
		}
		return true
	})
	if len(ranges) == 0 {
		v, err := constant(e)
		if err != nil {
			return nil, stats.Result{}, badRequest(err)
		}
		return []matrixSeries{constantSeries(v, times)}, statistics(0, 0, 1), nil
	}
	var read readStats
	byLabels := map[string]*streamCounts{}
	for _, r := range ranges {
		n, err := l.count(r, times, byLabels)
		if err != nil {
			return nil, stats.Result{}, err
		}
		read.lines += n.lines
		read.bytes += n.bytes
	}
	series := seriesOf(byLabels, times)
	return series, statistics(read.lines, read.bytes, len(series)), nil
}

// counted is a stream's labels with the count of its lines at each time.
type streamCounts struct {
	labels labels.Labels
	counts []int
}

// count adds what one range selects to byLabels; a stream that several select is counted for each.
func (l *Loki) count(r *syntax.LogRangeExpr, times []time.Time, byLabels map[string]*streamCounts) (readStats, error) {
	all := timeRange{times[0].Add(-r.Interval - r.Offset), times[len(times)-1].Add(-r.Offset)}
	var read readStats
	for _, s := range clip(matching(l.snapshot(), r.Left.Matchers()), all) {
		found, n, err := run(r.Left, []stream{s})
		if err != nil {
			return read, err
		}
		read.lines += n.lines
		read.bytes += n.bytes
		key := s.labels.String()
		if byLabels[key] == nil {
			byLabels[key] = &streamCounts{s.labels, make([]int, len(times))}
		}
		for i, t := range times {
			end := t.Add(-r.Offset)
			for _, line := range found {
				if line.time.After(end.Add(-r.Interval)) && !line.time.After(end) {
					byLabels[key].counts[i]++
				}
			}
		}
	}
	return read, nil
}

// seriesOf leaves out times without lines, as Loki does, and series without any.
func seriesOf(byLabels map[string]*streamCounts, times []time.Time) []matrixSeries {
	series := []matrixSeries{}
	for _, c := range byLabels {
		s := matrixSeries{Metric: c.labels.Map()}
		for i, t := range times {
			if c.counts[i] > 0 {
				s.Values = append(s.Values, sample(t, float64(c.counts[i])))
			}
		}
		if len(s.Values) > 0 {
			series = append(series, s)
		}
	}
	slices.SortFunc(series, func(a, b matrixSeries) int {
		return cmp.Compare(labels.FromMap(a.Metric).String(), labels.FromMap(b.Metric).String())
	})
	return series
}

func constantSeries(v float64, times []time.Time) matrixSeries {
	s := matrixSeries{Metric: map[string]string{}}
	for _, t := range times {
		s.Values = append(s.Values, sample(t, v))
	}
	return s
}

// constant computes an expression that has no selector.
func constant(e syntax.Expr) (float64, error) {
	switch e := e.(type) {
	case *syntax.LiteralExpr:
		return e.Value()
	case *syntax.VectorExpr:
		return e.Value()
	case *syntax.VectorAggregationExpr:
		return constant(e.Left)
	case *syntax.LabelReplaceExpr:
		return constant(e.Left)
	case *syntax.BinOpExpr:
		left, err := constant(e.SampleExpr)
		if err != nil {
			return 0, err
		}
		right, err := constant(e.RHS)
		if err != nil {
			return 0, err
		}
		merged, err := syntax.MergeBinOp(e.Op, &promql.Sample{F: left}, &promql.Sample{F: right}, false, false, false)
		if err != nil || merged == nil {
			return 0, errors.Join(err, errors.New("no value"))
		}
		return merged.F, nil
	default:
		return 0, fmt.Errorf("lokitest does not compute %T", e)
	}
}
