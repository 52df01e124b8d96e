package limits

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Codes of [ExceededError]: public, and for ever.
const (
	CodeTooWide      = "query_too_wide"
	CodeTooManyLines = "too_many_lines"
)

// Config bounds what one query may ask for.
type Config struct {
	// MaxRange is the widest span of time that one query may cover. Loki reads every chunk in it, so
	// one query over a year can keep it busy for all tenants. Required.
	MaxRange time.Duration
	// MaxLines is the most lines that one query may ask for. Loki has a bound of its own
	// (max_entries_limit_per_query, 5,000 by default) and refuses what is above it. Required.
	MaxLines int
	// MaxExportLines is the most lines that one export may write, over as many pages as that takes.
	// Required.
	MaxExportLines int
	// MaxTails is how many live tails a tenant may have open; each holds a connection to Loki, and
	// Loki has a bound of its own (max_concurrent_tail_requests, 10 by default). Required.
	MaxTails int
	// Parsing bounds the queries that are parsed at the same time. Parsing cannot be cancelled, so a
	// turn is held to its end.
	Parsing TurnsConfig
}

// Validate reports every field that is missing or out of bounds, each as "Field: problem".
func (c Config) Validate() error {
	var errs []error
	if c.MaxRange <= 0 {
		errs = append(errs, fmt.Errorf("MaxRange: %s lets no query pass; write more than 0s, such as 720h", c.MaxRange))
	}
	for _, f := range []struct {
		name           string
		value, example int
	}{{"MaxLines", c.MaxLines, 5000}, {"MaxExportLines", c.MaxExportLines, 1_000_000}, {"MaxTails", c.MaxTails, 100}} {
		if f.value <= 0 {
			errs = append(errs, fmt.Errorf("%s: %d lets nothing pass; write at least 1, such as %d", f.name, f.value, f.example))
		}
	}
	if err := c.Parsing.Validate(); err != nil {
		errs = append(errs, within("Parsing", err))
	}
	return errors.Join(errs...)
}

// ExceededError is the refusal of a query that asks for more than it may.
type ExceededError struct {
	Code   string // one of the codes above
	Detail string // a sentence or two for the caller: what was asked, what is allowed, what to do
}

// Error gives the code and the detail, for the log.
func (e *ExceededError) Error() string { return e.Code + ": " + e.Detail }

// CheckRange refuses a span that is wider than MaxRange, as an [*ExceededError]. An end that is
// before its start costs nothing and is not this package's to refuse.
func (c Config) CheckRange(start, end time.Time) error {
	// Sub saturates at 292 years instead of wrapping around, so nothing is too wide to be seen.
	if span := end.Sub(start); span > c.MaxRange {
		return &ExceededError{Code: CodeTooWide, Detail: fmt.Sprintf(
			"The query spans %s; it may span %s. Narrow start and end.", days(span), days(c.MaxRange))}
	}
	return nil
}

// CheckLines refuses more lines than MaxLines, as an [*ExceededError].
func (c Config) CheckLines(lines int) error {
	if lines > c.MaxLines {
		return &ExceededError{Code: CodeTooManyLines, Detail: fmt.Sprintf(
			"The query asks for %d lines; it may ask for %d. Lower limit, or narrow start and end and ask again.",
			lines, c.MaxLines)}
	}
	return nil
}

// days prints a duration as people say it and LogQL writes it: 31d, 1d2h, 90m becomes 1h30m. Parts
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

// within puts a field's name before those of its own fields, one error for each.
func within(field string, err error) error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return fmt.Errorf("%s.%w", field, err)
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, fmt.Errorf("%s.%w", field, e))
	}
	return errors.Join(errs...)
}
