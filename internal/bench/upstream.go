package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Sizes of the answers, as their names stand in a query: {size="2KB"}.
const (
	small  = "2KB"
	medium = "200KB"
	large  = "100MB"
	// series is as large as medium, and comes in many small pieces, as Loki gives the samples of a metric.
	series = "series"
	// held is a piece of an answer that then waits until its caller has gone; slow is an answer whose
	// second half comes a while after its first.
	held = "held"
	slow = "slow"
)

// pause is how long the second half of a slow answer takes: who waits for it is seen to.
const pause = 250 * time.Millisecond

// answers are what the upstream gives, in Loki's shape. Loki (3.7.8) encodes lines into one buffer and
// hands it over whole, so that an answer within net/http's 2 KB has a Content-Length and a larger one is
// chunked; the large one comes in pieces, since no machine is asked to hold it.
type answers struct{ small, medium, piece []byte }

func newAnswers() answers {
	const stats = `],"stats":{"summary":{"bytesProcessedPerSecond":0,"linesProcessedPerSecond":0,"totalBytesProcessed":0,"execTime":0.001}}}}`
	return answers{
		small:  []byte(head + lines(2000-len(head)-len(stats)) + stats),
		medium: []byte(head + lines(200<<10-len(head)-len(stats)) + stats),
		piece:  []byte(lines(256 << 10)),
	}
}

const head = `{"status":"success","data":{"resultType":"streams","result":[`

// lines are about so many bytes of streams.
func lines(n int) string {
	var b strings.Builder
	for i := 0; ; i++ {
		stream := fmt.Sprintf(`{"stream":{"app":"checkout","level":"error","pod":"checkout-%d"},"values":[["%d","level=error msg=\"payment refused\" order=%d took=%dms status=502"]]}`,
			i%7, 1795445231924945218+i, 7000000+i*37, 100+i%900)
		if b.Len()+1+len(stream) > n {
			return b.String()
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(stream)
	}
}

// serveUpstream answers at once, as a Loki would that finds everything without looking.
func serveUpstream(ctx context.Context) error {
	answers := newAnswers()
	return serveRole(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		if strings.HasSuffix(r.URL.Path, "/buildinfo") {
			_, _ = w.Write([]byte(`{"version":"3.7.8"}`))
			return
		}
		query := r.FormValue("query")
		switch {
		case strings.Contains(query, small):
			_, _ = w.Write(answers.small)
		case strings.Contains(query, medium):
			_, _ = w.Write(answers.medium)
		case strings.Contains(query, series):
			for left := answers.medium; len(left) > 0; left = left[min(len(left), 700):] {
				_, _ = w.Write(left[:min(len(left), 700)])
			}
		case strings.Contains(query, large):
			answers.many(w, 100<<20)
		case strings.Contains(query, held):
			answers.many(w, 128<<10)
			flush(w)
			<-r.Context().Done()
		case strings.Contains(query, slow):
			answers.slowly(w, r)
		default:
			http.Error(w, "unknown size in "+strconv.Quote(query), http.StatusBadRequest)
		}
	}))
}

func (a answers) many(w http.ResponseWriter, total int) {
	for sent := 0; sent < total; sent += len(a.piece) {
		if _, err := w.Write(a.piece[:min(len(a.piece), total-sent)]); err != nil {
			return
		}
	}
}

// slowly answers a small piece, and another after the pause.
func (a answers) slowly(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write(a.small[:len(a.small)/2])
	flush(w)
	select {
	case <-time.After(pause):
		_, _ = w.Write(a.small[len(a.small)/2:])
	case <-r.Context().Done():
	}
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }
