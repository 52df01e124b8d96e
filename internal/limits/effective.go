package limits

import (
	"time"

	"github.com/logfence/logfence/internal/tenant"
)

// Effective is the limits of one request: those of its tenant, or the strictest of its tenants'. It does not
// change while the request lasts, whatever becomes of the settings.
type Effective struct {
	Limits

	tenants []member
	one     [1]member // where there is one
	hits    *hits
}

// member is one of a set's, with its own limits: what is counted is counted for each.
type member struct {
	name   tenant.Name
	limits *Limits
	class  string
}

// Class is the class of the tenants, by the name that the operator has given it in the file of limits; see
// [OwnLimits]. Tenants of different classes are of "(several)".
func (s *Effective) Class() string {
	class := ""
	for i, t := range s.tenants {
		if i > 0 && t.class != class {
			return severalClasses
		}
		class = t.class
	}
	return class
}

// Classes of tenants that have none of the file's. No name of a class has parentheses.
const (
	// NoClass is that of tenants which have neither a class nor limits of their own.
	NoClass        = "(none)"
	ownClass       = "(own)" // limits of their own
	severalClasses = "(several)"
)

// OwnLimits are the limits of a tenant that has some of its own, or those of a class.
type OwnLimits struct {
	Limits
	// Class is the name of the class; empty: they are of the tenant alone.
	Class string
}

// refuse counts a limit that was hit.
func (s *Effective) refuse(e *ExceededError) error {
	s.hits[e.Limit].Add(1)
	return e
}

// The checks below refuse with an [*ExceededError].

// CheckQuery refuses a text that is longer than MaxQueryBytes; of several texts it is their sum.
func (s *Effective) CheckQuery(bytes int) error {
	if bytes > s.MaxQueryBytes {
		return s.refuse(exceeded(LimitQueryBytes,
			"The query is %d bytes long; the server's setting allows %d. Shorten it, or ask your administrator to raise the setting.", bytes, s.MaxQueryBytes).
			inLoki("parse error : input size too long (%d > %d)", bytes, s.MaxQueryBytes))
	}
	return nil
}

// CheckShape refuses a query that is nested too deep, has too many selectors, or too long a range in
// brackets.
func (s *Effective) CheckShape(depth, selectors int, rangeVector time.Duration) error {
	switch {
	case depth > s.MaxDepth:
		return s.refuse(exceeded(LimitDepth, "The query is nested %d deep; it may be %d. Split it into several.", depth, s.MaxDepth))
	case selectors > s.MaxSelectors:
		return s.refuse(exceeded(LimitSelectors, "The query has %d selectors; it may have %d. Split it into several, or select by a regular expression.",
			selectors, s.MaxSelectors))
	case rangeVector > s.MaxRangeVector:
		return s.refuse(exceeded(LimitRangeVector, "The query has a range of %s in brackets; it may have %s. Shorten it.",
			days(rangeVector), days(s.MaxRangeVector)).inLoki(lokiTooWide, days(rangeVector), days(s.MaxRangeVector)))
	}
	return nil
}

// CheckRange refuses a span that is wider than MaxRange. An end that is before its start costs nothing
// and is not this package's to refuse.
func (s *Effective) CheckRange(start, end time.Time) error {
	// Sub saturates at 292 years instead of wrapping around, so nothing is too wide to be seen.
	if span := end.Sub(start); span > s.MaxRange {
		return s.refuse(exceeded(LimitRange, "The query spans %s; it may span %s. Narrow start and end.", days(span), days(s.MaxRange)).
			inLoki(lokiTooWide, days(span), days(s.MaxRange)))
	}
	return nil
}

// CheckPoints refuses a step so short that each series would have more points than MaxPoints. Without a
// step Loki chooses one that gives a few hundred.
func (s *Effective) CheckPoints(start, end time.Time, step time.Duration) error {
	span := end.Sub(start)
	if step <= 0 || span <= 0 || int64(span/step) <= int64(s.MaxPoints) {
		return nil
	}
	// Rounded up to whole seconds, as steps are usually written.
	fits := (span/time.Duration(s.MaxPoints) + time.Second).Truncate(time.Second)
	return s.refuse(exceeded(LimitPoints, "The query requests %d points of each series; it may request %d. Make step %s or longer, or narrow start and end.",
		int64(span/step), s.MaxPoints, days(fits)).
		inLoki("exceeded maximum resolution of %s points per time series. Try increasing the value of the step parameter", thousands(s.MaxPoints)))
}

// CheckLines refuses more lines than MaxLines.
func (s *Effective) CheckLines(lines int) error {
	if lines > s.MaxLines {
		return s.refuse(exceeded(LimitLines, "The query requests %d lines; it may request %d. Lower limit, or narrow start and end and repeat the query.",
			lines, s.MaxLines).inLoki("max entries limit per query exceeded, limit > max_entries_limit_per_query (%d > %d)", lines, s.MaxLines))
	}
	return nil
}

// CheckExportLines refuses an export of more lines than MaxExportLines.
func (s *Effective) CheckExportLines(lines int) error {
	if lines > s.MaxExportLines {
		return s.refuse(exceeded(LimitExportLines, "The export requests %d lines; it may request %d. Lower limit, or narrow start and end and repeat the export.",
			lines, s.MaxExportLines))
	}
	return nil
}

// ExportTooLong is the end of an export that has written MaxExportLines, and finds that there are more.
func (s *Effective) ExportTooLong() error {
	return s.refuse(exceeded(LimitExportLines, "There are more than %d lines, which is what one export may write. Narrow start and end, or give a limit.",
		s.MaxExportLines))
}

// CheckResponse refuses a response that is longer than MaxAnswerBytes.
func (s *Effective) CheckResponse(bytes int64) error {
	if bytes > int64(s.MaxAnswerBytes) {
		return s.refuse(exceeded(LimitAnswerBytes, "The response has %d bytes or more; it may have %d. Request less: a shorter range, fewer lines, a narrower selector.",
			bytes, s.MaxAnswerBytes).inLoki("response larger than the max message size (%d vs %d)", bytes, s.MaxAnswerBytes))
	}
	return nil
}

// CheckBytesRead refuses a query that would read more than MaxQueryBytesRead, by an estimate.
func (s *Effective) CheckBytesRead(bytes int64) error {
	if bytes > s.MaxQueryBytesRead {
		would, may := binaryBytes(bytes), binaryBytes(s.MaxQueryBytesRead)
		return s.refuse(exceeded(LimitQueryBytesRead,
			"The query would read about %s; it may read %s. Narrow start and end, shorten the range in brackets, or select fewer streams by more labels.", would, may).
			inLoki("the query would read too many bytes (query: %s, limit: %s); consider adding more specific stream selectors or reduce the time range of the query", would, may))
	}
	return nil
}
