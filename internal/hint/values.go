package hint

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
)

var (
	// unencoded is a time whose `+` was read as a space, as forms and URLs have it.
	unencoded = regexp.MustCompile(`^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?) (\d\d:\d\d)$`)
	variable  = regexp.MustCompile(`\$\{?(\w{1,100})`)
	fraction  = regexp.MustCompile(`^([0-9]{0,9}\.[0-9]{1,9})(ms|[smhdwy])$`)
)

// Time returns a hint for the value of a parameter that is no time; "" where no slip is known.
func Time(value string) string {
	if m := unencoded.FindStringSubmatch(value); m != nil {
		return fmt.Sprintf("In a URL or a form a + is a space. Write it as %%2B, %s%%2B%s, or send the time in UTC, with a Z at its end.", m[1], m[2])
	}
	return ofVariable(value)
}

// Duration returns a hint for the value of a parameter that is no duration; "" where no slip is known.
func Duration(value string) string {
	m := fraction.FindStringSubmatch(value)
	if m == nil {
		return ofVariable(value)
	}
	number, err := strconv.ParseFloat(m[1], 64)
	unit, unitErr := model.ParseDuration("1" + m[2])
	whole := number * float64(unit)
	if err != nil || unitErr != nil || whole < float64(time.Millisecond) || whole > float64(1<<62) {
		return ""
	}
	return fmt.Sprintf("Durations have whole numbers. Write %s instead of %s.",
		model.Duration(time.Duration(whole).Round(time.Millisecond)), value)
}

func ofVariable(value string) string {
	if m := variable.FindStringSubmatch(value); m != nil {
		return variableHint("$" + m[1])
	}
	return ""
}

// Empty returns the hint for a parameter whose value is empty.
func Empty(name string) string {
	if name == "query" {
		return withoutSelector("")
	}
	return "An empty value is not the same as none. Leave the parameter out, or give it a value."
}
