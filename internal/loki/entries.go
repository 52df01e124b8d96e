package loki

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/tenancy"
)

// Entry is one log line as a log query returns it. Labels are kept as text, never as a map: they are compared
// and passed on, and one text serves all entries of a stream.
type Entry struct {
	// Nanos is the timestamp, Unix time in nanoseconds.
	Nanos int64
	Line  string
	// Labels are the stream's own, Metadata the line's structured metadata, Parsed what the query's parsers
	// found: JSON objects of text, sorted by name. Metadata and Parsed are empty where there are none.
	Labels, Metadata, Parsed string
}

// Time is the timestamp.
func (e Entry) Time() time.Time { return time.Unix(0, e.Nanos) }

// Size is how much memory the entry holds, approximately. Labels are shared but counted for each entry,
// so that a bound in bytes errs on the safe side.
func (e Entry) Size() int {
	const overhead = 96
	return overhead + len(e.Line) + len(e.Labels) + len(e.Metadata) + len(e.Parsed)
}

// ErrTooLarge means that a response held more bytes than the caller of [Client.Entries] accepts. A smaller
// limit may fit. The error is a [*TooLargeError].
var ErrTooLarge = errors.New("loki's response is too large")

// TooLargeError is an [ErrTooLarge] that reports how many lines had been read when there was no more room.
type TooLargeError struct{ Lines int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s: %d lines fit", ErrTooLarge, e.Lines)
}

// Is reports whether target is ErrTooLarge.
func (e *TooLargeError) Is(target error) bool { return target == ErrTooLarge }

// Lines are what Loki returned for a time range.
type Lines struct {
	Entries []Entry
	// Complete reports that Loki has no other lines in the range. Fewer lines than were requested do not show that: Loki
	// holds a line twice where a push was repeated, counts it twice towards the limit (3.7.8,
	// pkg/ingester/instance.go, sendBatches), and drops one of them afterwards (pkg/iter/entry_iterator.go). So what
	// its statistics say that it dropped, and what its ingesters sent, is counted, too. It may be false although there are no
	// others: a replicated Loki counts each line once for each replica. Of no lines, it is true.
	Complete bool
}

// Entries requests lines over a time range and decodes the response, of which it reads at most maxBytes.
// They are the first ones of the range: no line is missing between them, though they may be fewer than Loki returned.
// They are in the order of time, forward or backward by p (Loki's default is backward); those of one
// nanosecond are in the order of their streams' labels, and within a stream as Loki has them.
func (c *Client) Entries(ctx context.Context, options RequestOptions, q tenancy.Query, p RangeParams, maxBytes int64) (Lines, error) {
	if q.Kind() != tenancy.KindLogs {
		return Lines{}, fmt.Errorf("%w: not a query for log lines", ErrParameter)
	}
	options.AcceptGzip, options.CategorizeLabels = false, true
	response, err := c.QueryRange(ctx, options, q, p)
	if err != nil {
		return Lines{}, err
	}
	defer response.Body.Close() //nolint:errcheck // it has been read, or is not needed
	d, err := c.decode(&limitedReader{from: response.Body, remaining: maxBytes})
	if err != nil {
		return Lines{}, err
	}
	backward := p.Direction != "forward"
	slices.SortStableFunc(d.entries, func(a, b Entry) int { return compareEntries(a, b, backward) })
	limit := cmp.Or(p.Limit, defaultLimit)
	counted := max(len(d.entries)+d.stats.duplicates(), d.stats.Ingester.TotalLinesSent)
	complete := len(d.entries) == 0 || counted < limit
	if gapless := d.stats.gapless(len(d.entries), limit); gapless < len(d.entries) {
		clear(d.entries[gapless:]) // their texts would stay in memory, of which nobody knows
		return Lines{d.entries[:gapless], false}, nil
	}
	return Lines{d.entries, complete}, nil
}

// defaultLimit is how many lines Loki returns where no limit is sent.
const defaultLimit = 100

// decode decodes a response in a CPU slot.
func (c *Client) decode(r io.Reader) (d decoder, err error) {
	err = c.cpuSlots.Read(r, func(r io.Reader) error {
		d, err = decodeEntries(r)
		return err
	})
	return d, err
}

func compareEntries(a, b Entry, backward bool) int {
	if a.Nanos != b.Nanos {
		if (a.Nanos < b.Nanos) != backward {
			return -1
		}
		return 1
	}
	return strings.Compare(a.Labels, b.Labels)
}

// limitedReader returns an error where io.LimitReader would return io.EOF: a truncated response must not look
// like a malformed one.
type limitedReader struct {
	from      io.Reader
	remaining int64
}

func (b *limitedReader) Read(p []byte) (int, error) {
	if b.remaining <= 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.remaining {
		p = p[:b.remaining]
	}
	n, err := b.from.Read(p)
	b.remaining -= int64(n)
	return n, err
}

// decodeEntries decodes a response line by line, so that besides the entries it holds the text of one line
// at most.
func decodeEntries(r io.Reader) (decoder, error) {
	d := decoder{json: json.NewDecoder(r), labels: &interner{}}
	for _, step := range []func() error{
		func() error { return d.enterField("data") },
		func() error { return d.enterField("result") },
		d.streams,
		d.rest,
		func() error { return d.end(1) }, // behind "data"
	} {
		if err := step(); err != nil {
			if errors.Is(err, ErrTooLarge) {
				return decoder{}, &TooLargeError{Lines: len(d.entries)}
			}
			return decoder{}, decodeError(err)
		}
	}
	return d, nil
}

// decodeError keeps errors that body has classified; other errors are about the JSON.
func decodeError(err error) error {
	var known *Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	return failed("decode response: %w", err)
}

type decoder struct {
	json    *json.Decoder
	labels  *interner
	entries []Entry
	stats   wireStats
}

// wireStats are the part of Loki's statistics (3.7.8, pkg/logqlmodel/stats) that tells whether lines are complete.
type wireStats struct {
	Querier struct {
		Store storeStats
	}
	Ingester struct {
		TotalReached   int
		TotalLinesSent int
		Store          storeStats
	}
}

type storeStats struct {
	Chunk struct{ TotalDuplicates int }
}

// duplicates are the lines that were dropped since they were held twice.
func (s *wireStats) duplicates() int {
	return s.Querier.Store.Chunk.TotalDuplicates + s.Ingester.Store.Chunk.TotalDuplicates
}

// gapless is how many lines there are, from the first one, with no other line of Loki between them. An ingester that holds
// lines twice reaches the limit with fewer lines than were requested; what the store and other ingesters have later follows
// in the response without its own. It has sent the limit less what was dropped: up to so many lines nothing is missing. What
// was dropped may also be copies of replicas, or of what is being flushed, which leave no gap. So a part of the limit is
// taken in any case; with replicas it rests on an ingester holding no line more than twice.
func (s *wireStats) gapless(lines, limit int) int {
	dropped := s.Querier.Store.Chunk.TotalDuplicates
	if dropped == 0 || s.Ingester.TotalLinesSent < limit {
		return lines
	}
	least := (limit + 1) / 2
	if s.Ingester.TotalReached == 1 {
		least = (limit + 7) / 8
	}
	return min(lines, max(limit-dropped, least))
}

// enterField reads the next object up to the value of a field. The result must be streams: another result type
// before that field is an error.
func (d *decoder) enterField(field string) error {
	if err := d.delimiter('{'); err != nil {
		return err
	}
	for d.json.More() {
		name, err := d.json.Token()
		if err != nil {
			return err
		}
		if name == field {
			return nil
		}
		if err := d.field(name); err != nil {
			return err
		}
	}
	if err := d.delimiter('}'); err != nil { // More is false, too, when reading has failed
		return err
	}
	return fmt.Errorf("no %q in it", field)
}

// field reads the value of a field beside the streams.
func (d *decoder) field(name json.Token) error {
	if name == "stats" {
		return d.json.Decode(&d.stats)
	}
	var value json.RawMessage
	if err := d.json.Decode(&value); err != nil {
		return err
	}
	if name == "resultType" && string(value) != `"streams"` {
		return fmt.Errorf("result is of type %.20s", value)
	}
	return nil
}

func (d *decoder) delimiter(want json.Delim) error {
	got, err := d.json.Token()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%v instead of %v", got, want)
	}
	return nil
}

func (d *decoder) streams() error {
	return d.list(d.stream)
}

// list decodes an array, item by item.
func (d *decoder) list(item func() error) error {
	if err := d.delimiter('['); err != nil {
		return err
	}
	for d.json.More() {
		if err := item(); err != nil {
			return err
		}
	}
	return d.delimiter(']')
}

// stream decodes one stream, whose labels may come before its values, as Loki writes them, or after them.
func (d *decoder) stream() error {
	first, set := len(d.entries), "{}"
	err := d.object(func(name json.Token) (err error) {
		switch name {
		case "stream":
			set, err = d.streamLabels()
		case "values":
			err = d.list(d.value)
		default:
			err = d.ignore()
		}
		return err
	})
	for i := range d.entries[first:] {
		d.entries[first+i].Labels = set
	}
	return err
}

// object decodes an object, field by field.
func (d *decoder) object(field func(name json.Token) error) error {
	if err := d.delimiter('{'); err != nil {
		return err
	}
	return d.fields(field)
}

// fields decodes what is left of an object.
func (d *decoder) fields(field func(name json.Token) error) error {
	for d.json.More() {
		name, err := d.json.Token()
		if err != nil {
			return err
		}
		if err := field(name); err != nil {
			return err
		}
	}
	return d.delimiter('}')
}

func (d *decoder) ignore() error {
	var ignored json.RawMessage
	return d.json.Decode(&ignored)
}

func (d *decoder) streamLabels() (string, error) {
	var raw json.RawMessage
	if err := d.json.Decode(&raw); err != nil {
		return "", err
	}
	return d.labels.stream(raw)
}

// value decodes ["ns", "line"] or ["ns", "line", {structuredMetadata?, parsed?}], part by part: as one value, each line would
// be scanned three more times.
func (d *decoder) value() error {
	var nanos string
	var e Entry
	var categories struct {
		StructuredMetadata json.RawMessage `json:"structuredMetadata"`
		Parsed             json.RawMessage `json:"parsed"`
	}
	if err := d.tuple(2, &nanos, &e.Line, &categories); err != nil {
		return err
	}
	var err error
	if e.Nanos, err = strconv.ParseInt(nanos, 10, 64); err != nil {
		return err
	}
	if e.Metadata, err = d.labels.object(categories.StructuredMetadata); err != nil {
		return err
	}
	if e.Parsed, err = d.labels.object(categories.Parsed); err != nil {
		return err
	}
	d.entries = append(d.entries, e)
	return nil
}

// tuple decodes an array into its parts, of which at least so many are there.
func (d *decoder) tuple(least int, parts ...any) error {
	if err := d.delimiter('['); err != nil {
		return err
	}
	for i, part := range parts {
		if i >= least && !d.json.More() {
			break
		}
		if err := d.json.Decode(part); err != nil {
			return err
		}
	}
	return d.delimiter(']')
}

// rest reads what follows the streams within "data": Loki's statistics.
func (d *decoder) rest() error { return d.fields(d.field) }

// end reads what follows up to the end, at this depth: what was cut off there is not complete. A decoder's Token does
// not tell an end within an object from one behind it.
func (d *decoder) end(depth int) error {
	for {
		token, err := d.json.Token()
		switch {
		case errors.Is(err, io.EOF) && depth == 0:
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case depth == 0:
			return fmt.Errorf("%v after its end", token)
		case token == json.Delim('{'), token == json.Delim('['):
			depth++
		case token == json.Delim('}'), token == json.Delim(']'):
			depth--
		}
	}
}

// interner makes one text of labels that are the same, however Loki has ordered and escaped them.
type interner struct {
	texts map[string]string // by the raw text
}

// maxInterned bounds the memory of an interner that is kept as long as a tail.
const maxInterned = 1024

// object is the sorted text of an object of text; "" for none and for the empty one.
func (n *interner) object(raw json.RawMessage) (string, error) {
	if len(raw) == 0 {
		return "", nil
	}
	if text, ok := n.texts[string(raw)]; ok {
		return text, nil
	}
	var set map[string]string
	if err := json.Unmarshal(raw, &set); err != nil {
		return "", err
	}
	text := ""
	if len(set) > 0 {
		text = ObjectText(set)
	}
	if n.texts == nil || len(n.texts) >= maxInterned {
		n.texts = map[string]string{}
	}
	n.texts[string(raw)] = text
	return text, nil
}

// stream is object for the labels of a stream, which are an object even if it has none.
func (n *interner) stream(raw json.RawMessage) (string, error) {
	set, err := n.object(raw)
	if set == "" {
		set = "{}"
	}
	return set, err
}

// ObjectText is the JSON of an object of text, sorted by name, in the one spelling that [Entry] uses.
func ObjectText(set map[string]string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is JSON, and no page
	if err := e.Encode(set); err != nil {
		panic("loki: a map of text was not encoded: " + err.Error()) // it always can be
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// MergeObjects is the object of text with the fields of all objects, which [Entry] has; of fields with the
// same name the last one's counts.
func MergeObjects(objects ...string) string {
	all := map[string]string{}
	for _, text := range objects {
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			panic("loki: an object of text was not decoded: " + err.Error()) // ObjectText has written it
		}
	}
	return ObjectText(all)
}
