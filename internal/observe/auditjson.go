package observe

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Records are written by hand, since there is one for each request: encoding/json takes three times as
// long, and TestAuditEncoding holds that what is written is what it would write.

// appendTo appends the record as one object of JSON, and a line break.
func (r *auditRecord) appendTo(b []byte) []byte {
	b = append(b, `{"type":`...)
	b = appendText(b, r.Type)
	b = append(b, `,"stage":`...)
	b = appendText(b, r.Stage)
	b = append(b, `,"time":`...)
	b = appendTime(b, r.Time)
	b = appendField(b, "request_id", r.RequestID)
	b = appendField(b, "subject", r.Subject)
	b = appendField(b, "issuer", r.Issuer)
	b = appendList(b, "tenants", r.Tenants)
	b = appendField(b, "client", r.Client)
	b = appendField(b, "operation", r.Operation)
	b = appendList(b, "query", r.Query)
	b = appendList(b, "fenced", r.Fenced)
	if !r.Start.IsZero() {
		b = appendTime(append(b, `,"start":`...), r.Start)
	}
	if !r.End.IsZero() {
		b = appendTime(append(b, `,"end":`...), r.End)
	}
	if r.Lost != 0 {
		b = strconv.AppendUint(append(b, `,"lost":`...), r.Lost, 10)
	}
	if o := r.auditOutcome; o != nil {
		b = appendText(append(b, `,"outcome":`...), o.Outcome)
		b = appendField(b, "code", o.Code)
		b = strconv.AppendInt(append(b, `,"status":`...), int64(o.Status), 10)
		b = strconv.AppendInt(append(b, `,"bytes":`...), o.Bytes, 10)
		b = appendNumber(append(b, `,"duration_seconds":`...), o.Seconds)
	}
	return append(b, "}\n"...)
}

func appendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return appendText(b, value)
}

func appendList(b []byte, name string, values []string) []byte {
	if len(values) == 0 {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	for i, value := range values {
		b = append(b, "[,"[min(i, 1)])
		b = appendText(b, value)
	}
	return append(b, ']')
}

// appendText appends a string: what is plain ASCII as it stands, and all else as encoding/json has it.
func appendText(b []byte, s string) []byte {
	start := len(b)
	b, plain := appendPlain(b, s)
	if !plain {
		return append(b[:start], marshal(s)...)
	}
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	if y := t.Year(); y < 0 || y > 9999 {
		return append(b, "null"...) // RFC 3339 has no such year
	}
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

func appendNumber(b []byte, f float64) []byte {
	if f == 0 || math.Abs(f) >= 1e-6 && math.Abs(f) < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	return append(b, marshal(f)...)
}

// marshal is encoding/json's own, of a text or a number.
func marshal(v any) []byte {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false) // LogQL is full of < and >
	if err := encoder.Encode(v); err != nil {
		return []byte("null") // a number that is none
	}
	return bytes.TrimRight(line.Bytes(), "\n")
}
