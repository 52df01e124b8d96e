package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/perf/benchmath"
	"golang.org/x/sync/errgroup"
)

// inFlight is how many responses are in flight where their memory is measured.
const inFlight = 400

// A footprint is what a contestant needs beside processor time.
type footprint struct {
	start    float64 // milliseconds from start to ready, the least: what else runs only adds to it
	idle     float64 // bytes resident a second after that
	response float64 // bytes for each response in flight
	peak     float64 // bytes, the most that was resident in the whole part
}

// measureMemory measures a contestant in front of nginx.
func (b *bench) measureMemory(ctx context.Context, c *contestant) (f footprint, err error) {
	if f.response, err = b.perResponse(ctx, c); err != nil {
		return f, err
	}
	if f.peak, err = c.process.memory("VmHWM"); err != nil {
		return f, err
	}
	var starts, idles []float64
	for range 3 {
		p, err := c.again()
		if err != nil {
			return f, err
		}
		time.Sleep(time.Second) // what it does by itself after the start is part of being idle
		idle, err := p.memory("VmRSS")
		p.stop()
		if err != nil {
			return f, err
		}
		starts, idles = append(starts, micros(p.ready)/1000), append(idles, idle)
	}
	f.start, f.idle = slices.Min(starts), middle(idles)
	return f, nil
}

func middle(values []float64) float64 {
	return median(benchmath.NewSample(values, &benchmath.DefaultThresholds)).Center
}

// perResponse has many callers read the beginning of 100 MB, and then wait: what is resident more is the
// buffers of the responses.
func (b *bench) perResponse(ctx context.Context, c *contestant) (float64, error) {
	if _, err := b.load(ctx, c, sized("warm up", "2KB", 16, 500), b.tokens[:1]); err != nil {
		return 0, err
	}
	before, err := c.process.memory("RssAnon")
	if err != nil {
		return 0, err
	}
	during := before
	transport, err := newTransport(inFlight, "")
	if err != nil {
		return 0, err
	}
	ctx, disconnect := context.WithCancel(ctx)
	defer disconnect()
	var begin errgroup.Group
	begin.SetLimit(16) // it is about responses in flight, not about all arriving at once
	var mu sync.Mutex
	var bodies []io.Closer
	for range inFlight {
		begin.Go(func() error {
			got, err := b.open(ctx, transport, c, sized("in flight", "100MB", 1, 1)) //nolint:bodyclose // with bodies, when all are open
			if err != nil {
				return err
			}
			mu.Lock()
			bodies = append(bodies, got.Body)
			mu.Unlock()
			_, err = io.CopyN(io.Discard, got.Body, 128<<10)
			return err
		})
	}
	err = begin.Wait()
	if err == nil {
		time.Sleep(200 * time.Millisecond) // for what is on the way to arrive
		during, err = c.process.memory("RssAnon")
	}
	for _, body := range bodies {
		_ = body.Close()
	}
	if err != nil {
		return 0, fmt.Errorf("memory of responses, %s: %w", c.name, err)
	}
	return (during - before) / inFlight, nil
}

// firstByte is by how many milliseconds the first byte of a response that then pauses is later than the
// upstream's own.
func (b *bench) firstByte(ctx context.Context, direct, c *contestant) (float64, error) {
	transport, err := newTransport(1, "")
	if err != nil {
		return 0, err
	}
	defer transport.CloseIdleConnections()
	wait := func(c *contestant) (time.Duration, error) {
		began := time.Now()
		got, err := b.open(ctx, transport, c, sized("first byte", "pause", 1, 1))
		if err != nil {
			return 0, err
		}
		defer got.Body.Close() //nolint:errcheck // read to the end
		_, err = io.ReadFull(got.Body, make([]byte, 1))
		first := time.Since(began)
		_, rest := io.Copy(io.Discard, got.Body)
		return first, errors.Join(err, rest)
	}
	var over []float64
	for range 10 {
		straight, err := wait(direct)
		if err != nil {
			return 0, err
		}
		through, err := wait(c)
		if err != nil {
			return 0, err
		}
		over = append(over, micros(through-straight)/1000)
	}
	return middle(over), nil
}
