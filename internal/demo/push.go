package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Stream is a log stream, or a part of one.
type Stream struct {
	Labels  map[string]string
	Entries []Entry
}

// Entry is one log line.
type Entry struct {
	Time     time.Time
	Line     string
	Metadata map[string]string // structured metadata
}

// pushBytes is how much a request of [Loki.Push] carries, more or less: well below what Loki takes.
const pushBytes = 8 << 20

// Push writes the streams, each for the organisation that [LokiOptions] names for it. They can be queried when
// it returns, but for two things: Loki looks for patterns a second later, and index/stats counts only
// what was flushed.
func (l *Loki) Push(ctx context.Context, streams ...Stream) error {
	if l.options.Organization == nil {
		return l.PushAs(ctx, "", streams...)
	}
	var organizations []string // in the order of the streams
	of := map[string][]Stream{}
	for _, s := range streams {
		org := l.options.Organization(s.Labels)
		if of[org] == nil {
			organizations = append(organizations, org)
		}
		of[org] = append(of[org], s)
	}
	for _, org := range organizations {
		if err := l.PushAs(ctx, org, of[org]...); err != nil {
			return err
		}
	}
	return nil
}

// PushAs writes the streams for one organisation of a Loki that was started with MultiTenant.
func (l *Loki) PushAs(ctx context.Context, org string, streams ...Stream) error {
	for _, batch := range batches(streams) {
		if err := l.push(ctx, org, batch); err != nil {
			return fmt.Errorf("push to loki: %w", err)
		}
	}
	return nil
}

// batches cuts the streams into requests of a size that Loki takes.
func batches(streams []Stream) [][]Stream {
	var all [][]Stream
	var batch []Stream
	size := 0
	for _, s := range streams {
		from := 0
		for i, e := range s.Entries {
			size += len(e.Line) + 64
			if size >= pushBytes {
				all = append(all, append(batch, Stream{Labels: s.Labels, Entries: s.Entries[from : i+1]}))
				batch, size, from = nil, 0, i+1
			}
		}
		if from < len(s.Entries) {
			batch = append(batch, Stream{Labels: s.Labels, Entries: s.Entries[from:]})
		}
	}
	if len(batch) > 0 {
		all = append(all, batch)
	}
	return all
}

func (l *Loki) push(ctx context.Context, org string, streams []Stream) error {
	type jsonStream struct {
		Stream map[string]string `json:"stream"`
		Values [][]any           `json:"values"`
	}
	var body struct {
		Streams []jsonStream `json:"streams"`
	}
	for _, s := range streams {
		values := make([][]any, len(s.Entries))
		for i, e := range s.Entries {
			values[i] = []any{strconv.FormatInt(e.Time.UnixNano(), 10), e.Line}
			if len(e.Metadata) > 0 {
				values[i] = append(values[i], e.Metadata)
			}
		}
		body.Streams = append(body.Streams, jsonStream{s.Labels, values})
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if org != "" {
		header.Set("X-Scope-OrgID", org)
	}
	// A busy machine lets Loki's own deadlines pass. Loki may hold a line twice then, and returns it once.
	for range 5 {
		_, err = l.do(ctx, l.role(roleWrite), http.MethodPost, "/loki/api/v1/push", header, text, http.StatusNoContent)
		if err == nil || !strings.Contains(err.Error(), "DeadlineExceeded") {
			break
		}
	}
	if failed := (*url.Error)(nil); errors.As(err, &failed) && ctx.Err() == nil { // Loki has not responded
		return errors.Join(err, l.whyGone(roleWrite))
	}
	return err
}

// Flush moves everything that was written to the store, so that the store and no longer the ingesters
// serve it. Nobody may write meanwhile: it returns when they are empty.
func (l *Loki) Flush(ctx context.Context) error {
	for _, p := range l.writers() {
		if err := l.flush(ctx, p); err != nil {
			return fmt.Errorf("flush loki: %w", err)
		}
	}
	return nil
}

func (l *Loki) flush(ctx context.Context, p *part) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		// Requested again each time: Loki's response does not wait for the store, and what has been
		// stored leaves the ingester's memory with the flush after.
		if _, err := l.do(ctx, p, http.MethodPost, "/flush", nil, nil, http.StatusNoContent); err != nil {
			return err
		}
		metrics, err := l.get(ctx, p, "/metrics")
		if err != nil {
			return err
		}
		held, err := metric(metrics, "loki_ingester_memory_chunks")
		if err != nil || held == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%v chunks are left: %w", held, context.Cause(ctx))
		}
	}
}

// metric reads one metric without labels from the text of /metrics.
func metric(text []byte, name string) (float64, error) {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			return strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
		}
	}
	return 0, errors.New("loki has no metric " + name)
}
