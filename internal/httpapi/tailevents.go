package httpapi

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/logfence/logfence/internal/tail"
)

// encodeEvent writes what happens to a tail beside lines, as a server-sent event.
func encodeEvent(b *tail.Batch) []byte {
	name, data := describe(b.Event)
	text, err := json.Marshal(data)
	if err != nil {
		panic("httpapi: times, numbers and text were not encoded: " + err.Error()) // they always can be
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, text)
}

// tailInterrupted, tailResumed and tailMode are those of openapi.yaml.
type tailInterrupted struct {
	Since   time.Time `json:"since"`
	NextTry time.Time `json:"next_try"`
	Detail  string    `json:"detail"`
}

type tailResumed struct {
	Since  time.Time `json:"since"`
	From   time.Time `json:"from"`
	Lines  int       `json:"lines"`
	Detail string    `json:"detail"`
}

type tailMode struct {
	Mode   string `json:"mode"`
	Detail string `json:"detail"`
}

func describe(e *tail.Event) (name string, data any) {
	switch e.Kind {
	case tail.EventInterrupted:
		return "interrupted", tailInterrupted{
			Since: e.Since.UTC(), NextTry: e.NextTry.UTC(),
			Detail: "Loki does not send lines at present. The tail continues by itself.",
		}
	case tail.EventResumed:
		return "resumed", tailResumed{
			Since: e.Since.UTC(), From: e.From.UTC(), Lines: e.Lines,
			Detail: "The tail continues. The lines that Loki has from the interruption have been sent.",
		}
	case tail.EventPolling:
		return "mode", tailMode{Mode: "poll", Detail: "Loki takes no more live tails at present. New lines are queried every few seconds."}
	default:
		return "mode", tailMode{Mode: "tail", Detail: "Lines come as they arrive."}
	}
}
