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

// plainLines are those that were written, for the next.
var plainLines = sync.Pool{New: func() any { return &plainLine{buffer: make([]byte, 0, 1<<10)} }}

// request writes the line of one request. What is not plain, such as text that is not ASCII, is slog's to
// write.
func (l *jsonLog) request(ctx context.Context, at time.Time, level slog.Level, d *Decision, queries LogQueries) error {
	line, _ := plainLines.Get().(*plainLine)
	defer plainLines.Put(line)
	line.begin(at, level)
	d.tell(line, queries)
	if line.odd {
		return l.Handle(ctx, d.record(at, level, queries)) //nolint:wrapcheck // the log's own
	}
	_, err := l.w.Write(line.end())
	return err //nolint:wrapcheck // as above
}

// plainLine is a line of JSON in the making; odd is what it becomes by a value that is not plain.
type plainLine struct {
	buffer []byte
	odd    bool
}

func (l *plainLine) begin(at time.Time, level slog.Level) {
	l.buffer, l.odd = append(l.buffer[:0], '{'), false
	l.time(slog.TimeKey, at)
	l.text(slog.LevelKey, level.String())
	l.text(slog.MessageKey, "request")
}

func (l *plainLine) end() []byte {
	l.buffer = append(l.buffer, "}\n"...)
	return l.buffer
}

// key begins a field. Keys are plain.
func (l *plainLine) key(key string) {
	if len(l.buffer) > 1 {
		l.buffer = append(l.buffer, ',')
	}
	l.buffer = append(append(append(l.buffer, '"'), key...), `":`...)
}

func (l *plainLine) text(key, value string) {
	l.key(key)
	l.string(value)
}

func (l *plainLine) texts(key string, values []string) {
	l.key(key)
	l.buffer = append(l.buffer, '[')
	for i, value := range values {
		if i > 0 {
			l.buffer = append(l.buffer, ',')
		}
		l.string(value)
	}
	l.buffer = append(l.buffer, ']')
}

func (l *plainLine) integer(key string, value int64) {
	l.key(key)
	l.buffer = strconv.AppendInt(l.buffer, value, 10)
}

func (l *plainLine) duration(key string, value time.Duration) { l.integer(key, int64(value)) }

func (l *plainLine) time(key string, value time.Time) {
	l.key(key)
	y := value.Year()
	l.odd = l.odd || y < 0 || y > 9999 // which RFC 3339 does not have
	l.buffer = append(value.AppendFormat(append(l.buffer, '"'), time.RFC3339Nano), '"')
}

func (l *plainLine) string(s string) {
	text, plain := appendPlain(l.buffer, s)
	l.buffer, l.odd = text, l.odd || !plain
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
