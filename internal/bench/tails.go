package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

// A tail of the bench's upstream, and who follows it.
const (
	benchViewers = 500
	frameLines   = 10
	frameEvery   = 100 * time.Millisecond // as often as logfence delivers at most
	tailFor      = 5 * time.Second        // in a round
)

// tailText is what marks a line of the upstream's tail.
const tailText = "level=error msg=\\\"payment refused\\\" order="

// serveTail sends lines over Loki's WebSocket for as long as the client stays.
func serveTail(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has been responded to
	}
	defer conn.CloseNow() //nolint:errcheck // it is closed either way
	ctx := conn.CloseRead(r.Context())
	tick := time.NewTicker(frameEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		var frame bytes.Buffer
		frame.WriteString(`{"streams":[{"stream":{"app":"checkout","level":"error","pod":"checkout-7"},"values":[`)
		now := time.Now().UnixNano()
		for i := range frameLines {
			if i > 0 {
				frame.WriteByte(',')
			}
			fmt.Fprintf(&frame, `["%d","%s%d took=%dms status=502"]`, now+int64(i), tailText, n*frameLines+i, 100+n%900)
		}
		frame.WriteString(`]}]}`)
		if conn.Write(ctx, websocket.MessageText, frame.Bytes()) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// measureTails is what the delivery of one line of a live tail costs, in processor microseconds: with many viewers of one
// query, each of whom gets ten lines every 100 ms. It is the median over the rounds.
func (b *bench) measureTails(ctx context.Context, c *contestant) (float64, error) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	transport, err := newTransport(benchViewers, c.caFile)
	if err != nil {
		return 0, err
	}
	defer transport.CloseIdleConnections()
	var lines atomic.Int64
	var opening, reading errgroup.Group
	opening.SetLimit(16)
	for range benchViewers {
		opening.Go(func() error {
			body, err := b.follow(ctx, transport, c)
			if err != nil {
				return err
			}
			reading.Go(func() error { return countLines(body, &lines) })
			return nil
		})
	}
	if err := opening.Wait(); err != nil {
		return 0, err
	}
	var costs []float64
	for i := range b.rounds + 1 {
		before, err := c.process.cpu()
		if err != nil {
			return 0, err
		}
		from := lines.Load()
		time.Sleep(tailFor)
		after, err := c.process.cpu()
		if err != nil {
			return 0, err
		}
		if got := lines.Load() - from; got == 0 {
			return 0, fmt.Errorf("tails, %s: no line has come within %s", c.name, tailFor)
		} else if i > 0 { // the first is to warm up
			costs = append(costs, micros(after-before)/float64(got))
		}
	}
	leave()
	_ = reading.Wait() // it ends as it was told
	return middle(costs), nil
}

// follow opens a live tail.
func (b *bench) follow(ctx context.Context, transport *http.Transport, c *contestant) (io.ReadCloser, error) {
	values := url.Values{"query": {`{app="checkout", size="tail"}`}, "start": {fmt.Sprint(time.Now().UnixNano())}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/api/v1/logs/tail?"+values.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("tails, %s: %w", c.name, err)
	}
	r.Header.Set("Authorization", "Bearer "+b.tokens[0])
	got, err := transport.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("tails, %s: %w", c.name, err)
	}
	if got.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(got.Body, 1000))
		_ = got.Body.Close() // what it says has been read
		return nil, fmt.Errorf("tails, %s: %s: %s", c.name, got.Status, text)
	}
	return got.Body, nil
}

// countLines counts the upstream's lines in the events of a tail, until it ends.
func countLines(events io.ReadCloser, lines *atomic.Int64) error {
	defer events.Close() //nolint:errcheck // it has been read
	s := bufio.NewScanner(events)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		lines.Add(int64(bytes.Count(s.Bytes(), []byte(tailText))))
	}
	return s.Err()
}
