package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// streams is how many answers are under way at once where their memory is measured.
const streams = 400

// A footing is what a contestant needs before anybody asks, and for each answer under way.
type footing struct {
	Start     float64 // milliseconds from start to ready, the median
	Idle      float64 // bytes resident, when ready
	PerStream float64 // bytes for each answer under way, over what it was before
	FirstByte float64 // microseconds from the upstream's first byte to the caller's, over asking directly
	Peak      float64 // bytes, the most that was resident in the whole run
}

// footingOf measures a contestant that is running, and then others like it as they start.
func (f *field) footingOf(ctx context.Context, c *contestant) (footing, error) {
	var g footing
	if c.again == nil {
		return g, nil // not a process of ours
	}
	var err error
	if g.PerStream, err = f.perStream(ctx, c); err != nil {
		return g, err
	}
	if g.FirstByte, err = f.firstByte(ctx, c); err != nil {
		return g, err
	}
	if g.Peak, err = c.memory("VmHWM"); err != nil {
		return g, err
	}
	var starts, idles []float64
	for range 5 {
		fresh, err := c.again()
		if err != nil {
			return g, err
		}
		time.Sleep(time.Second) // what it does by itself after the start is part of being idle
		idle, err := fresh.memory("VmRSS")
		if err := errors.Join(err, fresh.stop()); err != nil {
			return g, err
		}
		starts, idles = append(starts, float64(fresh.started)/float64(time.Millisecond)), append(idles, idle)
	}
	g.Start, g.Idle = median(starts), median(idles)
	return g, nil
}

// perStream holds answers half given, and sees what they take.
func (f *field) perStream(ctx context.Context, c *contestant) (float64, error) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	by := client(streams)
	if _, err := ask(ctx, c, by, small, 16, 200, f.tokens[:1]); err != nil { // so that what is made once is there
		return 0, err
	}
	before, err := c.memory("RssAnon")
	if err != nil {
		return 0, err
	}
	// A few begin at a time: it is about answers under way, not about all arriving at once.
	entering := make(chan struct{}, 16)
	var begun, running sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range streams {
		entering <- struct{}{}
		begun.Add(1)
		running.Go(func() {
			err := f.holdOne(ctx, c, by, func() { <-entering; begun.Done() })
			if ctx.Err() == nil {
				mu.Lock()
				failed = cmp.Or(failed, err)
				mu.Unlock()
			}
		})
	}
	begun.Wait()
	time.Sleep(200 * time.Millisecond) // for what is on the way to arrive
	during, err := c.memory("RssAnon")
	leave()
	running.Wait()
	return (during - before) / streams, errors.Join(err, failed)
}

// holdOne reads what there is of an answer that does not end, and waits.
func (f *field) holdOne(ctx context.Context, c *contestant, by *http.Client, begun func()) error {
	begun = sync.OnceFunc(begun)
	defer begun()
	r, err := c.request(ctx, held, f.tokens[0])
	if err != nil {
		return err
	}
	got, err := by.Do(r)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.name, err)
	}
	defer got.Body.Close() //nolint:errcheck // it is given up
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("answer of %s: %s", c.name, got.Status)
	}
	if _, err := io.CopyN(io.Discard, got.Body, 128<<10); err != nil {
		return fmt.Errorf("answer of %s: %w", c.name, err)
	}
	begun()
	<-ctx.Done()
	return nil
}

// firstByte asks for answers that begin at once and end later, and takes what the upstream itself needs
// for their beginning off.
func (f *field) firstByte(ctx context.Context, c *contestant) (float64, error) {
	var over []float64
	by := client(1)
	defer by.CloseIdleConnections()
	for range 10 {
		straight, err := ask(ctx, f.find(nameDirect), by, slow, 1, 1, f.tokens[:1])
		if err != nil {
			return 0, err
		}
		through, err := ask(ctx, c, by, slow, 1, 1, f.tokens[:1])
		if err != nil {
			return 0, err
		}
		over = append(over, micros(through.first)-micros(straight.first))
	}
	return median(over), nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
