package httpapi

import (
	"net/url"
	"strings"
)

// timeParameters are the parameters of the native API that are times.
var timeParameters = []string{"start", "end", "time", "timestamp"}

// checkTimes refuses integers that are neither seconds nor nanoseconds of this century: a time of JavaScript's, in
// milliseconds, would be read as some minutes of 1970, and the response be empty without a word. Loki's own paths take
// them as Loki does.
func checkTimes(values url.Values) error {
	for _, name := range timeParameters {
		for _, value := range values[name] {
			digits := len(value)
			if strings.Trim(value, "0123456789") != "" || digits <= 10 || digits == 18 || digits == 19 {
				continue
			}
			return parameterInvalid(name,
				"%s: %q has %d digits. Milliseconds? Seconds have up to 10 digits, nanoseconds 18 or 19; or write RFC 3339 (2026-01-31T12:00:00Z).",
				name, value, digits)
		}
	}
	return nil
}
