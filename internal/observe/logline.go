package observe

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// jsonLog is slog's JSON handler, and writes the line that every request has by hand: slog takes three times
// as long, most of it for its lists. TestLogLine holds that what is written is what slog would write.
type jsonLog struct {
	slog.Handler // a logger that is derived from it, by With, is slog's alone

	w io.Writer
}

// lineBuffers are those of lines that are being written.
var lineBuffers = sync.Pool{New: func() any { return new(make([]byte, 0, 1<<10)) }}

// write writes one line. What is not plain, such as text that is not ASCII, is slog's to write.
func (l *jsonLog) write(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error {
	buffer, _ := lineBuffers.Get().(*[]byte)
	defer lineBuffers.Put(buffer)
	line := plainLine{text: (*buffer)[:0]}
	line.record(at, level, message, attrs)
	*buffer = line.text
	if line.odd {
		record := slog.NewRecord(at, level, message, 0)
		record.AddAttrs(attrs...)
		return l.Handle(ctx, record) //nolint:wrapcheck // the log's own
	}
	_, err := l.w.Write(line.text)
	return err //nolint:wrapcheck // as above
}

// plainLine is a line of JSON in the making; odd is what it becomes by a value that is none of those which
// [Decision.attrs] makes, or that is not plain.
type plainLine struct {
	text []byte
	odd  bool
}

func (l *plainLine) record(at time.Time, level slog.Level, message string, attrs []slog.Attr) {
	l.text = append(l.text, `{"time":`...)
	l.time(at)
	l.text = append(append(append(l.text, `,"level":"`...), level.String()...), `","msg":`...)
	l.string(message)
	for _, a := range attrs {
		l.text = append(l.text, ',')
		l.string(a.Key)
		l.text = append(l.text, ':')
		l.value(a.Value)
	}
	l.text = append(l.text, "}\n"...)
}

func (l *plainLine) value(v slog.Value) {
	switch v.Kind() {
	case slog.KindString:
		l.string(v.String())
	case slog.KindInt64:
		l.text = strconv.AppendInt(l.text, v.Int64(), 10)
	case slog.KindDuration:
		l.text = strconv.AppendInt(l.text, int64(v.Duration()), 10)
	case slog.KindTime:
		l.time(v.Time())
	case slog.KindAny:
		texts, ok := v.Any().([]string)
		l.odd = l.odd || !ok || texts == nil
		l.list(texts)
	default:
		l.odd = true
	}
}

func (l *plainLine) list(texts []string) {
	l.text = append(l.text, '[')
	for i, text := range texts {
		if i > 0 {
			l.text = append(l.text, ',')
		}
		l.string(text)
	}
	l.text = append(l.text, ']')
}

func (l *plainLine) string(s string) {
	text, plain := appendPlain(l.text, s)
	l.text, l.odd = text, l.odd || !plain
}

func (l *plainLine) time(t time.Time) {
	y := t.Year()
	l.odd = l.odd || y < 0 || y > 9999 // which RFC 3339 does not have
	l.text = append(t.AppendFormat(append(l.text, '"'), time.RFC3339Nano), '"')
}

// appendPlain appends a string of printable ASCII, which all writers of JSON write alike; plain is false for
// any other.
func appendPlain(b []byte, s string) (_ []byte, plain bool) {
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c >= 0x7f:
			return b, false
		case c == '"' || c == '\\':
			b = append(append(b, s[from:i]...), '\\')
			from = i
		}
	}
	return append(append(b, s[from:]...), '"'), true
}
