package limits

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// days prints a duration as users write it in LogQL: 31d, 1d2h, 90m becomes 1h30m. Parts
// below a second are of no use in a sentence about days, but a span must not look like what is
// allowed: they are kept.
func days(d time.Duration) string {
	var b strings.Builder
	const day = 24 * time.Hour
	if n := d / day; n > 0 {
		fmt.Fprintf(&b, "%dd", n)
		d -= n * day
	}
	if d == 0 && b.Len() > 0 {
		return b.String()
	}
	rest := d.String() // 0s, 1h30m0s, 1m30s, 250ms
	if strings.HasSuffix(rest, "m0s") {
		rest = strings.TrimSuffix(rest, "0s")
	}
	if strings.HasSuffix(rest, "h0m") {
		rest = strings.TrimSuffix(rest, "0m")
	}
	return b.String() + rest
}

// binaryBytes prints bytes as Loki does in its errors: 1.5 GiB.
func binaryBytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	value, i := float64(n), 0
	for ; value >= 1024 && i < len(units)-1; i++ {
		value /= 1024
	}
	digits := 0
	if i > 0 && value < 10 {
		digits = 1
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + " " + units[i]
}

// text is a value in the unit, as an operator writes it.
func (u Unit) text(value int64) string {
	switch {
	case u == UnitBytes && value > 0 && value%(1<<40) == 0:
		return strconv.FormatInt(value>>40, 10) + "TiB"
	case u == UnitBytes && value > 0 && value%(1<<20) == 0:
		return strconv.FormatInt(value>>20, 10) + "MiB"
	case u == UnitBytes && value > 0 && value%(1<<10) == 0:
		return strconv.FormatInt(value>>10, 10) + "KiB"
	case u == UnitBytes:
		return strconv.FormatInt(value, 10) + " bytes"
	case u == UnitDuration && value != 0 && value%int64(time.Hour) == 0:
		return strconv.FormatInt(value/int64(time.Hour), 10) + "h"
	case u == UnitDuration && value%int64(time.Second) == 0:
		return strconv.FormatInt(value/int64(time.Second), 10) + "s"
	case u == UnitDuration:
		return time.Duration(value).String()
	default:
		return strconv.FormatInt(value, 10)
	}
}
