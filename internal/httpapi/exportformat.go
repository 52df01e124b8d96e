package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/loki"
)

// format is one way to write lines.
type format struct {
	extension, media string
	header           string
	line             func(*bytes.Buffer, loki.Entry)
	// failure writes that the export has failed; nil: the response is aborted.
	failure func(*bytes.Buffer, *problem) error
	// end writes that the export is complete, with its number of lines; nil: the trailer alone shows it.
	end func(*bytes.Buffer, int)
}

var formats = map[api.ExportFormat]format{
	api.Ndjson: {extension: ".ndjson", media: "application/x-ndjson", line: ndjsonLine, failure: ndjsonFailure},
	api.Csv: {
		extension: ".csv", media: "text/csv; charset=utf-8",
		header: "timestamp,labels,structured_metadata,parsed,line\r\n", line: csvLine,
	},
	api.Text: {extension: ".txt", media: echo.MIMETextPlainCharsetUTF8, line: safeTextLine},
}

// exportFormat returns the format that the parameters name. An option of another format is refused: it would seem to
// have been applied.
func exportFormat(p api.ExportLogsParams) (format, error) {
	name := api.Ndjson
	if p.Format != nil {
		name = *p.Format
	}
	f := formats[name]
	for _, o := range []struct {
		name  string
		value *bool
		of    api.ExportFormat
		apply func()
	}{
		{"end_record", p.EndRecord, api.Ndjson, func() { f.end = ndjsonEnd }},
		{"spreadsheet", p.Spreadsheet, api.Csv, func() { f.line = spreadsheetLine }},
		{"raw", p.Raw, api.Text, func() { f.line = textLine }},
	} {
		switch {
		case o.value == nil || !*o.value:
		case name != o.of:
			return format{}, parameterInvalid(o.name, "%s is for format=%s. The format is %s.", o.name, o.of, name)
		default:
			o.apply()
		}
	}
	return f, nil
}

func ndjsonLine(b *bytes.Buffer, e loki.Entry) {
	appendLine(b, e)
	b.WriteByte('\n')
}

func ndjsonFailure(b *bytes.Buffer, p *problem) error {
	text, err := json.Marshal(map[string]*problem{"error": p})
	if err != nil {
		return fmt.Errorf("encode failure: %w", err)
	}
	b.Write(text)
	b.WriteByte('\n')
	return nil
}

func textLine(b *bytes.Buffer, e loki.Entry) {
	b.WriteString(e.Line)
	b.WriteByte('\n')
}

func ndjsonEnd(b *bytes.Buffer, lines int) {
	fmt.Fprintf(b, `{"end":{"lines":%d}}`+"\n", lines)
}

// safeTextLine appends a line without the control sequences of terminals: lines are written by programs that may be
// under attack, and are read with cat.
func safeTextLine(b *bytes.Buffer, e loki.Entry) {
	b.WriteString(withoutControls(e.Line))
	b.WriteByte('\n')
}

// terminalSequences are control sequences of ECMA-48: CSI; OSC; DCS, SOS, PM and APC; and the other escape sequences.
var terminalSequences = regexp.MustCompile(
	"\x1b\\[[0-?]*[ -/]*[@-~]" + "|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)" + "|\x1b[PX^_][^\x1b]*\x1b\\\\" + "|\x1b[ -/]*[0-~]")

// withoutControls returns text without sequences that a terminal takes for commands. No control character is left but
// tab and line feed, whatever the text is; what is no complete sequence loses its control characters alone. Not by
// charmbracelet/x/ansi, whose Strip lets an ESC pass after the first byte of a broken UTF-8 sequence, and drops the rest
// of a text after a sequence that does not end.
func withoutControls(text string) string {
	if strings.IndexFunc(text, isTerminalControl) < 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		if isTerminalControl(r) {
			return -1
		}
		return r
	}, terminalSequences.ReplaceAllString(text, ""))
}

// isTerminalControl reports whether r is of C0 or C1 or DEL, tab and line feed excepted. A byte of C1 alone is no UTF-8,
// and has become U+FFFD.
func isTerminalControl(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' }

// csvLine appends a record.
func csvLine(b *bytes.Buffer, e loki.Entry) { appendRecord(b, e, csvCell) }

// spreadsheetLine appends a record that a spreadsheet reads as text.
func spreadsheetLine(b *bytes.Buffer, e loki.Entry) {
	appendRecord(b, e, func(b *bytes.Buffer, cell string) {
		if r, _ := utf8.DecodeRuneInString(cell); strings.ContainsRune(formulaStarts, r) {
			cell = "'" + cell
		}
		csvCell(b, cell)
	})
}

// formulaStarts are the first characters of a cell that make spreadsheets read it as a formula, those of full width
// included. Source: OWASP, CSV Injection.
const formulaStarts = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"

// appendRecord appends the cells of a line. Not encoding/csv, which changes the line feeds that are in a line.
func appendRecord(b *bytes.Buffer, e loki.Entry, appendCell func(*bytes.Buffer, string)) {
	appendTime(b, e)
	for _, cell := range [...]string{e.Labels, e.Metadata, e.Parsed, e.Line} {
		b.WriteByte(',')
		appendCell(b, cell)
	}
	b.WriteString("\r\n")
}

func csvCell(b *bytes.Buffer, cell string) {
	if !strings.ContainsAny(cell, "\",\r\n") {
		b.WriteString(cell)
		return
	}
	b.WriteByte('"')
	b.WriteString(strings.ReplaceAll(cell, `"`, `""`))
	b.WriteByte('"')
}
