package httpapi

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
)

// lokiReads are the parameters that Loki 3.7.8 reads and checks by path (pkg/loghttp), whether they change its response
// or not, in Loki's order: the first that is not valid is the one that it reports.
var lokiReads = map[string][]string{
	"/loki/api/v1/query_range":                  {"since", "end", "start", "limit", "direction", "step", "interval"},
	"/loki/api/v1/query":                        {"limit", "time", "direction"},
	"/loki/api/v1/labels":                       {"since", "end", "start"},
	"/loki/api/v1/label":                        {"since", "end", "start"},
	"/loki/api/v1/label/{name}/values":          {"since", "end", "start"},
	"/loki/api/v1/series":                       {"since", "end", "start"},
	"/loki/api/v1/index/stats":                  {"since", "end", "start", "limit", "direction", "step", "interval"},
	"/loki/api/v1/index/volume":                 {"limit", "time", "direction", "aggregateBy", "since", "end", "start"},
	"/loki/api/v1/index/volume_range":           {"limit", "since", "end", "start", "direction", "step", "interval", "aggregateBy"},
	"/loki/api/v1/patterns":                     {"since", "end", "start", "step"},
	"/loki/api/v1/detected_labels":              {"since", "end", "start"},
	"/loki/api/v1/detected_fields":              {"since", "end", "start", "line_limit", "limit", "field_limit", "step"},
	"/loki/api/v1/detected_field/{name}/values": {"since", "end", "start", "line_limit", "limit", "field_limit", "step"},
	"/loki/api/v1/tail":                         {"limit", "since", "end", "start", "delay_for"},
}

// readAsLoki checks values as Loki does, in its words, and replaces those that it writes in another way, or takes for
// absent. Each parameter has one value that is not empty, if any.
func readAsLoki(path string, values url.Values) error {
	volume := strings.HasPrefix(path, "/loki/api/v1/index/volume")
	for _, name := range lokiReads[path] {
		if len(values[name]) == 0 || name == "field_limit" && len(values["limit"]) > 0 {
			continue
		}
		value := values[name][0]
		read, wrong := readOne(name, value)
		if volume && name == "limit" && wrong == notPositive && isZero(value) {
			read, wrong = "", "" // Loki's default
		}
		switch {
		case wrong != "":
			return parameterInvalid(name, "%s", wrong)
		case read == "":
			delete(values, name)
		case read != value:
			values[name] = []string{read}
		}
	}
	return nil
}

// What Loki reports of values, without those that it quotes.
const (
	notPositive      = "limit must be a positive value"
	stepNotPositive  = "zero or negative query resolution step widths are not accepted. Try a positive integer"
	intervalNegative = "interval must be >= 0"
	delayTooLong     = "delay_for can't be greater than 5"
	noAggregation    = "invalid aggregation option"
)

func isZero(value string) bool {
	n, err := strconv.Atoi(value)
	return err == nil && n == 0
}

// readOne returns a value as it was read, empty where it is as good as absent, or what Loki reports of it.
func readOne(name, value string) (read, wrong string) {
	switch name {
	case "limit", "line_limit", "field_limit":
		return readCount(value, func(n int) string {
			if n <= 0 {
				return notPositive
			}
			return ""
		})
	case "delay_for":
		return readCount(value, func(n int) string {
			if n < 0 || n > 5 {
				return delayTooLong
			}
			return ""
		})
	case "direction":
		if lower := strings.ToLower(value); lower == "forward" || lower == "backward" {
			return lower, ""
		}
		return "", "invalid direction '" + printable(value) + "'"
	case "step":
		return readSpan(value, func(d float64) string {
			if d <= 0 {
				return stepNotPositive
			}
			return ""
		})
	case "interval":
		return readSpan(value, func(d float64) string {
			if d < 0 {
				return intervalNegative
			}
			return ""
		})
	case "since":
		if _, err := model.ParseDuration(value); err != nil {
			return "", "could not parse 'since' parameter: not a valid duration: " + printable(value)
		}
		return value, ""
	case "start", "end":
		if _, ok := readTime(value); !ok {
			return "", "could not parse '" + name + "' parameter: strconv.ParseInt: parsing " + printable(value) + ": invalid syntax"
		}
		return value, ""
	case "time":
		if _, ok := readTime(value); !ok {
			return "", "strconv.ParseInt: parsing " + printable(value) + ": invalid syntax"
		}
		return value, ""
	case "aggregateBy":
		if !slices.Contains([]string{"series", "labels"}, value) {
			return "", noAggregation
		}
		return value, ""
	default:
		return "", "unknown parameter" // TestLokiReads: there is none
	}
}

// readCount reads an integer. Larger ones than 32 bits hold are cut: Loki's own bounds are far below.
func readCount(value string, check func(int) string) (read, wrong string) {
	n, err := strconv.Atoi(value)
	if err != nil {
		return "", "strconv.Atoi: parsing " + printable(value) + ": invalid syntax"
	}
	return strconv.Itoa(min(n, 1<<31-1)), check(n)
}

// readSpan reads a duration that may also be a number of seconds. Zero is as good as absent, where it is allowed.
func readSpan(value string, check func(seconds float64) string) (read, wrong string) {
	d, ok := readStep(value)
	switch {
	case !ok && strings.EqualFold(strings.TrimLeft(value, "+-"), "nan"):
		return "", check(-1) // as Go converts it
	case !ok:
		return "", "cannot parse " + printable(value) + " to a valid duration"
	case d == 0:
		return "", check(0)
	default:
		return value, check(d.Seconds())
	}
}
