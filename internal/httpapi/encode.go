package httpapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tail"
)

// Lines are written by hand: they come by the million, and their labels are JSON already.

// appendText appends a JSON string.
func appendText(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false) // it is JSON, and no page
	e.Encode(s)            //nolint:errcheck,gosec // a string is always encoded, and a buffer takes it
	b.Truncate(b.Len() - 1)
}

// lineTime is a timestamp as lines have it: RFC 3339 with all nine digits, so that text sorts as time does.
const lineTime = "2006-01-02T15:04:05.000000000Z"

func appendTime(b *bytes.Buffer, e loki.Entry) {
	b.Write(e.Time().UTC().AppendFormat(b.AvailableBuffer(), lineTime))
}

// appendLine appends a LogLine of openapi.yaml.
func appendLine(b *bytes.Buffer, e loki.Entry) {
	b.WriteString(`{"timestamp":"`)
	appendTime(b, e)
	b.WriteString(`","labels":` + e.Labels)
	if e.Metadata != "" {
		b.WriteString(`,"structured_metadata":` + e.Metadata)
	}
	if e.Parsed != "" {
		b.WriteString(`,"parsed":` + e.Parsed)
	}
	b.WriteString(`,"line":`)
	appendText(b, e.Line)
	b.WriteByte('}')
}

// appendListedLine appends a ListedLine of openapi.yaml: one line of a batch.
func appendListedLine(b *bytes.Buffer, batch pages.Batch, i int) {
	e := batch.Lines()[i]
	b.WriteString(`{"timestamp":"`)
	appendTime(b, e)
	b.WriteString(`","line":`)
	appendText(b, e.Line)
	b.WriteString(`,"labels":` + e.Labels + `,"metadata":`)
	if e.Metadata == "" {
		b.WriteString("{}")
	}
	b.WriteString(e.Metadata)
	if e.Parsed != "" {
		b.WriteString(`,"parsed":` + e.Parsed)
	}
	b.WriteString(`,"id":"` + batch.ID(i) + `"}`)
}

// appendStreams appends entries as Loki's streams, in their order: entries of one stream that follow each
// other share it. With labels given, all of an entry's are the stream's.
func appendStreams(b *bytes.Buffer, entries []loki.Entry, labels func(loki.Entry) string) {
	b.WriteByte('[')
	last := ""
	for i, e := range entries {
		set := e.Labels
		if labels != nil {
			set = labels(e)
		}
		switch {
		case i > 0 && set == last:
			b.WriteByte(',')
		case i > 0:
			b.WriteString(`]},`)
			fallthrough
		default:
			b.WriteString(`{"stream":` + set + `,"values":[`)
		}
		last = set
		appendValue(b, e, labels == nil)
	}
	if len(entries) > 0 {
		b.WriteString(`]}`)
	}
	b.WriteByte(']')
}

func appendValue(b *bytes.Buffer, e loki.Entry, categorized bool) {
	b.WriteString(`["`)
	b.Write(strconv.AppendInt(b.AvailableBuffer(), e.Nanos, 10))
	b.WriteString(`",`)
	appendText(b, e.Line)
	if categorized {
		b.WriteString(`,{`)
		if e.Metadata != "" {
			b.WriteString(`"structuredMetadata":` + e.Metadata)
		}
		if e.Metadata != "" && e.Parsed != "" {
			b.WriteByte(',')
		}
		if e.Parsed != "" {
			b.WriteString(`"parsed":` + e.Parsed)
		}
		b.WriteByte('}')
	}
	b.WriteByte(']')
}

// appendFrame appends a message of Loki's tail.
func appendFrame(b *bytes.Buffer, batch *tail.Batch, labels func(loki.Entry) string) {
	b.WriteString(`{"streams":`)
	appendStreams(b, batch.Entries, labels)
	for i, d := range batch.Drops.Named {
		if i == 0 {
			b.WriteString(`,"dropped_entries":[`)
		} else {
			b.WriteByte(',')
		}
		b.WriteString(`{"timestamp":"` + strconv.FormatInt(d.Nanos, 10) + `"`)
		if d.Labels != "" {
			b.WriteString(`,"labels":` + d.Labels)
		}
		b.WriteByte('}')
	}
	if len(batch.Drops.Named) > 0 {
		b.WriteByte(']')
	}
	if labels == nil {
		b.WriteString(`,"encodingFlags":["categorize-labels"]`)
	}
	b.WriteByte('}')
}

// nameTime is a time in the name of a file.
func nameTime(t time.Time) string { return t.UTC().Format("20060102T150405Z") }
